//! API keys and rules, as a node recognises them from its view.

use std::sync::Arc;

use jiff::Timestamp;
use residency_control::keys::{authenticate, mint};
use residency_control::rules::RulesInForce;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_control::{Command, KeyVerifier, Organisation, Outcome, PolicyVersion, Signature64};
use residency_policy::{Ruleset, ruleset};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::support::cluster::{Cluster, TEXAS, TIMINGS};
use crate::support::{organisation, verifier};

const NOW: i64 = 1_800_000_000;

#[tokio::test]
async fn a_key_is_recognised_only_while_it_is_valid() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let (reader, writer) = (running[&1].reader(), running[&1].writer());
    let now = Timestamp::from_second(NOW).expect("a time");
    let minted = mint(&SystemEntropy::new());
    let text = minted.text.reveal();
    let good = KeyVerifier { key: minted.key, secret_sha256: minted.secret_sha256, ..verifier(1, 1) };
    let put = async |verifier: KeyVerifier| {
        let proposed = writer.propose(Command::PutKey(verifier)).await.expect("is proposed");
        assert_eq!(proposed.outcome, Outcome::Done);
    };

    assert_eq!(authenticate(&reader, text, now), None, "before it is known");
    let _ = writer.propose(Command::PutOrganisation(organisation(1))).await.expect("is proposed");
    put(good.clone()).await;
    assert_eq!(authenticate(&reader, text, now), Some(good.clone()), "the control");

    let other = mint(&SystemEntropy::new());
    let mixed = format!("{}{}", &text[..36], &other.text.reveal()[36..]);
    assert_eq!(authenticate(&reader, &mixed, now), None, "a wrong secret");
    assert_eq!(authenticate(&reader, other.text.reveal(), now), None, "an unknown key");
    for nonsense in ["", "dk_", "Bearer x", "dk_zz_zz"] {
        assert_eq!(authenticate(&reader, nonsense, now), None, "{nonsense:?}");
    }

    put(KeyVerifier { expires: Some(NOW), ..good.clone() }).await;
    assert_eq!(authenticate(&reader, text, now), None, "expired this very second");
    put(KeyVerifier { expires: Some(NOW + 1), ..good.clone() }).await;
    assert!(authenticate(&reader, text, now).is_some(), "the control: one second left");

    let asleep = Organisation { active: false, ..organisation(1) };
    let _ = writer.propose(Command::PutOrganisation(asleep)).await.expect("is proposed");
    assert_eq!(authenticate(&reader, text, now), None, "its organisation is not active");
    let _ = writer.propose(Command::PutOrganisation(organisation(1))).await.expect("is proposed");
    assert!(authenticate(&reader, text, now).is_some(), "the control: active again");

    let _ = writer.propose(Command::RevokeKey(good.key)).await.expect("is proposed");
    put(good).await;
    assert_eq!(authenticate(&reader, text, now), None, "revoked, whatever was put later");
}

#[tokio::test]
async fn rules_are_in_force_when_the_control_plane_says_so() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let (reader, writer) = (running[&1].reader(), running[&1].writer());
    let local = Ruleset::parse("version = 1\n").expect("rules");
    let (version, digest) = (local.version(), local.digest());
    let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).expect("a key");
    let public: [u8; 32] = key.public_key().as_ref().try_into().expect("32 bytes");
    let rules = RulesInForce::new(local, public.into(), Arc::new(SystemClock));
    assert!(rules.current(&reader).is_none(), "nothing is said yet");
    let signature = key.sign(&ruleset::signed_bytes(version, digest));
    let signature = Signature64::from_bytes(signature.as_ref().try_into().expect("64 bytes"));
    let said = Command::PutPolicy(PolicyVersion { version, digest, signature });
    let _ = writer.propose(said).await.expect("is proposed");
    assert_eq!(rules.current(&reader).map(|r| r.version()), Some(1));
}
