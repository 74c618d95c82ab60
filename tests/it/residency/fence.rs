//! The third decision: the home's own database refuses what router and node would let through, and hears of what the
//! directory decided.

use residency_control::Command;
use residency_policy::{Epoch, PatientId};
use serde_json::json;
use tests::cluster::shared;
use tests::faults::wait_until;
use tests::{clinic, operate, postgres};

/// The router declares itself here, so that it forwards everything of this home.
const HOME: &str = "US-CA";

#[tokio::test]
async fn a_home_that_has_moved_on_serves_nobody_whatever_the_directory_says() {
    let doctor = shared().client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 601)).await.expect("it is registered");
    let bystander =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 602)).await.expect("it is registered");
    let region = shared().region("ca");
    let owner = postgres::as_in(shared(), region, "migrate").await.expect("the owner");
    let set = async |epoch: i32| {
        let sql = format!("UPDATE patient_home SET epoch = {epoch} WHERE patient_id = '{}'", patient.id);
        assert_eq!(owner.execute(&sql, &[]).await.expect("the fence is set"), 1);
    };
    set(2).await;
    for door in [doctor.clone(), doctor.at(&region.url)] {
        for answer in [
            door.get(&patient.path).await,
            door.patch(&patient.path, &patient.etag, &json!({ "email": null })).await,
            door.post(&format!("{}/encounters", patient.path), &clinic::encounter(HOME, "cough", "x")).await,
            door.delete(&format!("{}?reason=duplicate", patient.path), &patient.etag).await,
        ] {
            let answer = answer.expect("an answer");
            assert_eq!(answer.problem(503).expect("a problem"), "view-unproven");
            assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{:?}", answer.headers);
        }
        clinic::read(&door, &bystander.path).await.expect("nobody else is concerned");
    }
    set(1).await;
    assert_eq!(
        clinic::read(&doctor, &patient.path).await.expect("it is there").etag,
        patient.etag,
        "unchanged"
    );
}

#[tokio::test]
async fn a_retired_patient_answers_as_if_it_never_was() {
    let doctor = shared().client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 611)).await.expect("it is registered");
    let id: PatientId = patient.id.parse().expect("an id");
    let stale = Command::Retire { patient: id, expected: Epoch(7) };
    let came = operate::commands(shared(), "ca", &[stale]).await.expect("it is answered");
    assert!(came[0].to_string().contains("StaleEpoch"), "{came:?}");
    clinic::read(&doctor, &patient.path).await.expect("it is still there");

    let retire = Command::Retire { patient: id, expected: Epoch::FIRST };
    let came = operate::commands(shared(), "ca", &[retire]).await.expect("it is answered");
    assert!(came[0].to_string().contains("Done"), "{came:?}");
    let mut doors = vec![doctor.clone()];
    doors.extend(shared().described().regions.iter().map(|r| doctor.at(&r.url)));
    for door in &doors {
        let gone = wait_until("it to be gone", async || {
            door.get(&patient.path).await.ok().filter(|a| a.status == 404)
        });
        let gone = gone.await.unwrap_or_else(|e| panic!("{}: {e}", door.url()));
        let unknown = door.get(&format!("/v1/patients/{}", clinic::fresh())).await.expect("an answer");
        assert_eq!(gone.without_its_own(), unknown.without_its_own(), "{}", door.url());
    }
    // The home's own database has heard of it: a request that passed the directory a moment ago finds it shut too.
    let client = postgres::inspect(shared().region("ca")).await.expect("the database");
    let id = patient.uuid();
    wait_until("the fence to be told", async || {
        let sql = "SELECT state, epoch::int8 FROM patient_home WHERE patient_id = $1";
        let row = client.query_one(sql, &[&id]).await.ok()?;
        (row.get::<_, &str>(0) == "retired" && row.get::<_, i64>(1) == 2).then_some(())
    })
    .await
    .expect("it is told");
}
