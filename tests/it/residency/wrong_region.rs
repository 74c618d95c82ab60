//! A region that is not the home says so to whoever may know, and to nobody else; and what does not exist, what
//! belongs to others and what was deleted look the same, byte for byte.

use http::Method;
use serde_json::json;
use tests::client::{Answer, Client};
use tests::clinic::{self, Record};
use tests::cluster::{Credential, shared};

/// The router declares itself here, so that it forwards everything of this home.
const HOME: &str = "US-CA";

/// A provider of another organisation than the first one's.
fn neighbour() -> &'static Credential {
    let own = &shared().credential("provider", HOME).org;
    shared()
        .described()
        .credentials
        .iter()
        .find(|c| c.role == "provider" && c.org != *own)
        .expect("a second clinic")
}

async fn patient(seed: u64) -> Record {
    let doctor = shared().client("provider", HOME);
    clinic::register(&doctor, HOME, &clinic::somebody(HOME, seed)).await.expect("it is registered")
}

#[tokio::test]
async fn another_region_answers_421_and_names_the_home() {
    let patient = patient(31).await;
    for region in ["tx", "ny"] {
        let there = shared().client_at(region, "provider", HOME);
        for answer in [
            there.get(&patient.path).await,
            there.patch(&patient.path, &patient.etag, &json!({ "email": null })).await,
            there.get(&format!("{}/encounters", patient.path)).await,
        ] {
            let answer = answer.expect("an answer");
            assert_eq!(answer.problem(421).expect("a problem"), "misdirected");
            assert_eq!(
                (answer.json()["home"].clone(), answer.json()["epoch"].clone()),
                (json!(HOME), json!(1))
            );
        }
        let answer = there.get(&format!("/v1/patients?home={HOME}")).await.expect("an answer");
        assert_eq!(answer.problem(421).expect("a problem"), "misdirected");
        assert_eq!(answer.json()["home"], HOME);
        let somebody = clinic::somebody(HOME, 32);
        let answer = there.post(&format!("/v1/patients?home={HOME}"), &somebody).await.expect("an answer");
        assert_eq!(answer.problem(421).expect("a problem"), "misdirected");
    }
    // The control: at the home and through the router it is there.
    clinic::read(&shared().client_at("ca", "provider", HOME), &patient.path).await.expect("at home");
    clinic::read(&shared().client("provider", HOME), &patient.path).await.expect("through the router");
}

/// Everything a stranger might compare.
async fn answers(client: &Client, path: &str) -> Vec<Answer> {
    vec![
        client.get(path).await.expect("an answer"),
        client.get(&format!("{path}/encounters")).await.expect("an answer"),
        client.patch(path, "\"1\"", &json!({ "email": null })).await.expect("an answer"),
        client.delete(&format!("{path}?reason=duplicate"), "\"1\"").await.expect("an answer"),
        client
            .post(&format!("{path}/encounters"), &clinic::encounter(HOME, "cough", "note"))
            .await
            .expect("an answer"),
    ]
}

#[tokio::test]
async fn what_is_unknown_foreign_or_deleted_looks_the_same() {
    let doctor = shared().client("provider", HOME);
    let (theirs, gone) = (patient(33).await, patient(34).await);
    doctor.delete(&format!("{}?reason=entered-in-error", gone.path), &gone.etag).await.expect("an answer");
    let unknown = format!("/v1/patients/{}", clinic::fresh());
    let stranger = shared().nobody().key(&neighbour().api_key);
    clinic::read(&doctor, &theirs.path).await.expect("whose it is sees it");

    let at_node = |client: &Client| client.at(&shared().region("ca").url);
    for (seen_by, path, what) in
        [(&stranger, &theirs.path, "another clinic"), (&doctor, &gone.path, "the clinic that deleted it")]
    {
        for (door, client) in [("the router", seen_by.clone()), ("the node", at_node(seen_by))] {
            let there = answers(&client, path).await;
            let not_there = answers(&client, &unknown).await;
            for (there, not_there) in there.iter().zip(&not_there) {
                assert_eq!(there.problem(404).expect("a problem"), "not-found", "{what} at {door}");
                assert_eq!(there.without_its_own(), not_there.without_its_own(), "{what} at {door}");
            }
        }
    }
    // The control: the comparison sees a difference.
    let own = answers(&doctor, &theirs.path).await;
    let unknown = answers(&doctor, &unknown).await;
    assert!(own.iter().zip(&unknown).any(|(a, b)| a.without_its_own() != b.without_its_own()));
}

/// What is wrong with a request is found before anybody looks whether there is such a patient; so it is found for an id
/// that nobody has as well, also when the router is between.
#[tokio::test]
async fn a_defect_tells_nothing_of_an_id() {
    let doctor = shared().client("provider", HOME);
    let theirs = patient(36).await.path;
    let unknown = format!("/v1/patients/{}", clinic::fresh());
    let stranger = shared().nobody().key(&neighbour().api_key);
    let mut told = std::collections::BTreeSet::new();
    for client in [&stranger, &stranger.at(&shared().region("ca").url), &shared().nobody()] {
        for method in [Method::GET, Method::PATCH, Method::DELETE, Method::PUT, Method::POST, Method::OPTIONS] {
            for (below, without, body) in [
                ("", "", ""),
                ("", "purpose-of-use", ""),
                ("", "if-match", "{}"),
                ("?x=1", "", "{}"),
                ("?reason=nothing", "", ""),
                ("/encounters", "", "["),
                ("/encounters", "idempotency-key", "{}"),
                ("/nothing", "", "{}"),
            ] {
                let ask = async |path: &str| {
                    let asking = client.ask(method.clone(), &format!("{path}{below}"));
                    let asking = asking.header("if-match", "\"1\"").header("content-type", "application/json");
                    let asking = asking.bytes(body.as_bytes().to_vec()).without(without);
                    asking.send().await.expect("an answer")
                };
                let (foreign, nobodys) = (ask(&theirs).await, ask(&unknown).await);
                let what = format!("{method} {below} without {without} at {}", client.url());
                assert_eq!(foreign.without_its_own(), nobodys.without_its_own(), "{what}");
                told.insert(foreign.status.as_u16());
            }
        }
    }
    // The control: the defects were found, and whose patient it is finds no defect.
    assert!([400, 401, 404, 405, 428].iter().all(|status| told.contains(status)), "{told:?}");
    clinic::read(&doctor, &theirs).await.expect("whose it is sees it");
}

#[tokio::test]
async fn what_is_no_id_is_as_unknown_as_an_unknown_id() {
    let doctor = shared().client("provider", HOME);
    let unknown = doctor.get(&format!("/v1/patients/{}", clinic::fresh())).await.expect("an answer");
    for id in ["x", "00000000", "{id}", "%2e%2e%2fetc", "0000000000000000000000000000000000000"] {
        let answer =
            doctor.get(&format!("/v1/patients/{}", id.replace(['{', '}'], ""))).await.expect("an answer");
        assert_eq!(answer.without_its_own(), unknown.without_its_own(), "{id}");
    }
}

/// What a caller claims of where it comes from or goes to changes nothing (reliability check 8).
#[tokio::test]
async fn forged_headers_do_not_move_a_request() {
    let patient = patient(35).await;
    let doctor = shared().client("provider", HOME);
    let plain = doctor.get(&patient.path).await.expect("an answer").expect(200).expect("it is there");
    for (name, value) in [
        ("domicile-ingress", "US-TX"),
        ("domicile-epoch", "7"),
        ("domicile-home", "US-TX"),
        ("x-region", "tx"),
        ("x-forwarded-host", "localhost:1"),
        ("forwarded", "for=1.2.3.4;host=tx.example"),
        ("x-original-url", "/v1/regions"),
        ("x-http-method-override", "DELETE"),
    ] {
        let answer =
            doctor.ask(Method::GET, &patient.path).header(name, value).send().await.expect("an answer");
        assert_eq!(answer.body, plain.body, "{name}");
        let there = shared().client_at("tx", "provider", HOME);
        let answer = there.ask(Method::GET, &patient.path).header(name, value).send().await.expect("an answer");
        assert_eq!(answer.status, 421, "{name}");
    }
}
