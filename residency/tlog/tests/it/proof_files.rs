//! The file that shows one record to somebody who is offline.

use residency_tlog::{
    At, Hash, Malformed, OpenError, ProofError, ProofFile, ProofFileError, Trust, VerifierKey, Wrong, leaf_hash,
};

use crate::support::{Log, ORIGIN, leaf, log_key, witness_key};

const WITNESSES: [&str; 3] = ["w.example/ca", "w.example/ny", "w.example/wa"];

fn witnesses() -> Vec<VerifierKey> {
    WITNESSES.map(|name| witness_key(name).verifier().clone()).to_vec()
}

/// A file for a leaf of the log of 613, cosigned by so many witnesses.
fn file(index: u64, cosigned: usize, extra: Option<&[u8]>) -> ProofFile {
    let log = Log::of(613);
    let mut note = log.note(613, &log_key());
    for (name, time) in WITNESSES.iter().take(cosigned).zip(1_800_000_000..) {
        let line = note.cosignature(&witness_key(name), time).expect("cosigns");
        note.add(line).expect("there is room");
    }
    ProofFile::new(extra.map(Into::into), index, log.inclusion(index, 613), note).expect("a file")
}

fn trust<'a>(log: &'a [VerifierKey], witnesses: &'a [VerifierKey], required: usize) -> Trust<'a> {
    Trust { origin: ORIGIN, log, witnesses, required }
}

#[test]
fn a_file_shows_its_leaf_to_those_who_trust_the_log_and_enough_witnesses() {
    let (log, all) = ([log_key().verifier().clone()], witnesses());
    let file = file(77, 2, None);
    let shown = file.verify(&leaf(77), &trust(&log, &all, 2)).expect("it shows");
    assert_eq!((shown.index, shown.size), (77, 613));
    let named = [(WITNESSES[0].into(), Some(1_800_000_000)), (WITNESSES[1].into(), Some(1_800_000_001))];
    assert_eq!(shown.witnesses, named);
    assert!(file.verify(&leaf(77), &trust(&log, &[], 0)).is_ok());

    let verify = |leaf: &Hash, trust: &Trust<'_>| file.verify(leaf, trust).expect_err("it shows nothing");
    let few = |cosigned, required| ProofFileError::Witnesses { cosigned, required };
    assert_eq!(verify(&leaf(77), &trust(&log, &all, 3)), few(2, 3));
    assert_eq!(verify(&leaf(77), &trust(&log, &all[2..], 1)), few(0, 1));
    assert_eq!(verify(&leaf(78), &trust(&log, &all, 2)), ProofFileError::Proof(ProofError::Root));
    assert_eq!(verify(&leaf(77), &trust(&all[2..], &all, 2)), ProofFileError::Checkpoint(OpenError::NotSigned));
    let other = Trust { origin: "audit.example/eu", ..trust(&log, &all, 2) };
    assert_eq!(verify(&leaf(77), &other), ProofFileError::Checkpoint(OpenError::Origin));
    // The log's own signature is none of a witness.
    assert_eq!(verify(&leaf(77), &trust(&log, &log, 1)), few(0, 1));
    // A witness counts once, however often its key is named.
    let same = [all[0].clone(), all[0].clone()];
    assert_eq!(verify(&leaf(77), &trust(&log, &same, 2)), few(1, 2));
}

#[test]
fn a_file_that_was_changed_shows_nothing() {
    let (log, all) = ([log_key().verifier().clone()], witnesses());
    let text = file(77, 2, Some(b"salt and record")).to_string();
    let verify = |text: &str| {
        let file = ProofFile::parse(text.as_bytes()).expect("a file");
        file.verify(&leaf(77), &trust(&log, &all, 2))
    };
    assert!(verify(&text).is_ok());
    assert!(matches!(verify(&text.replace("index 77", "index 76")), Err(ProofFileError::Proof(_))));
    assert!(matches!(verify(&text.replace("index 77", "index 613")), Err(ProofFileError::Proof(_))));
    let hash = Log::of(613).inclusion(77, 613)[3].to_string();
    let other = leaf_hash(b"x").to_string();
    assert!(matches!(verify(&text.replace(&hash, &other)), Err(ProofFileError::Proof(_))));
    assert!(matches!(verify(&text.replace(&format!("{hash}\n"), "")), Err(ProofFileError::Proof(_))));
    assert!(matches!(
        verify(&text.replace("\n613\n", "\n612\n")),
        Err(ProofFileError::Checkpoint(OpenError::BadSignature { .. }))
    ));
}

#[test]
fn a_file_is_read_as_it_is_written_or_refused_with_its_line() {
    for file in [file(0, 0, None), file(612, 3, Some(b"")), file(5, 1, Some(&[7; 1_000]))] {
        let text = file.to_string();
        assert_eq!(ProofFile::parse(text.as_bytes()).as_ref(), Ok(&file));
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\n"));
    }
    let text = file(5, 1, Some(b"more")).to_string();
    let lines = text.lines().count();
    let refused = |text: &str| ProofFile::parse(text.as_bytes()).expect_err("no file");
    let line = |line, wrong| Malformed { at: At::Line(line), wrong };
    let version = Wrong::Header("c2sp.org/tlog-proof@v1");
    for (text, why) in [
        (String::new(), line(1, Wrong::TooShort)),
        (text.replacen("@v1", "@v2", 1), line(1, version)),
        (text.replacen("@v1", "@v10", 1), line(1, version)),
        (text.replacen("extra bW9yZQ==", "extra bW9yZQ", 1), line(2, Wrong::Base64)),
        (text.replacen("extra", "other", 1), line(2, Wrong::Header("index "))),
        (text.replacen("index 5", "index 05", 1), line(3, Wrong::Number)),
        (text.replacen("index 5", "index -5", 1), line(3, Wrong::Number)),
        (text.replacen("index 5\n", "index 5\nx\n", 1), line(4, Wrong::HashLength)),
        (text.replacen("\n613\n", "\nx\n", 1), line(lines - 4, Wrong::Number)),
        (text.trim_end().into(), line(lines, Wrong::NoFinalNewline)),
        (format!("{text}x\n"), line(lines + 1, Wrong::SignatureLine)),
    ] {
        assert_eq!(refused(&text), why, "{text}");
    }
    let twice = text.replacen("extra", "extra bW9yZQ==\nextra", 1);
    assert_eq!(refused(&twice), line(3, Wrong::Header("index ")));
    assert_eq!(ProofFile::parse(b"\xff").expect_err("no file").at, At::Byte(0));
}
