//! What a witness cosigns, what it refuses, and what it raises an alarm about.

use residency_tlog::witness::{AddCheckpoint, BODY_BYTES_MAX, Decision, Latest, Refusal, decide};
use residency_tlog::{
    At, Checkpoint, EMPTY_ROOT, Hash, Malformed, Note, OpenError, PROOF_LINES_MAX, ProofError, VerifierKey,
    Wrong, leaf_hash,
};

use crate::support::{Log, ORIGIN, log_key, signed, witness_key};

/// A witness that knows the log of the vectors and has cosigned this size of it.
struct Witness {
    log: Log,
    keys: [VerifierKey; 1],
    last: Option<Latest>,
}

impl Witness {
    fn at(size: u64) -> Self {
        let log = Log::of(50);
        let note = log.note(size, &log_key()).to_string();
        let last = Some(Latest { size, root: log.root(size), note });
        Self { log, keys: [log_key().verifier().clone()], last }
    }

    fn new() -> Self {
        Self { last: None, ..Self::at(0) }
    }

    fn honest(&self, old: u64, size: u64) -> AddCheckpoint {
        let proof = if old <= size { self.log.consistency(old, size) } else { Vec::new() };
        AddCheckpoint::new(old, proof, self.log.note(size, &log_key())).expect("a request")
    }

    fn decide(&self, request: &AddCheckpoint) -> Decision {
        decide(Some(&self.keys), self.last.as_ref(), request)
    }

    fn refused(&self, request: &AddCheckpoint) -> Refusal {
        match self.decide(request) {
            Decision::Refuse(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

/// A checkpoint that the log signed, with a root that it should not have.
fn forked(size: u64, root: Hash) -> Note {
    signed(&Checkpoint::new(ORIGIN, size, root).expect("a checkpoint"), &log_key())
}

#[test]
fn a_witness_follows_a_log_that_grows() {
    let mut witness = Witness::new();
    let mut old = 0;
    for size in [0, 1, 7, 7, 8, 31, 50] {
        let request = witness.honest(old, size);
        let Decision::Cosign(next) = witness.decide(&request) else { panic!("{old} to {size}") };
        assert_eq!((next.size, next.root), (size, witness.log.root(size)));
        assert_eq!(next.note, request.note().to_string());
        let key = witness_key("w.example/1");
        let line = request.note().cosignature(&key, 1_800_000_000).expect("cosigns");
        // What the log does with the answer.
        let [answered] =
            &residency_tlog::SignatureLine::parse_lines(format!("{line}\n").as_bytes()).expect("lines")[..]
        else {
            panic!("one line")
        };
        let mut note = request.note().clone();
        note.add(answered.clone()).expect("there is room");
        assert_eq!(note.open(&[key.verifier().clone()]).expect("opens")[0].time, Some(1_800_000_000));
        witness.last = Some(next);
        old = size;
    }
}

#[test]
fn a_witness_knows_its_logs_and_their_keys() {
    let witness = Witness::at(10);
    let request = witness.honest(10, 20);
    assert_eq!(decide(None, None, &request), Decision::Refuse(Refusal::UnknownOrigin));
    assert_eq!(decide(None, None, &request).status(), 404);
    let others = [witness_key("w.example/1").verifier().clone()];
    let unsigned = decide(Some(&others), witness.last.as_ref(), &request);
    assert_eq!(unsigned, Decision::Refuse(Refusal::NotSigned(OpenError::NotSigned)));
    assert_eq!(unsigned.status(), 403);
    // Signed by the log for another size.
    let body = request.to_string().replacen("\n20\n", "\n21\n", 1);
    let forged = AddCheckpoint::parse(body.as_bytes()).expect("a request");
    assert!(matches!(witness.refused(&forged), Refusal::NotSigned(OpenError::BadSignature { .. })));
    assert_eq!(witness.decide(&forged).status(), 403);
}

#[test]
fn a_witness_says_where_it_is() {
    let witness = Witness::at(10);
    for (old, size) in [(0, 20), (9, 20), (11, 20), (0, 5), (5, 10), (20, 20)] {
        let refusal = witness.refused(&witness.honest(old, size));
        assert_eq!(refusal, Refusal::Conflict { size: 10 }, "{old} to {size}");
        assert_eq!((refusal.status(), refusal.body().as_deref()), (409, Some("10\n")));
    }
    // A log that was rewound: it says itself that it was larger.
    let refusal = witness.refused(&witness.honest(10, 9));
    assert_eq!(refusal, Refusal::OldAboveSize { old: 10, size: 9 });
    assert_eq!((refusal.status(), refusal.body()), (400, None));
    assert_eq!(Witness::new().refused(&witness.honest(1, 2)), Refusal::Conflict { size: 0 });
}

#[test]
fn a_witness_believes_no_proof_that_does_not_verify() {
    let witness = Witness::at(10);
    let honest = witness.honest(10, 20);
    assert!(matches!(witness.decide(&honest), Decision::Cosign(_)));
    for (proof, note) in [
        (Vec::new(), honest.note().clone()),
        (witness.log.consistency(9, 20), honest.note().clone()),
        (witness.log.consistency(10, 20), forked(20, leaf_hash(b"a fork"))),
        (vec![leaf_hash(b"a fork")], witness.log.note(10, &log_key())),
    ] {
        let request = AddCheckpoint::new(10, proof, note).expect("a request");
        let Refusal::BadProof { views: Some(views), .. } = witness.refused(&request) else {
            panic!("no proof")
        };
        assert_eq!(Some(&views.held), witness.last.as_ref());
        assert_eq!(views.shown.note, request.note().to_string());
        assert_eq!(witness.decide(&request).status(), 422);
    }
    // The first checkpoint needs no proof, and no other than the empty tree has no leaves.
    let new = Witness::new();
    let request = AddCheckpoint::new(0, vec![leaf_hash(b"x")], new.log.note(5, &log_key())).expect("a request");
    let why = ProofError::Length { hashes: 1 };
    assert_eq!(new.refused(&request), Refusal::BadProof { why, views: None });
    let request = AddCheckpoint::new(0, Vec::new(), forked(0, leaf_hash(b"x"))).expect("a request");
    assert_eq!(new.refused(&request), Refusal::BadProof { why: ProofError::Root, views: None });
}

#[test]
fn two_roots_for_one_size_are_a_split_view_whatever_else_is_wrong() {
    let witness = Witness::at(10);
    let fork = forked(10, leaf_hash(b"a fork"));
    for (old, status) in [(10, 422), (3, 409), (0, 409), (11, 400)] {
        let request = AddCheckpoint::new(old, Vec::new(), fork.clone()).expect("a request");
        let decision = witness.decide(&request);
        let Decision::SplitView { views, .. } = &decision else { panic!("{decision:?}") };
        assert_eq!(decision.status(), status, "{old}");
        // Each note proves by itself that the log signed it.
        for (view, root) in [(&views.held, witness.log.root(10)), (&views.shown, leaf_hash(b"a fork"))] {
            let opened =
                Checkpoint::open(view.note.as_bytes(), ORIGIN, &witness.keys).expect("signed by the log");
            assert_eq!((opened.checkpoint.size, opened.checkpoint.root, view.root), (10, root, root));
        }
    }
    // Nobody but the log can accuse the log.
    let mut text = fork.to_string();
    text = text.replace(
        &fork.signatures()[0].to_string(),
        &witness.log.note(10, &log_key()).signatures()[0].to_string(),
    );
    let request =
        AddCheckpoint::new(10, Vec::new(), Note::parse(text.as_bytes()).expect("a note")).expect("a request");
    assert!(matches!(witness.refused(&request), Refusal::NotSigned(_)));
    // An empty tree with a root.
    let empty = Witness::at(0);
    let request = AddCheckpoint::new(0, Vec::new(), forked(0, leaf_hash(b"x"))).expect("a request");
    assert!(matches!(empty.decide(&request), Decision::SplitView { .. }));
    assert_eq!(empty.log.root(0), EMPTY_ROOT);
}

#[test]
fn a_body_is_read_as_it_is_written_or_refused_with_its_line() {
    let witness = Witness::at(10);
    let body = witness.honest(10, 20).to_string();
    assert_eq!(AddCheckpoint::parse(body.as_bytes()).expect("a request").to_string(), body);
    let refused = |text: &str| AddCheckpoint::parse(text.as_bytes()).expect_err("no request");
    let line = |line, wrong| Malformed { at: At::Line(line), wrong };
    let note = witness.log.note(20, &log_key()).to_string();
    let hash = leaf_hash(b"x");
    for (text, why) in [
        (String::new(), line(1, Wrong::TooShort)),
        (body.replacen("old", "new", 1), line(1, Wrong::Header("old "))),
        (body.replacen("old ", "old  ", 1), line(1, Wrong::Number)),
        (body.replacen("old 10", "old 010", 1), line(1, Wrong::Number)),
        (body.replacen("old 10", "old 9223372036854775808", 1), line(1, Wrong::TooLarge)),
        ("old 1\n".into(), line(2, Wrong::TooShort)),
        (format!("old 1\nAAAA\n\n{note}"), line(2, Wrong::HashLength)),
        (format!("old 1\n{note}"), line(2, Wrong::HashLength)),
        (
            format!("old 1\n{}\n{note}", format!("{hash}\n").repeat(PROOF_LINES_MAX + 1)),
            line(65, Wrong::TooManyHashes(63)),
        ),
        (format!("old 1\n\n\n{note}"), line(3, Wrong::Origin)),
        (format!("old 1\n\n{}", note.trim_end()), line(7, Wrong::NoFinalNewline)),
        (format!("old 1\n{hash}\n\n{}", note.replacen("\n20\n", "\n020\n", 1)), line(5, Wrong::Number)),
        (format!("old 1\n\n{}\n", note.split_once("\n\n").expect("a text").0), line(6, Wrong::NoEmptyLine)),
    ] {
        assert_eq!(refused(&text), why, "{text}");
    }
    let most = format!("old 1\n{}\n{note}", format!("{hash}\n").repeat(PROOF_LINES_MAX));
    assert_eq!(AddCheckpoint::parse(most.as_bytes()).expect("a request").proof.len(), PROOF_LINES_MAX);
    assert_eq!(refused(&"o".repeat(BODY_BYTES_MAX + 1)).wrong, Wrong::TooLong(BODY_BYTES_MAX));
    let unsigned = Checkpoint::new(ORIGIN, 1, hash).expect("one").to_note().expect("a note");
    assert!(AddCheckpoint::new(0, Vec::new(), unsigned).is_err());
}
