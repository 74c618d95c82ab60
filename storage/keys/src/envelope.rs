//! Data keys in use: made when first needed, open for a minute at most, destroyed on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use residency_policy::{Category, Entropy, Label, PatientId, Region};

use crate::{DataKey, DataKeyId, KeyContext, KeyOwner, KeyRecord, Keyring, KeyringError, KmsError, RegionKms};

/// How many data keys are open at once, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct EnvelopeLimits {
    /// The most open keys.
    pub open_keys_max: u64,
    /// The longest that a key stays open without being fetched again.
    pub open_max: Duration,
}

impl Default for EnvelopeLimits {
    fn default() -> Self {
        Self { open_keys_max: 20_000, open_max: Duration::from_mins(1) }
    }
}

/// An open data key and its name. Zeroed when the cache lets go of it and the last use has ended.
#[derive(Debug)]
pub struct OpenKey {
    /// The name that goes into the header.
    pub id: DataKeyId,
    /// Whose it is.
    pub owner: KeyOwner,
    /// First, second, ... of its owner.
    pub version: u32,
    /// The key.
    pub key: DataKey,
}

/// An open key as a cache has it.
struct Cached {
    open: Arc<OpenKey>,
    /// How many destructions there had been when the keyring last had the key.
    as_of: AtomicU64,
}

impl Cached {
    fn new(open: OpenKey, as_of: u64) -> Arc<Self> {
        Arc::new(Self { open: Arc::new(open), as_of: AtomicU64::new(as_of) })
    }
}

/// No time-to-idle: a key that is used without pause is fetched again too, so a destroyed one stops working.
fn cache<K, V>(limits: EnvelopeLimits) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(limits.open_keys_max).time_to_live(limits.open_max).build()
}

/// What a rewrap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrapped {
    /// Keys wrapped again.
    pub again: u64,
    /// Keys that were wrapped by the newest version already, or were destroyed meanwhile.
    pub already: u64,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// From the KMS.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// From the keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The key was destroyed, or is of another keyring.
    #[error("no data key {0} in the keyring: it was destroyed, or the keyring is another one")]
    NoSuchKey(DataKeyId),
    /// The key is another owner's.
    #[error("data key {0} belongs to another patient, category or use")]
    NotTheirs(DataKeyId),
}

/// Opens, caches and destroys data keys. Callers that miss the same key at the same moment share one look-up.
pub struct Envelope {
    kms: Arc<dyn RegionKms>,
    keyring: Arc<dyn Keyring>,
    cluster: Label,
    region: Region,
    entropy: Arc<dyn Entropy>,
    newest: Cache<KeyOwner, Arc<Cached>>,
    by_id: Cache<DataKeyId, Arc<Cached>>,
    /// How often keys were destroyed here. A look-up that began before one may end after it: what it found is looked
    /// for once more.
    destructions: AtomicU64,
}

impl Envelope {
    /// Joins a KMS key and a keyring. Inside a tokio runtime, a task lets go of expired keys also when nobody asks.
    pub fn new(
        kms: Arc<dyn RegionKms>,
        keyring: Arc<dyn Keyring>,
        cluster: Label,
        region: Region,
        entropy: Arc<dyn Entropy>,
        limits: EnvelopeLimits,
    ) -> Self {
        let (newest, by_id) = (cache(limits), cache(limits));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(let_go(newest.clone(), by_id.clone(), limits.open_max / 4, Arc::downgrade(&kms)));
        }
        Self { kms, keyring, cluster, region, entropy, newest, by_id, destructions: AtomicU64::new(0) }
    }

    /// The deployment that the keys belong to.
    pub fn cluster(&self) -> Label {
        self.cluster
    }

    /// The region that the keys belong to.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Which KMS key is used, in words for an operator.
    pub fn describe_kms(&self) -> String {
        self.kms.describe()
    }

    /// Where the wrapped keys are.
    pub fn keyring(&self) -> &dyn Keyring {
        self.keyring.as_ref()
    }

    /// The key that new cells of an owner are sealed under. Made, and durable in the keyring, if there is none yet.
    pub async fn sealing_key(&self, owner: KeyOwner) -> Result<Arc<OpenKey>, Arc<EnvelopeError>> {
        let cached = match self.newest.get(&owner).await {
            Some(cached) => cached,
            None => self.newest.try_get_with(owner, self.newest_or_new(owner)).await?,
        };
        self.still_kept(&cached).await
    }

    /// The key of this name, if it is this owner's.
    pub async fn opening_key(
        &self,
        id: DataKeyId,
        owner: KeyOwner,
    ) -> Result<Arc<OpenKey>, Arc<EnvelopeError>> {
        let cached = match self.by_id.get(&id).await {
            Some(cached) => cached,
            None => self.by_id.try_get_with(id, self.find(id, owner)).await?,
        };
        let open = self.still_kept(&cached).await?;
        // A cached key answers to its owner only: the cache must not give what the KMS would refuse.
        if open.owner == owner { Ok(open) } else { Err(Arc::new(EnvelopeError::NotTheirs(id))) }
    }

    /// How often keys were destroyed here. A key that was got after this count was taken, and before it changed, is one
    /// that nobody destroyed here meanwhile.
    pub fn destructions(&self) -> u64 {
        self.destructions.load(Ordering::Acquire)
    }

    /// Destroys all data keys of a patient and returns their names. This node forgets them at once, others of the
    /// same region when their caches expire. A look-up that is under way meanwhile finds nothing either.
    pub async fn destroy(&self, patient: PatientId) -> Result<Vec<DataKeyId>, EnvelopeError> {
        let destroyed = self.keyring.destroy(patient).await;
        self.destructions.fetch_add(1, Ordering::AcqRel);
        for category in Category::ALL {
            self.newest.invalidate(&KeyOwner::Patient(patient, category)).await;
        }
        // By owner and not by the names that came back: a destruction that is repeated after a failure has none.
        for (id, cached) in &self.by_id {
            if cached.open.owner.patient() == Some(patient) {
                self.by_id.invalidate(&*id).await;
            }
        }
        self.newest.run_pending_tasks().await;
        self.by_id.run_pending_tasks().await;
        Ok(destroyed?)
    }

    /// Gives an owner a new data key. What is sealed from now on is sealed under it; older cells still open.
    pub async fn rotate(&self, owner: KeyOwner) -> Result<DataKeyId, EnvelopeError> {
        let as_of = self.destructions.load(Ordering::Acquire);
        let version = self.keyring.newest(owner).await?.map_or(0, |newest| newest.version) + 1;
        let open = self.make(owner, version).await?;
        let id = open.id;
        self.newest.insert(owner, Cached::new(open, as_of)).await;
        Ok(id)
    }

    /// Wraps every data key under the newest version of the KMS key. Rows are not touched: the data keys stay.
    pub async fn rewrap(&self) -> Result<Rewrapped, EnvelopeError> {
        let (mut done, mut after) = (Rewrapped::default(), None);
        loop {
            let keys = self.keyring.after(after, 256).await?;
            let Some(last) = keys.last() else { return Ok(done) };
            after = Some(last.id);
            for key in keys {
                let context = self.context(key.owner);
                let replaced = match self.kms.rewrap(&key.wrapped, &context).await? {
                    Some(wrapped) => self.keyring.replace(key.id, key.wrapped, wrapped).await?,
                    None => false,
                };
                if replaced { done.again += 1 } else { done.already += 1 }
            }
        }
    }

    /// Whether the KMS answers and its key may be used.
    pub async fn check_kms(&self) -> Result<(), EnvelopeError> {
        Ok(self.kms.check(&self.context(KeyOwner::Region)).await?)
    }

    /// How many keys are open now.
    pub async fn open_keys(&self) -> u64 {
        self.newest.run_pending_tasks().await;
        self.by_id.run_pending_tasks().await;
        self.newest.entry_count() + self.by_id.entry_count()
    }

    fn context(&self, owner: KeyOwner) -> KeyContext {
        KeyContext::of(self.cluster, self.region, owner)
    }

    /// The key, unless it was destroyed here while it was looked for or since.
    async fn still_kept(&self, cached: &Cached) -> Result<Arc<OpenKey>, Arc<EnvelopeError>> {
        let now = self.destructions.load(Ordering::Acquire);
        if cached.as_of.load(Ordering::Acquire) != now {
            let OpenKey { id, owner, .. } = *cached.open;
            if self.keyring.by_id(id).await.map_err(EnvelopeError::from)?.is_none() {
                self.newest.invalidate(&owner).await;
                self.by_id.invalidate(&id).await;
                return Err(Arc::new(EnvelopeError::NoSuchKey(id)));
            }
            cached.as_of.fetch_max(now, Ordering::AcqRel);
        }
        Ok(Arc::clone(&cached.open))
    }

    async fn newest_or_new(&self, owner: KeyOwner) -> Result<Arc<Cached>, EnvelopeError> {
        let as_of = self.destructions.load(Ordering::Acquire);
        let open = match self.keyring.newest(owner).await? {
            Some(record) => self.open(&record, owner).await?,
            None => self.make(owner, 1).await?,
        };
        Ok(Cached::new(open, as_of))
    }

    async fn find(&self, id: DataKeyId, owner: KeyOwner) -> Result<Arc<Cached>, EnvelopeError> {
        let as_of = self.destructions.load(Ordering::Acquire);
        let record = self.keyring.by_id(id).await?.ok_or(EnvelopeError::NoSuchKey(id))?;
        Ok(Cached::new(self.open(&record, owner).await?, as_of))
    }

    /// The context is that of the owner who is asked for, not of the owner whom the keyring names: an altered keyring
    /// does not make one patient's key open for another.
    async fn open(&self, record: &KeyRecord, owner: KeyOwner) -> Result<OpenKey, EnvelopeError> {
        if record.owner != owner {
            return Err(EnvelopeError::NotTheirs(record.id));
        }
        let key = self.kms.unwrap(&record.wrapped, &self.context(owner)).await?;
        Ok(OpenKey { id: record.id, owner, version: record.version, key })
    }

    async fn make(&self, owner: KeyOwner, version: u32) -> Result<OpenKey, EnvelopeError> {
        let (key, wrapped) = self.kms.generate(&self.context(owner)).await?;
        let id = DataKeyId::random(self.entropy.as_ref());
        let kept = self.keyring.insert(KeyRecord { id, owner, version, wrapped }).await?;
        if kept.id == id {
            return Ok(OpenKey { id, owner, version, key });
        }
        // Another node was first. Its key is the one.
        self.open(&kept, owner).await
    }
}

/// moka drops expired entries when it is used; an idle node must let go of open keys too.
async fn let_go(
    newest: Cache<KeyOwner, Arc<Cached>>,
    by_id: Cache<DataKeyId, Arc<Cached>>,
    every: Duration,
    alive: std::sync::Weak<dyn RegionKms>,
) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(10)));
    while alive.strong_count() > 0 {
        tick.tick().await;
        newest.run_pending_tasks().await;
        by_id.run_pending_tasks().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    use zeroize::{Zeroize, Zeroizing};

    use super::*;

    /// In the place of a key's bytes: counts how often it was zeroed.
    struct Probe(Arc<AtomicUsize>);

    impl Zeroize for Probe {
        fn zeroize(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn zeroed(count: &AtomicUsize, wanted: usize, cache: &Cache<usize, Arc<Zeroizing<Probe>>>) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while count.load(Ordering::SeqCst) < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted}", count.load(Ordering::SeqCst));
            cache.run_pending_tasks().await;
            tokio::task::yield_now().await;
        }
        assert_eq!(count.load(Ordering::SeqCst), wanted);
    }

    /// A key that is in no cache any more and in nobody's hands is zeroed, whyever it went.
    #[tokio::test]
    async fn what_a_cache_lets_go_of_is_zeroed() {
        let count = Arc::new(AtomicUsize::new(0));
        let probe = || Arc::new(Zeroizing::new(Probe(Arc::clone(&count))));
        let lasting = cache(EnvelopeLimits::default());
        for n in 0..2 {
            lasting.insert(n, probe()).await;
        }
        let held = lasting.get(&0).await.expect("the control: it is there");
        assert_eq!(count.load(Ordering::SeqCst), 0, "the control: nothing was let go of");
        lasting.invalidate(&0).await;
        lasting.invalidate(&1).await;
        zeroed(&count, 1, &lasting).await;
        drop(held);
        assert_eq!(count.load(Ordering::SeqCst), 2, "by whoever has it last");
        let brief = cache(EnvelopeLimits { open_keys_max: 4, open_max: Duration::from_millis(300) });
        for n in 0..30 {
            brief.insert(n, probe()).await;
        }
        // Too many, and then too old: in the end all are gone, and nobody asked for one.
        zeroed(&count, 32, &brief).await;
    }
}
