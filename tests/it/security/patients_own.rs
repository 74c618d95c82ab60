//! A patient who signed in at their home, on a live cluster: what the access matrix gives them and nothing else, of
//! themselves and of nobody else, at their home and nowhere else.

use http::Method;
use residency_policy::{PatientId, Purpose};
use serde_json::{Value, json};
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::shared;

use super::access_matrix::{OPERATIONS, file_allows_own, matrix};
use super::route_coverage::{Operation, ask, is_public, operations};

const HOME: &str = "US-TX";
const PASSWORD: &str = "seven lamps over a quiet canal";

/// Somebody who is registered, and what they show who signed in.
struct Own {
    record: Record,
    token: String,
}

/// A patient of Texas who signed in, all of it through the router.
async fn signed_in(seed: u64) -> Own {
    let staff = shared().client("provider_staff", HOME);
    let person = clinic::somebody(HOME, seed);
    let record = clinic::register(&staff, HOME, &person).await.expect("it is registered");
    let path = format!("{}/portal-invitations", record.path);
    let invited = staff.ask(Method::POST, &path).send().await.expect("an answer").expect(201).expect("invited");
    let text = |body: &Value, name: &str| body[name].as_str().expect("text").to_owned();
    let address = format!("portal.{seed}@example.com");
    let acceptance = json!({
        "code": text(&invited.json(), "code"), "email": address, "password": PASSWORD,
        "birth_date": text(&record.body, "birth_date"),
    });
    let nobody = shared().nobody();
    let accepted = nobody.post(&format!("/v1/portal/accounts?home={HOME}"), &acceptance).await;
    accepted.expect("an answer").expect(204).expect("they have a login");
    let organisation = &shared().credential("provider_staff", HOME).org;
    let shown =
        json!({ "organisation": organisation, "email": address, "password": PASSWORD, "tokens": "body" });
    let answer = nobody.post(&format!("/v1/portal/sign-in?home={HOME}"), &shown).await;
    let answer = answer.expect("an answer").expect(200).expect("they are signed in").json();
    Own { record, token: text(&answer, "session_token") }
}

fn of(token: &str, at: &str) -> Client {
    shared().nobody().at(at).key(token).purpose("PATRQT")
}

/// The patient in the path of an operation, if it is about one.
fn named(operation: &Operation) -> Option<&str> {
    let rest = operation.path.strip_prefix("/v1/patients/")?;
    rest.split(['/', '?']).next().filter(|id| id.parse::<PatientId>().is_ok())
}

/// The operation about this patient, if it is about one.
fn about(operation: &Operation, patient: &str) -> Operation {
    let path = named(operation).map_or(operation.path.clone(), |id| operation.path.replace(id, patient));
    Operation { path, ..operation.clone() }
}

#[tokio::test]
async fn a_patient_may_do_of_themselves_what_the_file_says_and_nothing_else() {
    let own = signed_in(7101).await;
    let (file, home) = (matrix(), shared().region("tx").clone());
    let (mut allowed, mut refused, mut wrong) = (0, 0, Vec::new());
    for operation in operations().await.iter().filter(|o| !is_public(o)) {
        let &(_, entity, action) =
            OPERATIONS.iter().find(|(id, _, _)| *id == operation.id).expect("it is in the matrix");
        let mine = about(operation, &own.record.id);
        // The document is another region's.
        let mine = Operation { path: mine.path.replace("?home=US-CA", &format!("?home={HOME}")), ..mine };
        for purpose in Purpose::ALL.iter().map(|purpose| purpose.as_str()) {
            let client = of(&own.token, &home.url).purpose(purpose);
            let asking = ask(&client, &mine);
            let asking = if mine.phi { asking } else { asking.without("purpose-of-use") };
            let answer = asking.send().await.expect("an answer");
            let status = answer.status.as_u16();
            let right = if mine.phi && file_allows_own(&file, (entity, action), purpose) {
                allowed += 1;
                !matches!(status, 401 | 403 | 429 | 500..)
            } else {
                refused += 1;
                status == 403 && answer.problem(403).is_ok_and(|slug| slug == "forbidden")
            };
            if !right {
                wrong.push(format!("{} for {purpose}: {status} {}", operation.id, answer.text()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(allowed >= 10 && refused > 500, "{allowed} allowed, {refused} refused");
}

#[tokio::test]
async fn a_patient_is_told_of_nobody_else_and_is_nobody_elsewhere() {
    let (own, neighbour) = (signed_in(7102).await, signed_in(7103).await);
    let there = shared().client("provider_staff", "US-CA");
    let person = clinic::somebody("US-CA", 7104);
    let abroad = clinic::register(&there, "US-CA", &person).await.expect("it is registered");
    let (tx, ca) = (shared().region("tx").url.clone(), shared().region("ca").url.clone());
    let router = shared().nobody().url().to_owned();
    let nobodys = clinic::fresh().to_string();
    let (mut compared, mut found) = (0, 0);
    for operation in operations().await.iter().filter(|o| named(o).is_some()) {
        for at in [&router, &tx] {
            let client = of(&own.token, at);
            let asked = async |patient: &str| {
                let answer = ask(&client, &about(operation, patient)).send().await.expect("an answer");
                let (status, headers, text) = answer.without_its_own();
                // A redirect repeats the path that was asked for.
                let said = |(name, value): (String, String)| (name, value.replace(patient, "PATIENT"));
                (status, headers.into_iter().map(said).collect::<Vec<_>>(), text)
            };
            let expected = asked(&nobodys).await;
            assert!(!expected.0.is_success(), "{operation:?}");
            for other in [&neighbour.record.id, &abroad.id] {
                assert_eq!(asked(other).await, expected, "{operation:?} at {at}");
                compared += 1;
            }
            found += usize::from(asked(&own.record.id).await.0.is_success());
        }
    }
    assert!(compared > 60 && found >= 7, "{compared} compared; the control: {found} of their own");
    // At another region it is no session, whoever is named; and nor is one of that region here.
    for patient in [&own.record.id, &abroad.id] {
        let answer = of(&own.token, &ca).get(&format!("/v1/patients/{patient}")).await.expect("an answer");
        assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated");
    }
    let forged = own.token.replace("US-TX", "US-CA");
    let answer = of(&forged, &router).get(&own.record.path).await.expect("an answer");
    assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated");

    // Staff end it, and the next request is refused, through whichever door.
    let staff = shared().client("provider", HOME);
    let path = format!("{}/portal-account", own.record.path);
    staff.ask(Method::DELETE, &path).send().await.expect("an answer").expect(204).expect("it is ended");
    for at in [&router, &tx] {
        let answer = of(&own.token, at).get(&own.record.path).await.expect("an answer");
        assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated", "{at}");
    }
    let control = of(&neighbour.token, &router).get(&neighbour.record.path).await.expect("an answer");
    control.expect(200).expect("theirs goes on");
}
