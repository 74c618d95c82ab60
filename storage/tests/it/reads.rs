//! Reads: each sees its own and no more, whoever it travels with, and fails alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use residency_policy::{Act, Epoch, PatientId, PlacementState, Role};
use storage::testing::{SetClock, TestEntropy, TestRegion, permit, region_permit, scope};
use storage::{Access, AccessAction, Error, Reading as _, RegionPool, RegionRead, RegionTx, Unavailable};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{an_org, count, read, register, texas};

const PATIENTS: &str = "SELECT id FROM patients";
const HELD: &str = "SELECT pg_advisory_xact_lock_shared(7) IS NULL AS held";
const BROKEN: &str = "SELECT 1 / (SELECT count(*) FROM patients WHERE version = 0)::int AS broken";

/// A pool whose reads all take one lane.
async fn one_lane(region: &TestRegion) -> RegionPool {
    let mut config = region.config.clone();
    config.connections_max = 8;
    let clock = Arc::new(SetClock::default());
    let pool =
        RegionPool::open(config, Arc::clone(&region.envelope), clock, Arc::new(TestEntropy::default())).await;
    pool.expect("a pool")
}

/// What makes a lane stand still until it is let go, so that what comes meanwhile travels together.
struct Hold(Client);

impl Hold {
    async fn on(region: &TestRegion) -> Self {
        let client = region.as_superuser().await;
        client.execute("SELECT pg_advisory_lock(7)", &[]).await.expect("a lock");
        Self(client)
    }

    async fn until_waiting(&self, pool: &RegionPool, reads: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while pool.status().reads_waiting < reads {
            assert!(Instant::now() < deadline, "{:?}", pool.status());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the lane has arrived at the lock.
    async fn until_reached(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while self.0.query_one(waits, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            assert!(Instant::now() < deadline, "nobody waits for the lock");
        }
    }

    async fn let_go(&self) {
        self.0.execute("SELECT pg_advisory_unlock(7)", &[]).await.expect("the lock is let go");
    }
}

async fn ids(tx: &RegionRead, sql: &'static str) -> Result<Vec<Uuid>, Error> {
    tx.query(sql, &[]).await?.iter().map(|row| row.get("id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_travel_together_see_their_own_and_fail_alone() {
    let region = texas().await;
    let pool = one_lane(&region).await;
    let mut whose: Vec<(residency_policy::OrgId, PatientId)> = Vec::new();
    for _ in 0..10 {
        let org = an_org();
        whose.push((org, register(&region, org).await.0));
    }
    let hold = Hold::on(&region).await;
    let read = RegionRead::begin_region(&pool, &region_permit(region.region()), &scope(an_org()), "test.held");
    let read = read.expect("a read");
    let first = async { read.query(HELD, &[]).await.map(|rows| rows.len()) };
    let others = async {
        hold.until_reached().await;
        let all = (0..60).map(|n| {
            let (org, patient) = whose[n % whose.len()];
            let (pool, region) = (&pool, &region);
            async move {
                let permit = region.permit(patient, Act::Read);
                let of_region = region_permit(region.region());
                let scope = match n % 6 {
                    4 => storage::Scope { role: Role::Marketer.into(), ..scope(org) },
                    _ => scope(org),
                };
                let tx = if n % 6 == 5 {
                    RegionRead::begin_region(pool, &of_region, &scope, "test.list")?
                } else {
                    RegionRead::begin(pool, &permit, &scope, "test.read")?
                };
                // Row-level security alone chooses.
                let sql = if n % 6 == 3 { BROKEN } else { PATIENTS };
                ids(&tx, sql).await
            }
        });
        let all = join_all(all);
        let letting_go = async {
            hold.until_waiting(&pool, 60).await;
            hold.let_go().await;
        };
        tokio::join!(all, letting_go).0
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!(first.expect("the one that was held"), 1);
    for (n, found) in others.into_iter().enumerate() {
        let own = whose[n % whose.len()].1.uuid();
        match n % 6 {
            3 => assert!(matches!(&found, Err(Error::Sql { code, .. }) if code == "22012"), "{n}: {found:?}"),
            4 => assert!(found.expect("an answer").is_empty(), "{n}: a marketer sees nobody"),
            _ => assert_eq!(found.expect("an answer"), [own], "{n}"),
        }
    }
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 10, "the control: there are others");
    assert_eq!(count(&region, "SELECT count(*) FROM access_log WHERE act LIKE 'test.re%'").await, 10);
}

#[tokio::test]
async fn a_read_of_a_stale_unknown_or_retired_home_is_refused() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let begin = |patient, epoch| {
        let permit = permit(region.region(), patient, Epoch(epoch), Act::Read);
        RegionRead::begin(&region.pool, &permit, &scope(org), "test.fence").expect("a read")
    };
    let refused = async |patient, epoch, home| {
        let asked = begin(patient, epoch).query(PATIENTS, &[]).await.expect_err("the fence");
        assert!(matches!(asked, Error::Fenced { home: found, .. } if found == home), "{asked}");
        let told =
            begin(patient, epoch).disclose(&read(patient)).await.expect_err("the fence without a question");
        assert!(matches!(told, Error::Fenced { home: found, .. } if found == home), "{told}");
    };
    begin(patient, 1).disclose(&read(patient)).await.expect("the control: the present epoch");
    for epoch in [0, 2] {
        refused(patient, epoch, Some(Epoch(1))).await;
    }
    refused(PatientId::random(&TestEntropy::default()), 1, None).await;
    assert!(region.pool.raise_fence(patient, Epoch(2), PlacementState::Retired).await.expect("an answer"));
    for epoch in [1, 2] {
        refused(patient, epoch, None).await;
    }
    let records = "SELECT count(*) FROM access_log WHERE act = 'test.fence'";
    assert_eq!(count(&region, records).await, 1, "what was refused has no record of a disclosure");
}

/// The fence is asked and not held. That is why a move may count on [`storage::Timeouts::read`], which the next test
/// is about.
#[tokio::test]
async fn a_move_does_not_wait_for_a_read() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let permit = region.permit(patient, Act::Read);
    let tx = RegionRead::begin(&region.pool, &permit, &scope(org), "test.slow").expect("a read");
    assert_eq!(ids(&tx, PATIENTS).await.expect("the patient"), [patient.uuid()]);
    region.pool.raise_fence(patient, Epoch(2), PlacementState::Retired).await.expect("it does not wait");
    let asked_again = tx.query(PATIENTS, &[]).await.expect_err("a new question has a new snapshot");
    assert!(matches!(asked_again, Error::Fenced { .. }), "{asked_again}");
    let tx = RegionRead::begin(&region.pool, &permit, &scope(org), "test.late").expect("a read");
    let late = tx.query(PATIENTS, &[]).await.expect_err("whoever comes later");
    assert!(matches!(late, Error::Fenced { .. }), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_takes_too_long_discloses_nothing() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let begin = async |limit| {
        let mut config = region.config.clone();
        config.timeouts.read = limit;
        let clock = Arc::new(SetClock::default());
        let pool =
            RegionPool::open(config, Arc::clone(&region.envelope), clock, Arc::new(TestEntropy::default()))
                .await;
        let (pool, permit) = (pool.expect("a pool"), region.permit(patient, Act::Read));
        let tx = RegionRead::begin(&pool, &permit, &scope(org), "test.long").expect("a read");
        ids(&tx, PATIENTS).await.expect("there is time to ask");
        (pool, tx)
    };
    let superuser = region.as_superuser().await;
    let still = "BEGIN; LOCK access_log IN EXCLUSIVE MODE";
    let (pool, tx) = begin(Duration::from_millis(600)).await;
    superuser.batch_execute(still).await.expect("the log stands still");
    let late = tx.disclose(&read(patient)).await.expect_err("the bound is over");
    assert!(matches!(late, Error::Unavailable(Unavailable::Slow)), "{late}");
    superuser.batch_execute("COMMIT").await.expect("it goes on");
    drop(pool);

    let (_pool, tx) = begin(Duration::from_secs(20)).await;
    superuser.batch_execute(still).await.expect("the log stands still");
    let accesses = read(patient);
    let (in_time, ()) = tokio::join!(tx.disclose(&accesses), async {
        superuser.batch_execute("COMMIT").await.expect("it goes on");
    });
    in_time.expect("the control: in time");
}

#[tokio::test]
async fn a_read_changes_nothing_and_needs_a_permit_of_this_region() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let permit = region.permit(patient, Act::Write);
    let tx = RegionRead::begin(&region.pool, &permit, &scope(org), "test.change").expect("a read");
    for sql in [
        "UPDATE patients SET version = version + 1",
        "WITH hidden AS (UPDATE patients SET version = version + 1 RETURNING id) SELECT id FROM hidden",
    ] {
        let refused = tx.query(sql, &[]).await.expect_err("a change");
        assert!(matches!(refused, Error::NotPermitted(_)), "{refused}");
    }
    // What begins with SELECT and changes something all the same is refused by the database.
    for sql in ["SELECT id FROM patients FOR UPDATE", "SELECT purge_answers(now(), 1) AS purged"] {
        tx.query(sql, &[]).await.expect_err("a lock or a change in a transaction that only reads");
    }
    assert_eq!(ids(&tx, PATIENTS).await.expect("the control: a look"), [patient.uuid()]);
    let california = region_permit(residency_policy::Region("US-CA".parse().expect("a jurisdiction")));
    let elsewhere = RegionRead::begin_region(&region.pool, &california, &scope(org), "test.elsewhere");
    assert!(matches!(elsewhere, Err(Error::OtherRegion { .. })), "{elsewhere:?}");
    let silent = RegionRead::begin(&region.pool, &permit, &scope(org), "test.silent").expect("a read");
    assert!(matches!(silent.disclose(&[]).await, Err(Error::NoAccessRecorded)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_was_given_up_does_not_cost_the_connection() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let mut config = region.config.clone();
    config.connections_max = 1;
    let clock = Arc::new(SetClock::default());
    let pool =
        RegionPool::open(config, Arc::clone(&region.envelope), clock, Arc::new(TestEntropy::default())).await;
    let pool = pool.expect("a pool");
    let begin = async || {
        let (permit, scope) = (region.permit(patient, Act::Write), scope(org));
        RegionTx::begin(&pool, &permit, &scope, "test.given_up").await.expect("a transaction")
    };
    let process = async |tx: &RegionTx| {
        let row = tx.query_one("SELECT pg_backend_pid() AS pid", &[]).await.expect("an answer");
        row.get::<i32>("pid").expect("a process")
    };
    let tx = begin().await;
    let first = process(&tx).await;
    let hold = Hold::on(&region).await;
    tokio::select! {
        biased;
        () = hold.until_reached() => {}
        answer = tx.query(HELD, &[]) => panic!("{answer:?}"),
    }
    hold.let_go().await;
    // The answer of the question that nobody waits for any more comes first, and is read past.
    assert_eq!(process(&tx).await, first);
    drop(tx);
    assert_eq!(process(&begin().await).await, first, "the same connection, after a rollback");

    let tx = begin().await;
    drop(tx.query("SELECT nothing FROM nowhere", &[]).await.expect_err("a failure"));
    tx.query("SELECT 1 AS one", &[]).await.expect_err("nothing more in a failed transaction");
    drop(tx);
    let again = begin().await;
    assert_eq!(process(&again).await, first);
    let access = Access::to(AccessAction::Read, "patient", patient.uuid(), patient);
    again.commit(&[access]).await.expect("a commit");
}
