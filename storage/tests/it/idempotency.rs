//! A repeated request has one effect and the same answer.

use residency_policy::{Act, Category, OrgId, PatientId, PlacementState};
use storage::idempotency::{Attempt, Before, Begun, begin, forget};
use storage::testing::{TestRegion, region_permit, scope};
use storage::{Access, AccessAction, Phi, RegionTx, Scope};

use crate::support::{an_org, count, insert_patient, texas};

fn attempt<'a>(region: &TestRegion, key: &'a str, body: &str) -> Attempt<'a> {
    Attempt { key, route: "POST /v1/patients", fingerprint: region.pool.fingerprint(body.as_bytes()) }
}

async fn registering(region: &TestRegion, scope: &Scope) -> (RegionTx, PatientId) {
    let patient = region.patient().await;
    let tx = RegionTx::begin(&region.pool, &region.permit(patient, Act::Write), scope, "test.register").await;
    (tx.expect("a transaction"), patient)
}

fn created(patient: PatientId) -> [Access; 1] {
    [Access::to(AccessAction::Create, "patient", patient.uuid(), patient)]
}

async fn register_once(region: &TestRegion, scope: &Scope, key: &str, body: &str) -> PatientId {
    let (tx, patient) = registering(region, scope).await;
    let Ok(Begun::Fresh(fresh)) = begin(&tx, &attempt(region, key, body)).await else {
        panic!("it is the first")
    };
    insert_patient(&tx, patient).await.expect("a patient");
    let answer = Phi::new(format!("answer to {body}"));
    let headers = [("location", &*format!("/v1/patients/{patient}"))];
    fresh.finish(&tx, 201, &headers, Category::General, &answer).await.expect("an answer");
    tx.commit(&created(patient)).await.expect("a commit");
    patient
}

fn a_scope() -> (OrgId, Scope) {
    let org = an_org();
    (org, scope(org))
}

#[tokio::test]
async fn a_repeated_request_gets_the_stored_answer_and_has_no_second_effect() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let first = register_once(&region, &scope, "key-1", "ana").await;

    let (tx, unused) = registering(&region, &scope).await;
    assert_ne!(first, unused);
    let Ok(Begun::Before(Before::Stored(stored))) = begin(&tx, &attempt(&region, "key-1", "ana")).await else {
        panic!("it was done")
    };
    assert_eq!((stored.status(), stored.patient()), (201, Some(first)));
    assert_eq!(stored.headers(), [("location".to_owned(), format!("/v1/patients/{first}"))]);
    let body: Phi<String> = stored.body(&tx).await.expect("a body");
    let access = Access::to(AccessAction::Read, "patient", first.uuid(), first);
    let seen = tx.commit(&[access]).await.expect("a commit");
    assert_eq!(body.open(&seen), "answer to ana");
    assert_eq!(count(&region, "SELECT count(*) FROM patients").await, 1);
}

#[tokio::test]
async fn a_key_is_of_one_request_one_route_and_one_credential() {
    let region = texas().await;
    let (org, scope_a) = a_scope();
    register_once(&region, &scope_a, "key-1", "ana").await;
    let (tx, _) = registering(&region, &scope_a).await;
    let other_body = begin(&tx, &attempt(&region, "key-1", "ben")).await;
    assert!(matches!(other_body, Ok(Begun::Before(Before::Mismatch))), "{other_body:?}");
    let other_route = Attempt { route: "POST /v1/orgs", ..attempt(&region, "key-1", "ana") };
    assert!(matches!(begin(&tx, &other_route).await, Ok(Begun::Fresh(_))));
    assert!(matches!(begin(&tx, &attempt(&region, "key-2", "ana")).await, Ok(Begun::Fresh(_))));
    tx.rollback().await;
    for other in [scope(org), scope(an_org())] {
        let (tx, _) = registering(&region, &other).await;
        assert!(matches!(begin(&tx, &attempt(&region, "key-1", "ana")).await, Ok(Begun::Fresh(_))));
    }
}

#[tokio::test]
async fn a_second_attempt_meanwhile_is_told_so_and_a_rollback_leaves_the_key_free() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let (tx, _) = registering(&region, &scope).await;
    assert!(matches!(begin(&tx, &attempt(&region, "key-1", "ana")).await, Ok(Begun::Fresh(_))));
    let (second, _) = registering(&region, &scope).await;
    assert!(matches!(begin(&second, &attempt(&region, "key-1", "ana")).await, Ok(Begun::InFlight)));
    second.rollback().await;
    tx.rollback().await;
    register_once(&region, &scope, "key-1", "ana").await;
}

#[tokio::test]
async fn an_answer_about_a_patient_who_is_no_longer_served_here_is_gone() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let patient = register_once(&region, &scope, "key-1", "ana").await;
    let epoch = residency_policy::Epoch(2);
    region.pool.raise_fence(patient, epoch, PlacementState::Retired).await.expect("a raised fence");
    let (tx, _) = registering(&region, &scope).await;
    let gone = begin(&tx, &attempt(&region, "key-1", "ana")).await;
    assert!(matches!(gone, Ok(Begun::Before(Before::Gone))), "{gone:?}");
}

#[tokio::test]
async fn an_answer_about_no_patient_is_sealed_under_the_regions_key() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let permit = region_permit(region.region());
    let begin_tx = || async {
        RegionTx::begin_region(&region.pool, &permit, &scope, "test.org").await.expect("a transaction")
    };
    let tx = begin_tx().await;
    let Ok(Begun::Fresh(fresh)) = begin(&tx, &attempt(&region, "key-1", "org")).await else {
        panic!("it is the first")
    };
    fresh.finish(&tx, 201, &[], Category::General, &Phi::new("made")).await.expect("an answer");
    tx.commit(&[Access::of(AccessAction::Create, "organisation")]).await.expect("a commit");
    let tx = begin_tx().await;
    let Ok(Begun::Before(Before::Stored(stored))) = begin(&tx, &attempt(&region, "key-1", "org")).await else {
        panic!("it was done")
    };
    assert_eq!(stored.patient(), None);
    let body: Phi<String> = stored.body(&tx).await.expect("a body");
    let seen = tx.commit(&[Access::of(AccessAction::Read, "organisation")]).await.expect("a commit");
    assert_eq!(body.open(&seen), "made");
    let superuser = region.as_superuser().await;
    let row = superuser.query_one("SELECT r::text FROM idempotency_records r", &[]).await.expect("a row");
    assert!(!row.get::<_, String>(0).contains("key-1"), "the caller's key is stored as a keyed hash only");
}

#[tokio::test]
async fn an_answer_about_a_removed_record_is_gone_and_the_removals_own_answer_stays() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let ana = register_once(&region, &scope, "key-ana", "ana").await;
    register_once(&region, &scope, "key-ben", "ben").await;
    let removal = Attempt { route: "DELETE /v1/patients/{id}", ..attempt(&region, "key-1", "") };
    let on_ana = async || {
        let tx = RegionTx::begin(&region.pool, &region.permit(ana, Act::Write), &scope, "test.remove").await;
        tx.expect("a transaction")
    };
    let forgotten = async || {
        let (tx, _) = registering(&region, &scope).await;
        matches!(begin(&tx, &attempt(&region, "key-ana", "ana")).await, Ok(Begun::Before(Before::Gone)))
    };

    let tx = on_ana().await;
    assert_eq!(forget(&tx).await.expect("it is forgotten"), 1);
    tx.rollback().await;
    assert!(!forgotten().await, "the control: a removal that is undone forgets nothing");

    let tx = on_ana().await;
    let Ok(Begun::Fresh(fresh)) = begin(&tx, &removal).await else { panic!("it is the first") };
    assert_eq!(forget(&tx).await.expect("it is forgotten"), 1);
    fresh.finish(&tx, 204, &[], Category::General, &Phi::new("")).await.expect("an answer");
    tx.commit(&[Access::to(AccessAction::Delete, "patient", ana.uuid(), ana)]).await.expect("a commit");

    assert!(forgotten().await);
    let left = "SELECT count(*) FROM idempotency_records WHERE answer_gone AND body_sealed IS NULL
        AND header_values = '{}'";
    assert_eq!(count(&region, left).await, 1, "nothing is left of it");
    let tx = on_ana().await;
    assert!(
        matches!(begin(&tx, &removal).await, Ok(Begun::Before(Before::Stored(stored))) if stored.status() == 204)
    );
    let (tx, _) = registering(&region, &scope).await;
    let ben = begin(&tx, &attempt(&region, "key-ben", "ben")).await;
    assert!(matches!(ben, Ok(Begun::Before(Before::Stored(_)))), "another patient's stays");
}

#[tokio::test]
async fn an_answer_that_was_stored_while_the_record_was_removed_is_gone_too() {
    let region = texas().await;
    let (_, scope) = a_scope();
    let ana = register_once(&region, &scope, "key-1", "ana").await;
    let replayed = async || {
        let tx = RegionTx::begin(&region.pool, &region.permit(ana, Act::Write), &scope, "test.late").await;
        begin(&tx.expect("a transaction"), &attempt(&region, "key-1", "ana")).await.expect("an answer")
    };
    assert!(matches!(replayed().await, Begun::Before(Before::Stored(_))), "the control");
    let removed = "UPDATE patients SET version = 2, deleted_at = created_at + interval '1 second',
        delete_reason = 'duplicate'";
    region.as_superuser().await.batch_execute(removed).await.expect("a removal that forgot nothing");
    assert!(matches!(replayed().await, Begun::Before(Before::Gone)));
}

#[tokio::test]
async fn old_answers_of_all_organisations_are_purged_and_young_ones_never() {
    let region = texas().await;
    let superuser = region.as_superuser().await;
    let now: jiff::Timestamp =
        superuser.query_one("SELECT now()", &[]).await.expect("the server's clock").get(0);
    let hours = |n: i64| now - jiff::SignedDuration::from_hours(n);
    for (age, key) in [(200, "a"), (100, "b"), (71, "c"), (1, "d")] {
        region.clock.set(hours(age));
        register_once(&region, &a_scope().1, key, key).await;
    }
    let answers = async || count(&region, "SELECT count(*) FROM idempotency_records").await;
    assert_eq!(answers().await, 4);
    assert_eq!(region.pool.purge_answers(hours(150)).await.expect("a purge"), 1, "only what is asked for");
    assert_eq!(
        region.pool.purge_answers(now).await.expect("a purge"),
        1,
        "what is younger than 72 hours stays"
    );
    assert_eq!(region.pool.purge_answers(now).await.expect("a purge"), 0);
    assert_eq!(answers().await, 2);
    let app = region.as_app().await;
    let seen = app.query_one("SELECT count(*) FROM idempotency_records", &[]).await.expect("a count");
    assert_eq!(seen.get::<_, i64>(0), 0, "without the purge's own setting it sees none");
}
