//! Heads of audit logs: a log grows and never changes what it was, and whoever shows otherwise is believed by the
//! signature alone.

use residency_control::Signature64;
use residency_control::audit_log::{
    Cosignature, Head, LogChange, LogKeys, checkpoint_text, cosigned_text, origin,
};
use residency_control::command::{Command, Outcome, Refusal};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_policy::{Label, Region};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::support::{add_region, region};

const TEXAS: &str = "US-TX";
const CALIFORNIA: &str = "US-CA";

fn cluster() -> Label {
    "example".parse().expect("a label")
}

/// The key of a region's log, or that with which it cosigns.
fn pair(of: &str, witness: bool) -> Ed25519KeyPair {
    let mut seed = [u8::from(witness); 32];
    seed[..5].copy_from_slice(of.as_bytes());
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key")
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().expect("32 bytes")
}

fn sign(pair: &Ed25519KeyPair, text: &str) -> Signature64 {
    Signature64::from_bytes(pair.sign(text.as_bytes()).as_ref().try_into().expect("64 bytes"))
}

pub(crate) fn keys(of: &str) -> LogKeys {
    let (log, witness) = (public(&pair(of, false)), public(&pair(of, true)));
    LogKeys { region: region(of), cluster: cluster(), log, witness }
}

fn head(of: &str, size: u64, root: u8) -> Head {
    let text = checkpoint_text(&origin(cluster(), region(of)), size, &[root; 32]);
    Head { size, root: [root; 32], signature: sign(&pair(of, false), &text) }
}

fn cosignature(by: &str, of: &str, size: u64, root: u8) -> Cosignature {
    let text = checkpoint_text(&origin(cluster(), region(of)), size, &[root; 32]);
    let signature = sign(&pair(by, true), &cosigned_text(&text, 1_795_000_000));
    Cosignature { witness: region(by), size, root: [root; 32], at: 1_795_000_000, signature }
}

fn say(state: &mut State, change: LogChange) -> Outcome {
    apply(state, Command::AuditLog(change))
}

fn publish(state: &mut State, head: Head) -> Outcome {
    say(state, LogChange::Publish { region: region(TEXAS), head })
}

fn cosign(state: &mut State, cosignature: Cosignature) -> Outcome {
    say(state, LogChange::Cosign { region: region(TEXAS), cosignature })
}

fn show(state: &mut State, head: Head) -> Outcome {
    say(state, LogChange::ShowSplit { region: region(TEXAS), head })
}

/// Two regions whose logs are registered.
fn registered() -> State {
    let mut state = State::default();
    for of in [TEXAS, CALIFORNIA] {
        assert_eq!(apply(&mut state, add_region(of)), Outcome::Done);
        assert_eq!(say(&mut state, LogChange::Register(keys(of))), Outcome::Done);
    }
    state
}

fn texas(state: &State) -> &residency_control::audit_log::AuditLog {
    state.audit_logs().get(&region(TEXAS)).expect("a log")
}

#[test]
fn a_log_has_one_key_for_good() {
    let mut state = State::default();
    let refused = |why| Outcome::Refused(why);
    let register = LogChange::Register(keys(TEXAS));
    assert_eq!(say(&mut state, register.clone()), refused(Refusal::UnknownRegion));
    assert_eq!(publish(&mut state, head(TEXAS, 1, 1)), refused(Refusal::UnknownLog));
    assert_eq!(apply(&mut state, add_region(TEXAS)), Outcome::Done);
    assert_eq!(say(&mut state, register.clone()), Outcome::Done);
    assert_eq!(say(&mut state, register), Outcome::Done, "the same again");
    let other = LogKeys { log: [7; 32], ..keys(TEXAS) };
    assert_eq!(say(&mut state, LogChange::Register(other)), refused(Refusal::AlreadyKnown));
    let renamed = LogKeys { cluster: "rehearsal".parse().expect("a label"), ..keys(TEXAS) };
    assert_eq!(say(&mut state, LogChange::Register(renamed)), refused(Refusal::AlreadyKnown));
}

#[test]
fn a_log_only_grows() {
    let mut state = registered();
    assert_eq!(publish(&mut state, head(TEXAS, 10, 1)), Outcome::Done);
    assert_eq!(publish(&mut state, head(TEXAS, 10, 1)), Outcome::Done, "the same again");
    assert_eq!(publish(&mut state, head(TEXAS, 20, 2)), Outcome::Done);
    let before = state.clone();
    for (wrong, why) in [
        (head(TEXAS, 10, 1), Refusal::Rewound),
        (head(TEXAS, 20, 3), Refusal::SplitView),
        (head(CALIFORNIA, 30, 3), Refusal::NotSigned),
        (Head { size: 31, ..head(TEXAS, 30, 3) }, Refusal::NotSigned),
        (Head { root: [4; 32], ..head(TEXAS, 30, 3) }, Refusal::NotSigned),
    ] {
        assert_eq!(publish(&mut state, wrong), Outcome::Refused(why), "{wrong:?}");
        assert_eq!(state, before, "what is refused changes nothing");
    }
    assert_eq!(texas(&state).head(), Some(&head(TEXAS, 20, 2)));
}

#[test]
fn a_witness_speaks_of_the_newest_head_with_its_own_key() {
    let mut state = registered();
    assert_eq!(publish(&mut state, head(TEXAS, 10, 1)), Outcome::Done);
    assert_eq!(cosign(&mut state, cosignature(CALIFORNIA, TEXAS, 10, 1)), Outcome::Done);
    assert_eq!(publish(&mut state, head(TEXAS, 20, 2)), Outcome::Done);
    let refused = |why| Outcome::Refused(why);
    let late = cosignature(CALIFORNIA, TEXAS, 10, 1);
    assert_eq!(cosign(&mut state, late), refused(Refusal::StaleVersion));
    let forged = Cosignature { at: 1, ..cosignature(CALIFORNIA, TEXAS, 20, 2) };
    assert_eq!(cosign(&mut state, forged), refused(Refusal::NotSigned));
    let own = cosignature(TEXAS, TEXAS, 20, 2);
    assert_eq!(cosign(&mut state, own), refused(Refusal::NotSigned), "nobody is their own witness");
    let stranger = cosignature("US-NY", TEXAS, 20, 2);
    assert_eq!(cosign(&mut state, stranger), refused(Refusal::UnknownLog));
    let seen = texas(&state).cosigned_by(region(CALIFORNIA)).expect("the earlier word stays");
    assert_eq!(seen.size, 10);
    assert_eq!(cosign(&mut state, cosignature(CALIFORNIA, TEXAS, 20, 2)), Outcome::Done, "the control");
    assert_eq!(texas(&state).cosigned().map(|one| one.size).collect::<Vec<_>>(), [20]);
}

#[test]
fn two_heads_of_one_size_are_kept_as_evidence() {
    let mut state = registered();
    assert_eq!(publish(&mut state, head(TEXAS, 10, 1)), Outcome::Done);
    assert_eq!(cosign(&mut state, cosignature(CALIFORNIA, TEXAS, 10, 1)), Outcome::Done);
    assert_eq!(publish(&mut state, head(TEXAS, 20, 2)), Outcome::Done);
    for (none, why) in [
        (head(TEXAS, 20, 2), Refusal::NotSplit),
        (head(TEXAS, 15, 9), Refusal::NotSplit),
        (head(CALIFORNIA, 20, 9), Refusal::NotSigned),
    ] {
        assert_eq!(show(&mut state, none), Outcome::Refused(why), "{none:?}");
    }
    assert_eq!(texas(&state).split(), None, "the control");
    // Of an older size too, when a witness remembers its root.
    assert_eq!(show(&mut state, head(TEXAS, 10, 8)), Outcome::Done);
    assert_eq!(show(&mut state, head(TEXAS, 20, 9)), Outcome::Done);
    assert_eq!(texas(&state).split(), Some(&head(TEXAS, 10, 8)), "the first evidence stays");
}

#[test]
fn heads_cosignatures_and_evidence_outlive_a_snapshot() {
    let mut state = registered();
    for outcome in [
        publish(&mut state, head(TEXAS, 10, 1)),
        cosign(&mut state, cosignature(CALIFORNIA, TEXAS, 10, 1)),
        show(&mut state, head(TEXAS, 10, 9)),
    ] {
        assert_eq!(outcome, Outcome::Done);
    }
    let again = restore(&encode(&state).expect("encodes")).expect("restores");
    assert_eq!(again, state);
    assert_eq!(texas(&again).split(), Some(&head(TEXAS, 10, 9)));
}

#[test]
fn a_log_is_named_after_its_deployment_and_region() {
    assert_eq!(origin(cluster(), Region(TEXAS.parse().expect("a jurisdiction"))), "example/us-tx");
    let text = checkpoint_text("example/us-tx", 7, &[0; 32]);
    assert_eq!(text, "example/us-tx\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
}
