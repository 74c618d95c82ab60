//! AWS KMS with keys that are disabled, about to be deleted, throttled, late, silent or away, against a stub that
//! enforces what `moto` does not; and how long data keys go on without it.

mod stub;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use residency_policy::{Category, Entropy, Jurisdiction, PatientId, Region};
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::{
    Envelope, EnvelopeError, EnvelopeLimits, KeyContext, KeyOwner, KeyUse, KmsError, RegionKms,
};
use storage_keys_aws::{AwsKms, AwsKmsConfig};
use stub::{State, Stub};

const KEY: &str = "11111111-2222-4333-8444-555555555555";

fn region() -> Region {
    Region(Jurisdiction::from_postal("TX").expect("Texas"))
}

fn context() -> KeyContext {
    KeyContext {
        cluster: "test".parse().expect("a label"),
        region: region(),
        patient: Some(PatientId::from_bytes([1; 16])),
        category: Some(Category::General),
        use_: KeyUse::PatientData,
    }
}

async fn kms(stub: &Stub, aws_region: &str) -> AwsKms {
    let config = AwsKmsConfig {
        key_id: KEY.into(),
        aws_region: aws_region.into(),
        endpoint: Some(stub.endpoint.clone()),
    };
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test"));
    AwsKms::connect_as(config, Some(credentials)).await.expect("a client")
}

#[tokio::test]
async fn a_key_that_may_not_be_used_opens_nothing_and_the_refusal_says_what_to_do() {
    let stub = Stub::start(KEY, "us-east-2").await;
    let kms = kms(&stub, "us-east-2").await;
    let (made, wrapped) = kms.generate(&context()).await.expect("a data key");
    for (state, hint) in [
        (State::Disabled, "enable it"),
        (State::PendingDeletion, "cancel that"),
        (State::Throttled, "try again later"),
        (State::Away, "without an answer"),
    ] {
        stub.set(state);
        for refused in [kms.unwrap(&wrapped, &context()).await.err(), kms.check(&context()).await.err()] {
            let refused = refused.unwrap_or_else(|| panic!("{state:?}: it was used"));
            assert!(refused.to_string().contains(hint), "{state:?}: {refused}");
            let worth_trying = matches!(refused, KmsError::Unreachable { .. });
            assert_eq!(worth_trying, matches!(state, State::Throttled | State::Away), "{state:?}: {refused}");
        }
        stub.set(State::Enabled);
        let opened = kms.unwrap(&wrapped, &context()).await.expect("the control: enabled again, it opens");
        assert_eq!(made.bytes(), opened.bytes());
    }
}

#[tokio::test]
async fn a_throttled_call_is_tried_three_times_and_no_more() {
    let stub = Stub::start(KEY, "us-east-2").await;
    let kms = kms(&stub, "us-east-2").await;
    stub.set(State::Throttled);
    let before = stub.asked();
    assert!(kms.generate(&context()).await.is_err());
    assert_eq!(stub.asked() - before, 3);
    stub.set(State::Disabled);
    let before = stub.asked();
    assert!(kms.generate(&context()).await.is_err());
    assert_eq!(stub.asked() - before, 1, "the control: a refusal that stays is not tried again");
}

#[tokio::test]
async fn a_silent_service_is_given_up_in_time() {
    let stub = Stub::start(KEY, "us-east-2").await;
    let kms = kms(&stub, "us-east-2").await;
    stub.set(State::Silent);
    let began = Instant::now();
    let refused = kms.generate(&context()).await.expect_err("nothing was answered");
    assert!(matches!(refused, KmsError::Unreachable { .. }), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

/// One attempt has three seconds.
#[tokio::test]
async fn a_late_answer_is_waited_for_as_long_as_an_attempt_may_take() {
    const UNDER: Duration = Duration::from_millis(1_500);
    const OVER: Duration = Duration::from_mins(1);
    let stub = Stub::start(KEY, "us-east-2").await;
    let kms = kms(&stub, "us-east-2").await;
    let (made, wrapped) = kms.generate(&context()).await.expect("a data key");

    stub.set(State::Late(UNDER));
    let (before, began) = (stub.asked(), Instant::now());
    let opened = kms.unwrap(&wrapped, &context()).await.expect("late, and in time");
    assert!(began.elapsed() >= UNDER, "the control: it was late");
    assert_eq!((stub.asked() - before, opened.bytes()), (1, made.bytes()), "nobody asked twice");

    // The first attempt is given up, and the next one, which is answered at once, is enough.
    stub.set(State::Late(OVER));
    let (before, began) = (stub.asked(), Instant::now());
    let (asking, wrapped_too) = (kms.clone(), wrapped.clone());
    let asked = tokio::spawn(async move { asking.unwrap(&wrapped_too, &context()).await });
    while stub.asked() == before {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody asks");
        tokio::task::yield_now().await;
    }
    stub.set(State::Enabled);
    let opened = asked.await.expect("it ends").expect("the second attempt opens it");
    assert_eq!((stub.asked() - before, opened.bytes()), (2, made.bytes()));

    // All of them late: it ends in time, and says that trying again may help.
    stub.set(State::Late(OVER));
    let (before, began) = (stub.asked(), Instant::now());
    let refused = kms.unwrap(&wrapped, &context()).await.expect_err("no answer came in time");
    assert!(matches!(refused, KmsError::Unreachable { .. }), "{refused}");
    assert!(refused.to_string().contains("no answer in time"), "{refused}");
    assert!((2..=3).contains(&(stub.asked() - before)), "{}", stub.asked() - before);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[tokio::test]
async fn another_aws_region_and_another_context_are_refused() {
    let stub = Stub::start(KEY, "us-east-2").await;
    let (_, wrapped) = kms(&stub, "us-east-2").await.generate(&context()).await.expect("a data key");
    let refused = kms(&stub, "us-west-1").await.unwrap(&wrapped, &context()).await;
    assert!(matches!(refused, Err(KmsError::Refused { .. })), "a signature for another region");
    let moved = KeyContext { patient: Some(PatientId::from_bytes([2; 16])), ..context() };
    let refused = kms(&stub, "us-east-2").await.unwrap(&wrapped, &moved).await;
    assert!(matches!(refused, Err(KmsError::DoesNotOpen { .. })), "another patient");
    kms(&stub, "us-east-2").await.unwrap(&wrapped, &context()).await.expect("the control");
}

struct Random;
impl Entropy for Random {
    fn fill(&self, dest: &mut [u8]) {
        getrandom(dest);
    }
}

/// Distinct enough for names of keys, and no random source is needed here.
fn getrandom(dest: &mut [u8]) {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes();
    dest.iter_mut().zip(next.iter().cycle()).for_each(|(byte, of)| *byte = *of);
}

#[tokio::test]
async fn while_the_kms_is_out_reads_go_on_until_the_time_to_live_ends_and_then_they_are_refused() {
    const OPEN: Duration = Duration::from_secs(2);
    let stub = Stub::start(KEY, "us-east-2").await;
    let folder = tempfile::tempdir().expect("a folder");
    let keyring = EmbeddedKeyring::open(&folder.path().join("keyring.redb")).expect("a keyring");
    let envelope = Envelope::new(
        Arc::new(kms(&stub, "us-east-2").await),
        Arc::new(keyring),
        "test".parse().expect("a label"),
        region(),
        Arc::new(Random),
        EnvelopeLimits { open_keys_max: 100, open_max: OPEN },
    );
    let owner = KeyOwner::Patient(PatientId::from_bytes([1; 16]), Category::General);
    let sealing = envelope.sealing_key(owner).await.expect("a key");
    let before = stub.asked();
    let opened_at = Instant::now();
    let first = envelope.opening_key(sealing.id, owner).await.expect("it opens");
    assert_eq!(stub.asked() - before, 1);
    let held = Arc::downgrade(&first);
    drop(first);

    stub.set(State::Disabled);
    let mut served = 0;
    let refused = loop {
        match envelope.opening_key(sealing.id, owner).await {
            Ok(_) => {
                served += 1;
                assert!(opened_at.elapsed() < OPEN + Duration::from_secs(5), "it is served for ever");
            }
            Err(refused) => break refused,
        }
        tokio::task::yield_now().await;
    };
    assert!(served > 10, "reads went on: {served}");
    assert!(opened_at.elapsed() >= OPEN, "refused before the time to live was over: {:?}", opened_at.elapsed());
    assert!(matches!(&*refused, EnvelopeError::Kms(KmsError::Refused { .. })), "{refused}");
    // The last owner of the key zeroes it when it goes (`DataKey` is `Zeroizing`): so it must be gone.
    while held.upgrade().is_some() {
        assert!(opened_at.elapsed() < OPEN * 2 + Duration::from_secs(5), "the key is still open");
        tokio::task::yield_now().await;
    }

    stub.set(State::Enabled);
    envelope.opening_key(sealing.id, owner).await.expect("the control: it opens again once the KMS is back");
}
