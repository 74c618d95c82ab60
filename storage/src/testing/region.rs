//! One region on a test server: a database, a KMS, a keyring and a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::date;
use residency_policy::decide::RegionDecision;
use residency_policy::{
    Act, Category, Clock, Decision, Entropy, Epoch, Home, Jurisdiction, KeyId, Label, OrgId, PatientId, Permit,
    Placement, PlacementState, Purpose, Region, RegionPermit, RequestId, Role, Ruleset, Standing, UserId, View,
    decide, decide_region,
};
use ring::rand::{SecureRandom, SystemRandom};
use storage_keys::connect::{Secret, Server};
use storage_keys::embedded::EmbeddedKeyring;
use storage_keys::local::LocalKms;
use storage_keys::{Envelope, EnvelopeLimits};
use tempfile::TempDir;
use tokio_postgres::Client;

use super::PostgresServer;
use crate::{
    APP, Circumstances, MigrateConfig, OWNER, PoolConfig, Provision, RegionPool, Scope, Timeouts, migrate,
    provision,
};

/// Real randomness.
#[derive(Debug, Clone)]
pub struct TestEntropy(SystemRandom);

impl Default for TestEntropy {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for TestEntropy {
    fn fill(&self, dest: &mut [u8]) {
        self.0.fill(dest).expect("the operating system has randomness");
    }
}

/// A clock that stands where it is set.
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_microsecond(), Ordering::SeqCst);
    }
}

impl Default for SetClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_795_000_000_000_000))
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).expect("a set instant")
    }
}

/// A region on a test server.
pub struct TestRegion {
    /// The pool.
    pub pool: RegionPool,
    /// Its database.
    pub dbname: String,
    /// What the pool was opened with.
    pub config: PoolConfig,
    /// Its keys.
    pub envelope: Arc<Envelope>,
    /// Its clock.
    pub clock: Arc<SetClock>,
    /// Holds `master.json` and `keyring.redb`.
    pub keys: TempDir,
    superuser: Server,
    owner: Server,
}

impl TestRegion {
    /// A migrated and opened region of a jurisdiction, such as `TX`, in a database of its own.
    pub async fn new(server: &PostgresServer, postal: &str) -> Self {
        let region = Region(Jurisdiction::from_postal(postal).expect("a jurisdiction"));
        let keys = tempfile::tempdir().expect("a temporary folder");
        let envelope = Self::envelope_in(&keys, region);
        Self::with_envelope(server, region, keys, envelope).await
    }

    /// The same with keys of the caller's making.
    pub async fn with_envelope(
        server: &PostgresServer,
        region: Region,
        keys: TempDir,
        envelope: Arc<Envelope>,
    ) -> Self {
        let dbname = Self::database(server, region).await;
        let config = PoolConfig {
            server: server.server(&dbname, APP),
            cluster: Self::cluster(),
            region,
            connections_max: 16,
            timeouts: Timeouts::default(),
        };
        let clock = Arc::new(SetClock::default());
        let pool = RegionPool::open(
            config.clone(),
            Arc::clone(&envelope),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(TestEntropy::default()),
        );
        let pool = pool.await.expect("the pool opens");
        let (superuser, owner) = (server.superuser(&dbname), server.server(&dbname, OWNER));
        Self { pool, dbname, config, envelope, clock, keys, superuser, owner }
    }

    /// A provisioned and migrated database without a pool.
    pub async fn database(server: &PostgresServer, region: Region) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dbname = format!("{}_{}", region.name(), COUNT.fetch_add(1, Ordering::Relaxed));
        let password = Secret::new(server.superuser("postgres").password.reveal());
        let wanted =
            Provision { dbname: dbname.clone(), owner_password: password.clone(), app_password: password };
        let superuser = server.superuser("postgres").connect("test", "").await.expect("the superuser connects");
        provision(&superuser, &wanted).await.expect("provisioning works");
        let config = MigrateConfig { server: server.server(&dbname, OWNER) };
        migrate(config, region, Self::cluster()).await.expect("migrating works");
        dbname
    }

    /// The keys in a folder: made when there are none.
    pub fn envelope_in(keys: &TempDir, region: Region) -> Arc<Envelope> {
        let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::default());
        let kms =
            LocalKms::open_or_create(&keys.path().join("master.json"), Arc::clone(&entropy)).expect("a KMS");
        let keyring = EmbeddedKeyring::open(&keys.path().join("keyring.redb")).expect("a keyring");
        let limits = EnvelopeLimits::default();
        Arc::new(Envelope::new(Arc::new(kms), Arc::new(keyring), Self::cluster(), region, entropy, limits))
    }

    /// The deployment of all test regions.
    pub fn cluster() -> Label {
        "test".parse().expect("a label")
    }

    /// The region.
    pub fn region(&self) -> Region {
        self.config.region
    }

    /// Adds ids as the control plane would, and takes one.
    pub async fn patient(&self) -> PatientId {
        let id = PatientId::random(&TestEntropy::default());
        crate::ids::refill(&self.pool, &[id]).await.expect("ids are added");
        self.pool.take_id().await.expect("an id is there")
    }

    /// A permit for a patient at the first epoch.
    pub fn permit(&self, patient: PatientId, act: Act) -> Permit {
        permit(self.region(), patient, Epoch::FIRST, act)
    }

    /// A connection as the superuser: sees everything.
    pub async fn as_superuser(&self) -> Client {
        self.superuser.connect("test", "").await.expect("the superuser connects")
    }

    /// A connection as the tables' owner.
    pub async fn as_owner(&self) -> Client {
        self.owner.connect("test", "").await.expect("the owner connects")
    }

    /// A bare connection as the app's role, outside the pool.
    pub async fn as_app(&self) -> Client {
        self.config.server.connect("test", "").await.expect("the app's role connects")
    }
}

fn rules() -> Ruleset {
    Ruleset::parse("version = 1\n").expect("no rules are rules")
}

/// A permit, by the one way there is: a decision.
pub fn permit(region: Region, patient: PatientId, epoch: Epoch, act: Act) -> Permit {
    let rules = rules();
    let view = View { age: Duration::ZERO, age_max: Duration::from_secs(1), rules: Some(&rules) };
    let placement = Placement { patient, home: Home(region), epoch, state: PlacementState::Active };
    let standing = Standing::Node { region, via: None };
    match decide(standing, &view, patient, Some(placement), Category::General, act, date(2026, 11, 22)) {
        Decision::Serve(permit) => permit,
        other => panic!("the home serves its own patient: {other:?}"),
    }
}

/// A permit for a region as a whole.
pub fn region_permit(region: Region) -> RegionPermit {
    let rules = rules();
    let view = View { age: Duration::ZERO, age_max: Duration::from_secs(1), rules: Some(&rules) };
    let standing = Standing::Node { region, via: None };
    match decide_region(standing, &view, Home(region), Category::General, date(2026, 11, 22)) {
        RegionDecision::Serve(permit) => permit,
        other => panic!("the home serves its own lists: {other:?}"),
    }
}

/// A clinician of an organisation who treats.
pub fn scope(org: OrgId) -> Scope {
    let entropy = TestEntropy::default();
    Scope {
        org,
        role: Role::Provider.into(),
        purpose: Purpose::Treat,
        key: KeyId::random(&entropy),
        user: Some(UserId::random(&entropy)),
        request: RequestId::random(&entropy),
        accessor: None,
        via: None,
        category: residency_policy::Category::General,
        judge: None,
        circumstances: Circumstances::default(),
    }
}
