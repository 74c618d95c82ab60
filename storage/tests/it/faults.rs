//! A database that is down, stands still, is full, or was in a dead end: said in time, and nothing is left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use residency_policy::Act;
use storage::testing::{PostgresServer, SetClock, TestEntropy, TestRegion, scope};
use storage::{Error, PoolConfig, RegionPool, RegionTx, Unavailable};

use crate::support::wire::Wire;
use crate::support::{an_org, count, insert_patient, read, register, texas};

const IN_TIME: Duration = Duration::from_millis(2500);

async fn pool_of(region: &TestRegion, config: PoolConfig) -> RegionPool {
    let clock = Arc::new(SetClock::default());
    let pool =
        RegionPool::open(config, Arc::clone(&region.envelope), clock, Arc::new(TestEntropy::default())).await;
    pool.expect("a pool")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_said_to_be_in_time_and_served_from_again_when_back() {
    let server = PostgresServer::start(&[("fsync", "on"), ("full_page_writes", "on")]);
    let region = TestRegion::new(&server, "TX").await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let permit = region.permit(patient, Act::Read);
    let open = RegionTx::begin(&region.pool, &permit, &scope(org), "test.open").await.expect("a transaction");
    server.stop();

    let ended = open.commit(&read(patient)).await.expect_err("the server is gone");
    assert!(matches!(ended, Error::CommitUncertain | Error::Unavailable(_)), "{ended}");
    for _ in 0..3 {
        let start = Instant::now();
        let refused =
            RegionTx::begin(&region.pool, &permit, &scope(org), "test.down").await.expect_err("it is down");
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        assert!(region.pool.ping().await.is_err());
        assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
    }
    server.start_again();
    let deadline = Instant::now() + Duration::from_secs(20);
    while region.pool.ping().await.is_err() {
        assert!(Instant::now() < deadline, "the pool does not come back");
    }
    let tx = RegionTx::begin(&region.pool, &permit, &scope(org), "test.back").await.expect("a transaction");
    tx.commit(&read(patient)).await.expect("a commit");
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 1, "what was acknowledged is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_that_stands_still_does_not_hold_a_caller() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let wire = Wire::to(PostgresServer::shared().port(), Duration::ZERO).await;
    let mut config = region.config.clone();
    config.server.port = wire.port;
    config.timeouts.statement = Duration::from_millis(500);
    let pool = pool_of(&region, config).await;
    let permit = region.permit(patient, Act::Read);
    let tx = RegionTx::begin(&pool, &permit, &scope(org), "test.still").await.expect("the control: it moves");

    wire.stand_still();
    let start = Instant::now();
    let refused = tx.query("SELECT 1 AS one", &[]).await.expect_err("no answer comes");
    assert!(matches!(refused, Error::Unavailable(Unavailable::Slow)), "{refused}");
    assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
    drop(tx);
    // A free connection that stands still, and a new one that cannot be made.
    for _ in 0..2 {
        let start = Instant::now();
        let refused =
            RegionTx::begin(&pool, &permit, &scope(org), "test.still").await.expect_err("no answer comes");
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        assert!(start.elapsed() < IN_TIME, "{:?}", start.elapsed());
    }
    wire.go_on();
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = pool.ping().await {
        assert!(Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_changes_nothing() {
    let region = texas().await;
    let org = an_org();
    let patient = region.patient().await;
    let superuser = region.as_superuser().await;
    // What Postgres says when a table cannot grow.
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON patients FOR EACH ROW EXECUTE FUNCTION full_disk()";
    superuser.batch_execute(full).await.expect("a planted fault");
    let permit = region.permit(patient, Act::Write);
    let tx = RegionTx::begin(&region.pool, &permit, &scope(org), "test.full").await.expect("a transaction");
    let refused = insert_patient(&tx, patient).await.expect_err("no room");
    assert!(matches!(refused, Error::Unavailable(Unavailable::Full)), "{refused}");
    drop(tx);
    superuser.batch_execute("DROP TRIGGER full_disk ON patients").await.expect("the fault mended");
    let tx = RegionTx::begin(&region.pool, &permit, &scope(org), "test.room").await.expect("a transaction");
    insert_patient(&tx, patient).await.expect("the control: there is room again");
}

#[tokio::test]
async fn a_connection_is_as_new_after_a_failed_or_forgotten_transaction() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let pool = pool_of(&region, PoolConfig { connections_max: 1, ..region.config.clone() }).await;
    let permit = region.permit(patient, Act::Write);
    let update = "UPDATE patients SET version = version + 1, updated_at = $2 WHERE id = $1";
    for round in 0..4 {
        let tx = RegionTx::begin(&pool, &permit, &scope(org), "test.forgotten").await.expect("a transaction");
        tx.execute(update, &[&patient.uuid(), &tx.now()]).await.expect("an update");
        if round % 2 == 0 {
            tx.query("SELECT nothing FROM nowhere", &[]).await.expect_err("a failure");
        }
        drop(tx);
    }
    assert_eq!(count(&region, "SELECT version::bigint FROM patients").await, 1);
    assert!(pool.status().open <= 1);
    // All connections taken: said in time.
    let tx = RegionTx::begin(&pool, &permit, &scope(org), "test.taken").await.expect("a transaction");
    let start = Instant::now();
    let refused = RegionTx::begin(&pool, &permit, &scope(org), "test.waiting").await.expect_err("none is free");
    assert!(matches!(refused, Error::Unavailable(Unavailable::Busy)), "{refused}");
    assert!(start.elapsed() < IN_TIME);
    tx.rollback().await;
    RegionTx::begin(&pool, &permit, &scope(org), "test.free").await.expect("the control: one is free");
}

#[tokio::test]
async fn the_first_failure_is_the_one_that_is_told_and_nothing_after_it_counts() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let (id, permit) = (patient.uuid(), region.permit(patient, Act::Write));
    let begin = async || {
        RegionTx::begin(&region.pool, &permit, &scope(org), "test.first").await.expect("a transaction")
    };
    let update = "UPDATE patients SET version = version + 1 WHERE id = $1";
    let (ok, broken) = ("SELECT 1 AS one", "SELECT 1 / (SELECT 0 * count(*) FROM patients) AS broken");
    let tx = begin().await;
    tx.put(update, &[&id]).await.expect("it is on its way");
    let failed = tx.query_all(&[(ok, &[]), (broken, &[]), (ok, &[])]).await.expect_err("a division by zero");
    assert!(matches!(&failed, Error::Sql { code, .. } if code == "22012"), "{failed}");
    let after = tx.commit(&read(patient)).await.expect_err("nothing more");
    assert!(matches!(&after, Error::Sql { code, .. } if code == "25P02"), "{after}");

    // What was put fails with what it travels with, here the commit.
    let tx = begin().await;
    tx.execute(update, &[&id]).await.expect("an update");
    let again = "INSERT INTO patient_home (patient_id, epoch, state) VALUES ($1, 1, 'active')";
    tx.put(again, &[&id]).await.expect("it is on its way");
    let failed = tx.commit(&read(patient)).await.expect_err("there is one");
    assert!(matches!(failed, Error::Exists { .. }), "{failed}");

    // What cannot be encoded stays behind, and COMMIT with it.
    let tx = begin().await;
    tx.execute(update, &[&id]).await.expect("an update");
    let failed = tx.put(update, &[&"no id"]).await.expect_err("a text is no id");
    assert!(matches!(&failed, Error::Sql { code, .. } if code == "driver"), "{failed}");
    tx.commit(&read(patient)).await.expect_err("nothing more");

    let (version, records) =
        ("SELECT version::bigint FROM patients", "SELECT count(*) FROM access_log WHERE act = 'test.first'");
    assert_eq!((count(&region, version).await, count(&region, records).await), (1, 0));
    let tx = begin().await;
    tx.put(update, &[&id]).await.expect("it is on its way");
    tx.commit(&read(patient)).await.expect("the control: nothing fails");
    assert_eq!((count(&region, version).await, count(&region, records).await), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beginning_or_a_commit_that_was_given_up_leaves_no_transaction_open() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let pool = pool_of(&region, PoolConfig { connections_max: 1, ..region.config.clone() }).await;
    let permit = region.permit(patient, Act::Write);
    let scope = scope(org);
    let begin = || RegionTx::begin(&pool, &permit, &scope, "test.left");
    let superuser = region.as_superuser().await;
    let until_waiting = async || {
        let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE NOT l.granted AND a.usename = 'domicile_app' AND a.datname = current_database()";
        let deadline = Instant::now() + Duration::from_secs(20);
        while superuser.query_one(waits, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            assert!(Instant::now() < deadline, "nobody waits");
        }
    };
    let process = async |tx: &RegionTx| {
        let row = tx.query_one("SELECT pg_backend_pid() AS pid", &[]).await.expect("an answer");
        row.get::<i32>("pid").expect("a process")
    };
    let tx = begin().await.expect("a transaction");
    let first = process(&tx).await;
    tx.rollback().await;
    for (table, begins) in [("patient_home", true), ("access_log", false)] {
        let still = format!("BEGIN; LOCK {table} IN ACCESS EXCLUSIVE MODE");
        let tx = if begins { None } else { Some(begin().await.expect("a transaction")) };
        superuser.batch_execute(&still).await.expect("it stands still");
        let accesses = read(patient);
        let under_way = async {
            match tx {
                Some(tx) => drop(tx.commit(&accesses).await),
                None => drop(begin().await),
            }
        };
        tokio::select! {
            biased;
            () = until_waiting() => {}
            () = under_way => panic!("{table} does not stand still"),
        }
        superuser.batch_execute("COMMIT").await.expect("it goes on");
        let went_on = superuser.query_one("SELECT clock_timestamp()", &[]).await.expect("an instant");
        let went_on: jiff::Timestamp = went_on.get(0);
        let tx = begin().await.expect("the connection is free again");
        assert_eq!(process(&tx).await, first, "the same connection, after {table}");
        let fresh = tx.query_one("SELECT now() > $1 AS fresh", &[&went_on]).await.expect("an answer");
        assert!(fresh.get::<bool>("fresh").expect("a truth"), "a transaction of its own, after {table}");
        tx.rollback().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_transactions_in_a_dead_end_both_succeed_when_repeated() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let superuser = region.as_superuser().await;
    superuser
        .batch_execute("CREATE TABLE planted (id int PRIMARY KEY, n int NOT NULL); INSERT INTO planted VALUES (1, 0), (2, 0);
            GRANT SELECT, UPDATE ON planted TO domicile_app")
        .await
        .expect("two rows");
    let barrier = tokio::sync::Barrier::new(2);
    let (barrier, pool) = (&barrier, &region.pool);
    let permit = region.permit(patient, Act::Write);
    let (permit, scope) = (&permit, &scope(org));
    let tries = &std::sync::atomic::AtomicU32::new(0);
    let both = |first: i32, second: i32| async move {
        let met = &std::sync::atomic::AtomicBool::new(false);
        pool.transact(permit, scope, "test.dead_end", |tx| async move {
            tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let update = "UPDATE planted SET n = n + 1 WHERE id = $1";
            tx.execute(update, &[&first]).await?;
            if !met.swap(true, std::sync::atomic::Ordering::SeqCst) {
                barrier.wait().await;
            }
            tx.execute(update, &[&second]).await?;
            tx.commit(&read(patient)).await
        })
        .await
    };
    let (a, b) = tokio::join!(both(1, 2), both(2, 1));
    a.and(b).expect("both succeed");
    assert_eq!(count(&region, "SELECT sum(n) FROM planted").await, 4);
    let tries = tries.load(std::sync::atomic::Ordering::SeqCst);
    assert!(tries > 2, "the control: there was a dead end ({tries} tries)");
}
