use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use residency_policy::{Category, PatientId};
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::local::LocalKms;
use storage_keys::{
    DataKey, DataKeyId, Envelope, EnvelopeError, EnvelopeLimits, KeyContext, KeyOwner, KeyRecord, Keyring,
    KeyringError, KmsError, RegionKms, Wrapped,
};
use tempfile::TempDir;

use crate::{cluster, entropy, patient, region};

struct Counted {
    kms: LocalKms,
    generated: AtomicU32,
    opened: AtomicU32,
    /// Whoever holds it keeps data keys from being opened.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl RegionKms for Counted {
    fn generate<'a>(&'a self, context: &'a KeyContext) -> BoxFuture<'a, Result<(DataKey, Wrapped), KmsError>> {
        self.generated.fetch_add(1, Ordering::SeqCst);
        self.kms.generate(context)
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            drop(self.gate.lock().await);
            self.kms.unwrap(wrapped, context).await
        })
    }

    fn rewrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a KeyContext,
    ) -> BoxFuture<'a, Result<Option<Wrapped>, KmsError>> {
        self.kms.rewrap(wrapped, context)
    }

    fn describe(&self) -> String {
        self.kms.describe()
    }
}

/// A keyring that can be told to fail, and to lie about whose a key is.
struct Faulty {
    keyring: EmbeddedKeyring,
    full: AtomicBool,
    lies: AtomicBool,
}

impl Faulty {
    fn altered(&self, record: Option<KeyRecord>, owner: KeyOwner) -> Option<KeyRecord> {
        record
            .map(|record| if self.lies.load(Ordering::SeqCst) { KeyRecord { owner, ..record } } else { record })
    }
}

const LIE: KeyOwner = KeyOwner::Patient(PatientId::from_bytes([2; 16]), Category::General);

impl Keyring for Faulty {
    fn newest(&self, owner: KeyOwner) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        self.keyring.newest(owner)
    }

    fn by_id(&self, id: DataKeyId) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        Box::pin(async move { Ok(self.altered(self.keyring.by_id(id).await?, LIE)) })
    }

    fn insert(&self, record: KeyRecord) -> BoxFuture<'_, Result<KeyRecord, KeyringError>> {
        if self.full.load(Ordering::SeqCst) {
            let full = KeyringError::Unavailable { keyring: "test".into(), why: "no room".into() };
            return Box::pin(async { Err(full) });
        }
        self.keyring.insert(record)
    }

    fn destroy(&self, patient: PatientId) -> BoxFuture<'_, Result<Vec<DataKeyId>, KeyringError>> {
        self.keyring.destroy(patient)
    }

    fn after(
        &self,
        after: Option<DataKeyId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeyRecord>, KeyringError>> {
        self.keyring.after(after, limit)
    }

    fn replace(&self, id: DataKeyId, from: Wrapped, to: Wrapped) -> BoxFuture<'_, Result<bool, KeyringError>> {
        self.keyring.replace(id, from, to)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        self.keyring.check()
    }

    fn describe(&self) -> String {
        "test".into()
    }
}

struct Keys {
    kms: Arc<Counted>,
    keyring: Arc<Faulty>,
    envelope: Arc<Envelope>,
    _folder: TempDir,
}

fn envelope(kms: &Arc<Counted>, keyring: &Arc<Faulty>, limits: EnvelopeLimits) -> Arc<Envelope> {
    let (kms, keyring) = (Arc::clone(kms) as Arc<dyn RegionKms>, Arc::clone(keyring) as Arc<dyn Keyring>);
    Arc::new(Envelope::new(kms, keyring, cluster(), region("TX"), entropy(), limits))
}

fn keys(limits: EnvelopeLimits) -> Keys {
    let folder = tempfile::tempdir().expect("a folder");
    let kms = LocalKms::open_or_create(&folder.path().join("master.json"), entropy()).expect("a KMS");
    let kms = Arc::new(Counted {
        kms,
        generated: AtomicU32::new(0),
        opened: AtomicU32::new(0),
        gate: Arc::default(),
    });
    let keyring = EmbeddedKeyring::open(&folder.path().join("keyring.redb")).expect("a keyring");
    let keyring = Arc::new(Faulty { keyring, full: AtomicBool::new(false), lies: AtomicBool::new(false) });
    let envelope = envelope(&kms, &keyring, limits);
    Keys { kms, keyring, envelope, _folder: folder }
}

fn general(n: u8) -> KeyOwner {
    KeyOwner::Patient(patient(n), Category::General)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_miss_together_share_one_key_and_one_look_up() {
    let keys = keys(EnvelopeLimits::default());
    let asking = (0..100).map(|_| {
        let envelope = Arc::clone(&keys.envelope);
        tokio::spawn(async move { envelope.sealing_key(general(1)).await.expect("a key").id })
    });
    let ids = futures::future::join_all(asking).await;
    let ids: std::collections::BTreeSet<_> = ids.into_iter().map(|id| id.expect("it ends well")).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(keys.kms.generated.load(Ordering::SeqCst), 1);
    let id = *ids.first().expect("an id");
    let asking = (0..100).map(|_| keys.envelope.opening_key(id, general(1)));
    assert!(futures::future::join_all(asking).await.iter().all(Result::is_ok));
    assert_eq!(keys.kms.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn every_patient_and_category_has_a_key_of_its_own() {
    let keys = keys(EnvelopeLimits::default());
    let mut seen = std::collections::BTreeSet::new();
    let mut owners = vec![KeyOwner::Region, KeyOwner::BlindIndex];
    owners.extend(
        [1, 2].into_iter().flat_map(|n| Category::ALL.map(|category| KeyOwner::Patient(patient(n), category))),
    );
    for owner in &owners {
        let open = keys.envelope.sealing_key(*owner).await.expect("a key");
        assert!(seen.insert(*open.key.bytes()) && open.owner == *owner && open.version == 1);
        assert!(!format!("{open:?}").contains(&format!("{:?}", open.key.bytes())), "a key is never printed");
    }
    assert_eq!(seen.len(), owners.len());
}

#[tokio::test]
async fn a_key_answers_to_its_owner_only_from_the_cache_and_from_an_altered_keyring() {
    let keys = keys(EnvelopeLimits::default());
    let id = keys.envelope.sealing_key(general(1)).await.expect("a key").id;
    keys.envelope.opening_key(id, general(1)).await.expect("the control: its owner");
    let refused = keys.envelope.opening_key(id, general(2)).await.expect_err("another owner, from the cache");
    assert!(matches!(*refused, EnvelopeError::NotTheirs(_)), "{refused}");

    let fresh = envelope(&keys.kms, &keys.keyring, EnvelopeLimits::default());
    let refused = fresh.opening_key(id, general(2)).await.expect_err("another owner, from the keyring");
    assert!(matches!(*refused, EnvelopeError::NotTheirs(_)), "{refused}");
    keys.keyring.lies.store(true, Ordering::SeqCst);
    let refused = fresh.opening_key(id, general(2)).await.expect_err("a keyring that was altered");
    assert!(matches!(*refused, EnvelopeError::Kms(KmsError::DoesNotOpen { .. })), "{refused}");
}

#[tokio::test]
async fn a_key_that_could_not_be_kept_is_not_given() {
    let keys = keys(EnvelopeLimits::default());
    keys.keyring.full.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let refused = keys.envelope.sealing_key(general(1)).await.expect_err("the keyring has no room");
        assert!(matches!(*refused, EnvelopeError::Keyring(_)), "{refused}");
    }
    keys.keyring.full.store(false, Ordering::SeqCst);
    let given = keys.envelope.sealing_key(general(1)).await.expect("the control: there is room");
    let kept = keys.keyring.by_id(given.id).await.expect("an answer");
    assert!(kept.is_some(), "what is given is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_of_a_region_agree_on_a_new_key() {
    let keys = keys(EnvelopeLimits::default());
    let other = envelope(&keys.kms, &keys.keyring, EnvelopeLimits::default());
    for n in 0..50 {
        let (a, b) = tokio::join!(keys.envelope.sealing_key(general(n)), other.sealing_key(general(n)));
        let (a, b) = (a.expect("a key"), b.expect("a key"));
        assert_eq!((a.id, a.key.bytes()), (b.id, b.key.bytes()));
    }
}

#[tokio::test]
async fn open_keys_are_bounded_and_let_go_of_also_when_nobody_asks() {
    let limits = EnvelopeLimits { open_keys_max: 4, open_max: Duration::from_millis(300) };
    let keys = keys(limits);
    for n in 0..32 {
        keys.envelope.sealing_key(general(n)).await.expect("a key");
    }
    let open = keys.envelope.open_keys().await;
    assert!((1..=4).contains(&open), "{open}");
    let held = keys.envelope.sealing_key(general(1)).await.expect("a key");
    let weak = Arc::downgrade(&held);
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(20);
    // Nobody asks the envelope: the key must go by itself.
    while weak.strong_count() > 0 {
        assert!(Instant::now() < deadline, "an expired key stays open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_destroyed_key_is_gone_at_once_here_and_when_caches_expire_elsewhere() {
    let keys = keys(EnvelopeLimits::default());
    let brief = EnvelopeLimits { open_keys_max: 100, open_max: Duration::from_millis(200) };
    let other = envelope(&keys.kms, &keys.keyring, brief);
    let id = keys.envelope.sealing_key(general(1)).await.expect("a key").id;
    keys.envelope.opening_key(id, general(1)).await.expect("the control: it opens here");
    other.opening_key(id, general(1)).await.expect("the control: it opens there");
    assert_eq!(keys.envelope.destroy(patient(1)).await.expect("a destruction"), [id]);
    let refused = keys.envelope.opening_key(id, general(1)).await.expect_err("it is destroyed");
    assert!(matches!(*refused, EnvelopeError::NoSuchKey(_)), "{refused}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while other.opening_key(id, general(1)).await.is_ok() {
        assert!(Instant::now() < deadline, "it still opens elsewhere");
        tokio::task::yield_now().await;
    }
}

/// A look-up has read the keyring and waits for the KMS while the key is destroyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_destroyed_while_it_is_looked_for_is_not_given() {
    for (destroyed, gone) in [(1, true), (2, false)] {
        let keys = keys(EnvelopeLimits::default());
        let id = keys.envelope.sealing_key(general(1)).await.expect("a key").id;
        let fresh = envelope(&keys.kms, &keys.keyring, EnvelopeLimits::default());
        let shut = Arc::clone(&keys.kms.gate).lock_owned().await;
        let asking = [fresh.clone(), fresh.clone()].map(|envelope| {
            tokio::spawn(async move { envelope.opening_key(id, general(1)).await.map(|open| open.id) })
        });
        let sealing = fresh.clone();
        let sealing = tokio::spawn(async move { sealing.sealing_key(general(1)).await.map(|open| open.id) });
        let deadline = Instant::now() + Duration::from_secs(20);
        while keys.kms.opened.load(Ordering::SeqCst) < 2 {
            assert!(Instant::now() < deadline, "nobody asks the KMS");
            tokio::task::yield_now().await;
        }
        fresh.destroy(patient(destroyed)).await.expect("a destruction");
        drop(shut);
        for asked in asking.into_iter().chain([sealing]) {
            let answer = asked.await.expect("it ends");
            let refused = matches!(answer.as_ref().map_err(AsRef::as_ref), Err(EnvelopeError::NoSuchKey(_)));
            assert_eq!(refused, gone, "patient {destroyed}: {answer:?}");
        }
        assert_eq!(fresh.opening_key(id, general(1)).await.is_err(), gone, "nor later");
        let next = fresh.sealing_key(general(1)).await.expect("a key").id;
        assert_eq!(next != id, gone, "what is sealed from now on can be opened");
        fresh.opening_key(next, general(1)).await.expect("the control: it opens");
    }
}

#[tokio::test]
async fn the_check_asks_the_kms() {
    let keys = keys(EnvelopeLimits::default());
    keys.envelope.check_kms().await.expect("it answers");
    assert_eq!(keys.kms.generated.load(Ordering::SeqCst), 1);
}
