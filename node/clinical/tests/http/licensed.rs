//! Whether the clinician of a visit may practise where the patient is, asked at every act of an encounter.

use jiff::civil::date;
use residency_control::machine::apply;
use residency_control::{Command, Outcome, Provider};
use residency_policy::licensure::{Licence, LicenceKind, LicenceStatus};
use residency_policy::{Npi, Role};
use serde_json::{Value, json};

use crate::calendars::{attested, licence};
use crate::signin::{PASSWORD, text};
use crate::support::{Answer, NPI, World, ana, id, visit};

impl World {
    /// The clinician of the visits, changed.
    fn change_clinician(&self, change: impl Fn(&mut Provider)) {
        let mut state = self.book.state.lock().expect("a lock");
        let npi = NPI.parse().expect("an NPI");
        let mut provider = Provider::clone(state.providers().by_npi(npi).expect("is known"));
        let expected = provider.version;
        change(&mut provider);
        assert_eq!(apply(&mut state, Command::PutProvider { provider, expected }), Outcome::Done);
    }

    /// The clinician of the visits, with these licences and no others.
    fn licensed(&self, licences: &[Licence]) {
        self.change_clinician(|one| one.licences = attested(self.org, licences.to_vec()));
    }

    pub(crate) async fn open_visit(&self, patient: &str, body: &Value) -> Answer {
        self.ask("provider", "POST", &format!("/v1/patients/{patient}/encounters")).json(body).send().await
    }

    async fn sign_visit(&self, path: &str, tag: &str) -> Answer {
        self.ask("provider", "POST", &format!("{path}/sign")).header("if-match", tag).send().await
    }

    async fn add_to_visit(&self, path: &str) -> Answer {
        self.ask("provider", "POST", &format!("{path}/addenda")).json(&json!({"body": "later"})).send().await
    }
}

#[track_caller]
pub(crate) fn lacks(answer: Answer, place: &str, code: &str) {
    let said = answer.is(409).problem("no-authority");
    assert_eq!(said["licence"], json!({"service_jurisdiction": place, "code": code}));
}

#[track_caller]
fn nobody_in_particular(answer: Answer) {
    assert_eq!(answer.is(403).problem("forbidden")["reason"], "licence-lacking");
}

/// An open encounter and a signed one, by their paths.
async fn visits(world: &World) -> (String, String, String) {
    let patient = id(&world.register(&ana()).await);
    let open = world.open_visit(&patient, &visit()).await.is(201).header("location").to_owned();
    let signed = world.open_visit(&patient, &visit()).await.is(201).header("location").to_owned();
    world.sign_visit(&signed, "\"1\"").await.is(200);
    (patient, open, signed)
}

#[tokio::test]
async fn a_licence_counts_on_its_last_day_and_not_on_the_next() {
    let world = World::new().await;
    let (patient, open, signed) = visits(&world).await;
    world.licensed(&[licence("US-TX", Some(date(2026, 11, 30)))]);
    // The last minute of the day in Austin; in El Paso an hour of it is left.
    world.region.clock.set("2026-12-01T05:59:59Z".parse().expect("an instant"));
    world.open_visit(&patient, &visit()).await.is(201);
    world.add_to_visit(&signed).await.is(201);
    world.region.clock.set("2026-12-01T06:00:00Z".parse().expect("an instant"));
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-expired");
    lacks(world.add_to_visit(&signed).await, "US-TX", "licence-expired");
    lacks(world.sign_visit(&open, "\"1\"").await, "US-TX", "licence-expired");
    assert_eq!(world.ask("provider", "GET", &open).send().await.is(200).json()["status"], "open");
    assert!(world.accesses(&patient).await.iter().filter(|one| *one == "create refused").count() >= 2);
}

#[tokio::test]
async fn a_licence_counts_from_its_first_day_in_every_zone_of_the_place() {
    let world = World::new().await;
    let (patient, open, signed) = visits(&world).await;
    world.licensed(&[Licence { from: date(2026, 12, 5), ..licence("US-TX", None) }]);
    world.region.clock.set("2026-12-05T06:59:59Z".parse().expect("an instant"));
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-not-yet-in-force");
    lacks(world.sign_visit(&open, "\"1\"").await, "US-TX", "licence-not-yet-in-force");
    lacks(world.add_to_visit(&signed).await, "US-TX", "licence-not-yet-in-force");
    world.region.clock.set("2026-12-05T07:00:00Z".parse().expect("an instant"));
    world.open_visit(&patient, &visit()).await.is(201);
    world.sign_visit(&open, "\"1\"").await.is(200);
    world.add_to_visit(&signed).await.is(201);
}

#[tokio::test]
async fn a_suspension_a_registration_and_another_place_are_told_apart() {
    let world = World::new().await;
    let (patient, open, signed) = visits(&world).await;
    let suspended = Licence {
        status: LicenceStatus::Suspended,
        status_since: date(2026, 11, 10),
        ..licence("US-TX", None)
    };
    let registered = Licence { kind: LicenceKind::Telehealth, ..licence("US-FL", None) };
    world.licensed(&[suspended, registered]);
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-suspended");
    lacks(world.sign_visit(&open, "\"1\"").await, "US-TX", "licence-suspended");
    lacks(world.add_to_visit(&signed).await, "US-TX", "licence-suspended");

    let mut there = visit();
    there["service_jurisdiction"] = json!("US-FL");
    world.open_visit(&patient, &there).await.is(201);
    let amend =
        |tag: &str, body: Value| world.ask("provider", "PATCH", &open).header("if-match", tag).json(&body);
    // What is found is still written down; only the place that it was found in is asked for.
    amend("\"1\"", json!({"note": "no fever"})).send().await.is(200);
    lacks(amend("\"2\"", json!({"service_jurisdiction": "US-NY"})).send().await, "US-NY", "licence-missing");
    amend("\"2\"", json!({"service_jurisdiction": "US-FL"})).send().await.is(200);
    world.sign_visit(&open, "\"3\"").await.is(200);
}

#[tokio::test]
async fn a_visit_is_with_somebody_who_works_here() {
    let world = World::new().await;
    let (patient, open, signed) = visits(&world).await;
    let unknown = |answer: Answer| {
        let said = answer.is(422).problem("invalid");
        assert_eq!(
            (&said["errors"][0]["pointer"], &said["errors"][0]["code"]),
            (&json!("/provider_npi"), &json!("unknown"))
        );
    };
    let mut nobody = visit();
    nobody["provider_npi"] = json!("1245319599");
    unknown(world.open_visit(&patient, &nobody).await);
    let amend = world.ask("provider", "PATCH", &open).header("if-match", "\"1\"");
    unknown(amend.json(&json!({"provider_npi": "1245319599"})).send().await);
    world.change_clinician(|one| one.active = false);
    unknown(world.open_visit(&patient, &visit()).await);
    unknown(world.sign_visit(&open, "\"1\"").await);
    nobody_in_particular(world.add_to_visit(&signed).await);
    // Whether there is such a patient is not told by what is said of a clinician.
    let stranger = world.ask("stranger", "POST", &format!("/v1/patients/{patient}/encounters"));
    stranger.json(&nobody).send().await.is(404).problem("not-found");
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_whatever_became_of_the_licence() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let ask = || {
        let ask = world.ask("provider", "POST", &format!("/v1/patients/{patient}/encounters"));
        ask.header("idempotency-key", "once").json(&visit())
    };
    let first = ask().send().await.is(201).json();
    world.licensed(&[]);
    assert_eq!(ask().send().await.is(201).json(), first);
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-missing");
}

#[tokio::test]
async fn whoever_acts_is_the_clinician_that_an_administrator_says() {
    let world = World::new().await;
    let (patient, open, signed) = visits(&world).await;
    let robin = world.staff("robin@elm.example", &[Role::Provider]);
    let token = text(&world.login(&robin, PASSWORD).await.is(200), "access_token");
    let visit_of = |npi: &str| {
        let mut body = visit();
        body["provider_npi"] = json!(npi);
        body
    };
    let ask = |method: &str, path: &str, body: Value| {
        let ask = world.ask(&token, method, path).json(&body).header("if-match", "\"1\"");
        if method == "POST" && path.ends_with("/encounters") { ask.without("if-match") } else { ask }
    };
    let visits = format!("/v1/patients/{patient}/encounters");
    let (sign, add) = (format!("{open}/sign"), format!("{signed}/addenda"));
    // Nobody said who they are: no licence is theirs.
    nobody_in_particular(ask("POST", &visits, visit()).send().await);
    nobody_in_particular(ask("POST", &sign, json!({})).raw(Vec::new()).without("content-type").send().await);
    nobody_in_particular(ask("POST", &add, json!({"body": "later"})).without("if-match").send().await);

    let own: Npi = "1245319599".parse().expect("an NPI");
    let clinician = world.clinician_known_by(own, vec![licence("US-TX", None)]);
    let user = format!("/v1/users/{}", robin.user);
    let path = format!("{user}/clinician");
    let shown = || world.open("sure_admin", "GET", &user).send();
    assert_eq!(shown().await.is(200).json()["provider_id"], json!(null));
    let bind = |by: &str, body: Value| world.open(by, "PUT", &path).header("if-match", "\"1\"").json(&body);
    for by in ["provider", "provider_staff", "auditor"] {
        bind(by, json!({"provider_id": clinician.to_string()})).send().await.is(403);
    }
    bind("sure_admin", json!({"provider_id": null})).header("if-match", "\"2\"").send().await.is(412);
    for wrong in [json!({}), json!({"provider_id": "me"}), json!({"provider_id": patient})] {
        let said = bind("sure_admin", wrong).send().await.is(422).problem("invalid");
        assert_eq!(said["errors"][0]["pointer"], "/provider_id");
    }
    let bound = bind("sure_admin", json!({"provider_id": clinician.to_string()})).send().await.is(200);
    assert_eq!(bound.json(), json!({"provider_id": clinician.to_string()}));
    let seen = shown().await.is(200);
    assert_eq!((bound.header("etag"), seen.header("etag")), ("\"2\"", "\"2\""));
    assert_eq!(seen.json()["provider_id"], json!(clinician.to_string()));
    // Whoever read them before would undo it unseen; and the same again changes nothing.
    bind("sure_admin", json!({"provider_id": null})).send().await.is(412).problem("precondition-failed");
    let same = bind("sure_admin", json!({"provider_id": clinician.to_string()})).header("if-match", "\"2\"");
    assert_eq!(same.send().await.is(200).header("etag"), "\"2\"");
    let other = world.staff("casey@elm.example", &[Role::Provider]);
    let second = || {
        let ask = world.open("sure_admin", "PUT", &format!("/v1/users/{}/clinician", other.user));
        ask.header("if-match", "\"1\"").json(&json!({"provider_id": clinician.to_string()})).send()
    };
    second().await.is(409).problem("already-exists");

    // Their own visits are theirs, a colleague's are not, and what they add rests on their own licence.
    ask("POST", &visits, visit_of(own.as_str())).send().await.is(201);
    let said = ask("POST", &visits, visit()).send().await.is(422).problem("invalid");
    assert_eq!(said["errors"][0]["code"], "not-yours");
    let said = ask("POST", &sign, json!({})).raw(Vec::new()).without("content-type").send().await.is(422);
    assert_eq!(said.problem("invalid")["errors"][0]["code"], "not-yours");
    ask("POST", &add, json!({"body": "later"})).without("if-match").send().await.is(201);
    world.licensed(&[]);
    ask("POST", &add, json!({"body": "later still"})).without("if-match").send().await.is(201);
    // What is handed over is signed by whom it was handed to.
    ask("PATCH", &open, json!({"provider_npi": own.as_str()})).send().await.is(200);
    let said = world.sign_visit(&open, "\"2\"").await.is(422).problem("invalid");
    assert_eq!(said["errors"][0]["code"], "not-yours");
    let sign =
        ask("POST", &sign, json!({})).raw(Vec::new()).without("content-type").header("if-match", "\"2\"");
    sign.send().await.is(200);

    // Taken back at once.
    bind("sure_admin", json!({"provider_id": null})).header("if-match", "\"2\"").send().await.is(200);
    nobody_in_particular(ask("POST", &visits, visit_of(own.as_str())).send().await);

    // And free for a colleague when they leave.
    let again = bind("sure_admin", json!({"provider_id": clinician.to_string()}));
    again.header("if-match", "\"3\"").send().await.is(200);
    second().await.is(409).problem("already-exists");
    world.open("sure_admin", "DELETE", &user).header("if-match", "\"4\"").send().await.is(204);
    assert_eq!(shown().await.is(200).json()["provider_id"], json!(null));
    second().await.is(200);
}
