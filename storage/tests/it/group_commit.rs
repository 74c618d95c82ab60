//! The access records of reads share commits, and no read is answered before its own is durable.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use residency_policy::{Act, PatientId, RequestId};
use storage::testing::{PostgresServer, TestEntropy, TestRegion, scope};
use storage::{
    Access, AccessAction, AccessOutcome, Error, Reading as _, RegionRead, RegionTx, Scope, Seen, Unavailable,
};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{an_org, count, read, register, texas};

/// What makes the log stand still until it is let go, so that what comes meanwhile is committed together.
struct Hold(Client);

impl Hold {
    async fn on(region: &TestRegion) -> Self {
        let client = region.as_superuser().await;
        client.batch_execute("BEGIN; LOCK access_log IN EXCLUSIVE MODE").await.expect("the log stands still");
        Self(client)
    }

    async fn until_waiting(&self, region: &TestRegion, records: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while region.pool.status().records_waiting < records {
            assert!(Instant::now() < deadline, "{:?}", region.pool.status());
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the writer has arrived at the log.
    async fn until_reached(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'access_log'::regclass
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while self.0.query_one(waits, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            assert!(Instant::now() < deadline, "the writer does not come");
        }
    }

    async fn let_go(&self) {
        self.0.batch_execute("COMMIT").await.expect("it goes on");
    }
}

async fn look(
    region: &TestRegion,
    scope: &Scope,
    act: &'static str,
    patient: PatientId,
) -> Result<Seen, Error> {
    let tx = RegionRead::begin(&region.pool, &region.permit(patient, Act::Read), scope, act)?;
    tx.query("SELECT id FROM patients", &[]).await?;
    tx.disclose(&read(patient)).await
}

/// Many looks at once, of as many organisations, after one on whose record the writer waits. Those of `poisoned` are
/// of an act that a trigger refuses.
async fn together(region: &TestRegion, many: usize, poisoned: &[usize]) -> Vec<Result<Seen, Error>> {
    let mut whose = Vec::new();
    for _ in 0..4 {
        let org = an_org();
        whose.push((org, register(region, org).await.0));
    }
    let hold = Hold::on(region).await;
    let scope_of_first = scope(whose[0].0);
    let first = look(region, &scope_of_first, "test.first", whose[0].1);
    let others = async {
        hold.until_reached().await;
        let looks = (0..many).map(|n| {
            let (org, patient) = whose[n % whose.len()];
            let act = if poisoned.contains(&n) { "test.poison" } else { "test.together" };
            async move { look(region, &scope(org), act, patient).await }
        });
        let letting_go = async {
            hold.until_waiting(region, many).await;
            hold.let_go().await;
        };
        tokio::join!(join_all(looks), letting_go).0
    };
    let (first, others) = tokio::join!(first, others);
    first.expect("the first is recorded");
    others
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_wait_at_one_moment_share_one_commit() {
    let region = texas().await;
    let commits = "SELECT count(DISTINCT xid) FROM access_log WHERE act = 'test.together'";
    let whole =
        "SELECT count(*) FROM access_log l JOIN patients p ON p.id = l.patient_id AND p.org_id = l.org_id
        WHERE act = 'test.together' AND action = 'read' AND entity = 'patient' AND entity_id = patient_id
        AND purpose = 'TREAT' AND role = 'provider' AND outcome = 'done' AND l.home_epoch = 1
        AND user_id IS NOT NULL";
    for seen in together(&region, 200, &[]).await {
        seen.expect("it is recorded");
    }
    assert_eq!(count(&region, whole).await, 200, "each record says who, what and why");
    assert_eq!(count(&region, commits).await, 1);

    // The control: each in a transaction of its own.
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    for _ in 0..5 {
        let tx =
            RegionTx::begin(&region.pool, &region.permit(patient, Act::Read), &scope(org), "test.together")
                .await;
        tx.expect("a transaction").commit(&read(patient)).await.expect("a commit");
    }
    assert_eq!(count(&region, commits).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_answered_before_the_record_is_durable() {
    let region = Arc::new(texas().await);
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let hold = Hold::on(&region).await;
    let there = Arc::clone(&region);
    let looking = tokio::spawn(async move { look(&there, &scope(org), "test.durable", patient).await });
    hold.until_reached().await;
    assert!(!looking.is_finished());
    let records = "SELECT count(*) FROM access_log WHERE act = 'test.durable'";
    assert_eq!(count(&region, records).await, 0);
    hold.let_go().await;
    looking.await.expect("a task").expect("it is recorded");
    assert_eq!(count(&region, records).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_refused_keeps_nobody_elses_out() {
    let region = texas().await;
    let superuser = region.as_superuser().await;
    superuser
        .batch_execute(
            "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'poison' USING ERRCODE = 'check_violation', CONSTRAINT = 'planted'; END $$;
            CREATE TRIGGER poison BEFORE INSERT ON access_log FOR EACH ROW WHEN (NEW.act = 'test.poison')
                EXECUTE FUNCTION refuse_poison()",
        )
        .await
        .expect("a planted fault");
    let poisoned = [0, 41, 42, 99];
    for (n, seen) in together(&region, 100, &poisoned).await.into_iter().enumerate() {
        if poisoned.contains(&n) {
            let refused = seen.expect_err("no record, no access");
            assert!(
                matches!(&refused, Error::Constraint { constraint } if constraint == "planted"),
                "{refused}"
            );
        } else {
            seen.unwrap_or_else(|error| panic!("{n}: {error}"));
        }
    }
    assert_eq!(count(&region, "SELECT count(*) FROM access_log WHERE act = 'test.together'").await, 96);
    assert_eq!(count(&region, "SELECT count(*) FROM access_log WHERE act = 'test.poison'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_commit_that_fails_refuses_all_who_waited_for_it() {
    let region = texas().await;
    let superuser = region.as_superuser().await;
    let revoke = "REVOKE EXECUTE ON FUNCTION record_accesses_whole FROM domicile_app";
    superuser.batch_execute(revoke).await.expect("a planted fault");
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let all = || {
        let looks = (0..50).map(|_| async { look(&region, &scope(org), "test.all", patient).await });
        join_all(looks)
    };
    for seen in all().await {
        seen.expect_err("no record, no access");
    }
    assert_eq!(count(&region, "SELECT count(*) FROM access_log WHERE act = 'test.all'").await, 0);
    let grant = "GRANT EXECUTE ON FUNCTION record_accesses_whole TO domicile_app";
    superuser.batch_execute(grant).await.expect("the fault mended");
    for seen in all().await {
        seen.expect("the control: with the record there is access");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_wait_is_refused_and_who_no_longer_waits_leaves_no_record() {
    let region = texas().await;
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let hold = Hold::on(&region).await;
    let disclose = |act, many| {
        let tx = RegionRead::begin(&region.pool, &region.permit(patient, Act::Read), &scope(org), act);
        let accesses = vec![read(patient)[0]; many];
        async move { tx?.disclose(&accesses).await }
    };
    let mut first = Box::pin(disclose("test.first", 1));
    tokio::select! {
        biased;
        () = hold.until_reached() => {}
        seen = &mut first => panic!("{seen:?}"),
    }
    {
        let mut given_up = Box::pin(join_all((0..32).map(|_| disclose("test.given_up", 1_000))));
        tokio::select! {
            biased;
            () = hold.until_waiting(&region, 32_000) => {}
            seen = &mut given_up => panic!("{seen:?}"),
        }
        let refused = disclose("test.refused", 1_000).await.expect_err("the room is taken");
        assert!(matches!(refused, Error::Unavailable(Unavailable::Busy)), "{refused}");
    }
    hold.let_go().await;
    first.await.expect("the control: who waits is answered");
    disclose("test.after", 1_000).await.expect("there is room again");
    let records = "SELECT count(*) FROM access_log WHERE act IN ('test.given_up', 'test.refused')";
    assert_eq!(count(&region, records).await, 0, "nothing was disclosed to them");
}

/// What was answered, by the requests' ids, until the server crashed; and what was not recorded of it.
async fn answered_and_lost<F>(answer: impl Fn(Arc<TestRegion>, Scope, PatientId) -> F) -> (usize, usize)
where
    F: Future<Output = bool> + Send + 'static,
{
    // What is committed without waiting for the disk stays in memory for long, so that a crash loses it.
    let server = PostgresServer::start(&[
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("wal_writer_delay", "10s"),
        ("wal_writer_flush_after", "1GB"),
    ]);
    let region = Arc::new(TestRegion::new(&server, "TX").await);
    let org = an_org();
    let (patient, _) = register(&region, org).await;
    let answered = Arc::new(Mutex::new(BTreeSet::<Uuid>::new()));
    let over = Arc::new(AtomicBool::new(false));
    let readers = (0..16).map(|_| {
        let (answered, over) = (Arc::clone(&answered), Arc::clone(&over));
        let request = || Scope { request: RequestId::random(&TestEntropy::default()), ..scope(org) };
        let answers: Vec<_> = (0..2_000)
            .map(|_| {
                let scope = request();
                (scope.request.uuid(), answer(Arc::clone(&region), scope, patient))
            })
            .collect();
        tokio::spawn(async move {
            for (request, answer) in answers {
                if over.load(Ordering::SeqCst) || !answer.await {
                    return;
                }
                answered.lock().expect("a lock").insert(request);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let deadline = Instant::now() + Duration::from_mins(1);
    while answered.lock().expect("a lock").len() < 2_000 {
        assert!(Instant::now() < deadline, "few are answered");
        tokio::task::yield_now().await;
    }
    tokio::task::block_in_place(|| server.stop());
    over.store(true, Ordering::SeqCst);
    join_all(readers).await;
    tokio::task::block_in_place(|| server.start_again());
    let rows = region.as_superuser().await.query("SELECT DISTINCT request_id FROM access_log", &[]).await;
    let recorded: BTreeSet<Uuid> = rows.expect("the log").iter().map(|row| row.get(0)).collect();
    let answered = answered.lock().expect("a lock");
    (answered.len(), answered.difference(&recorded).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_that_was_answered_before_a_crash_has_its_record() {
    let answer = |region: Arc<TestRegion>, scope, patient| async move {
        look(&region, &scope, "test.crash", patient).await.is_ok()
    };
    let (answered, lost) = answered_and_lost(answer).await;
    assert!(answered >= 2_000);
    assert_eq!(lost, 0, "of {answered}");
}

/// The control: a writer that does not wait for the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_answers_before_the_commit_is_durable_is_caught() {
    static APP: tokio::sync::OnceCell<Client> = tokio::sync::OnceCell::const_new();
    let answer = |region: Arc<TestRegion>, scope: Scope, patient: PatientId| async move {
        let app = APP
            .get_or_init(|| async {
                let app = region.as_app().await;
                app.batch_execute("SET synchronous_commit = off").await.expect("a planted fault");
                app
            })
            .await;
        let (request, org, id) = (scope.request.uuid(), scope.org.uuid(), patient.uuid());
        let record = "SELECT record_accesses_under(ARRAY[gen_random_uuid()], ARRAY[now()], ARRAY[$1::uuid],
            ARRAY[$1::uuid], ARRAY[NULL::uuid], '{provider}', '{TREAT}', '{test.crash}', ARRAY[$2::uuid],
            '{NULL}', '{NULL}', '{1}', '{read}', '{patient}', ARRAY[$3::uuid], ARRAY[$3::uuid], '{done}', '{NULL}')";
        app.execute(record, &[&org, &request, &id]).await.is_ok()
    };
    let (answered, lost) = answered_and_lost(answer).await;
    assert!(lost > 0, "of {answered}");
}

#[tokio::test]
async fn what_was_not_found_is_recorded_too() {
    let region = texas().await;
    let (org, other) = (an_org(), an_org());
    let (patient, _) = register(&region, other).await;
    let tx = RegionRead::begin(&region.pool, &region.permit(patient, Act::Read), &scope(org), "test.nothing");
    let tx = tx.expect("a read");
    assert_eq!(tx.query("SELECT id FROM patients", &[]).await.expect("an answer").len(), 0);
    let access = Access::to(AccessAction::Read, "patient", patient.uuid(), patient);
    tx.disclose(&[access.ended(AccessOutcome::NotFound)]).await.expect("it is recorded");
    let records = "SELECT count(*) FROM access_log WHERE act = 'test.nothing' AND outcome = 'not-found'";
    assert_eq!(count(&region, records).await, 1);
}
