//! Patients who sign in at their home: who is invited, who gets in, and who does not.

mod organisations;
mod own;
mod sessions;

use residency_policy::{OrgId, Role};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::signin::text;
use crate::support::{Answer, World, ana, id};

pub(crate) const PASSWORD: &str = "seven lamps over a quiet canal";
const NEXT: &str = "five blue herons wait for rain";
pub(crate) const ADDRESS: &str = "zzportal4k.ana@example.com";
const BORN: &str = "1980-02-29";

/// What is shown with a code.
fn acceptance(code: &str) -> Value {
    json!({ "code": code, "birth_date": BORN, "email": ADDRESS, "password": PASSWORD })
}

fn with(mut body: Value, name: &str, value: &str) -> Value {
    body[name] = json!(value);
    body
}

/// Everything of an answer but its id.
fn shape(answer: &Answer) -> (u16, String, String) {
    let id = answer.header("x-request-id").to_owned();
    let headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    (answer.status.as_u16(), headers.join("\n"), answer.text().replace(&id, "ID"))
}

impl World {
    /// What a patient of the clinic shows.
    pub(super) fn portal_shown(&self, address: &str, password: &str) -> Value {
        json!({ "organisation": self.org, "email": address, "password": password, "tokens": "body" })
    }

    pub(super) async fn at_the_portal(&self, act: &str, body: &Value) -> Answer {
        let path = format!("/v1/portal/{act}?home=US-TX");
        self.ask("", "POST", &path).without("authorization").without("purpose-of-use").json(body).send().await
    }

    /// The code of an invitation.
    pub(super) async fn portal_code(&self, patient: &str) -> String {
        let path = format!("/v1/patients/{patient}/portal-invitations");
        text(&self.ask("provider_staff", "POST", &path).send().await.is(201), "code")
    }

    /// A patient who has a login.
    pub(super) async fn portal_patient(&self, address: &str) -> String {
        self.colleague(&[Role::Provider]);
        let patient = id(&self.register(&ana()).await);
        let code = self.portal_code(&patient).await;
        self.at_the_portal("accounts", &with(acceptance(&code), "email", address)).await.is(204);
        patient
    }

    pub(super) async fn portal_token(&self, address: &str, password: &str) -> String {
        text(
            &self.at_the_portal("sign-in", &self.portal_shown(address, password)).await.is(200),
            "session_token",
        )
    }

    /// A request of somebody who is a patient, for themselves.
    pub(super) async fn of_own(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let asking = self.ask(token, method, path).header("purpose-of-use", "PATRQT");
        let asking = match body {
            Some(body) => asking.json(body),
            None => asking,
        };
        asking.header("if-match", "\"1\"").send().await
    }

    pub(super) async fn status_of_patient(&self, token: &str, patient: &str) -> u16 {
        let path = format!("/v1/patients/{patient}");
        self.of_own(token, "GET", &path, None).await.status.as_u16()
    }

    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.region.as_superuser().await.query_one(sql, &[]).await.expect("a count").get(0)
    }

    pub(super) async fn portal_failures(&self) -> i64 {
        self.count("SELECT coalesce(sum(failures), 0) FROM portal_accounts").await
    }

    /// Waits until failures were counted, which is after the answer.
    pub(super) async fn portal_counted(&self, failures: i64) {
        while self.portal_failures().await < failures {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_a_week_and_only_with_the_birth_date() {
    let world = World::new().await;
    world.colleague(&[Role::Provider]);
    let patient = id(&world.register(&ana()).await);
    let replaced = world.portal_code(&patient).await;
    let path = format!("/v1/patients/{patient}/portal-invitations");
    let answer = world.ask("provider", "POST", &path).send().await.is(201);
    let (code, until) = (text(&answer, "code"), text(&answer, "expires_at"));
    let week = world.here.clock.now().as_second() + 7 * 86_400;
    assert_eq!(until.parse::<jiff::Timestamp>().expect("a time").as_second(), week);
    let take_up = async |body: &Value| world.at_the_portal("accounts", body).await;
    let unknown = take_up(&acceptance("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF")).await.is(401);
    let expected = shape(&unknown);
    unknown.problem("unauthenticated");
    let hashed = world.desk.hashing.hashed();
    for (what, body) in [
        ("the one before", acceptance(&replaced)),
        ("no code", acceptance("abc")),
        ("another birth date", with(acceptance(&code), "birth_date", "1980-02-28")),
    ] {
        assert_eq!(shape(&take_up(&body).await), expected, "{what}");
    }
    assert_eq!(world.desk.hashing.hashed() - hashed, 3, "each costs a hash");
    let typed = code.to_lowercase().replace('-', " ");
    take_up(&acceptance(&typed)).await.is(204);
    assert_eq!(shape(&take_up(&acceptance(&code)).await), expected, "it was used");
    world.portal_token(ADDRESS, PASSWORD).await;

    let late = world.portal_code(&patient).await;
    world.later(7 * 86_400);
    assert_eq!(shape(&take_up(&acceptance(&late)).await), expected, "it is over");
    let guessed = world.portal_code(&patient).await;
    for _ in 0..5 {
        let wrong = with(acceptance(&guessed), "birth_date", "1990-01-01");
        assert_eq!(shape(&take_up(&wrong).await), expected);
    }
    assert_eq!(shape(&take_up(&acceptance(&guessed)).await), expected, "it was shown too often");
}

#[tokio::test]
async fn what_is_wrong_with_a_login_is_named_and_nothing_is_repeated() {
    let world = World::new().await;
    world.portal_patient(ADDRESS).await;
    let other = id(&world.register(&ana()).await);
    let code = world.portal_code(&other).await;
    for (name, value, said) in [
        ("email", "zzportal4k", "format"),
        ("birth_date", "29.2.1980", "format"),
        ("password", "14 characters.", "format"),
        ("password", "passwordpassword", "guessable"),
        ("password", "zzportal4k ana 1980-02-29", "guessable"),
        ("nickname", "zzportal4k", "unknown-field"),
    ] {
        let answer = world.at_the_portal("accounts", &with(acceptance(&code), name, value)).await.is(422);
        assert!(!answer.text().contains("zzportal4k"), "{}", answer.text());
        assert_eq!(answer.problem("invalid")["errors"][0]["code"], said, "{name} {value}");
    }
    // Another login of the organisation has the address: it is said to whoever holds the code and knows the birth date.
    let taken = world.at_the_portal("accounts", &acceptance(&code)).await.is(409);
    assert_eq!(taken.problem("already-exists")["errors"][0]["pointer"], "/email");
    let capitals = with(acceptance(&code), "email", &ADDRESS.to_uppercase());
    world.at_the_portal("accounts", &capitals).await.is(409);
    world.at_the_portal("accounts", &with(acceptance(&code), "email", "ben@example.com")).await.is(204);
    let client = world.region.as_superuser().await;
    for row in client.query("SELECT email_sealed FROM portal_accounts", &[]).await.expect("rows") {
        assert!(!String::from_utf8_lossy(row.get(0)).contains("zzportal4k"), "it rests sealed");
    }
    // Without a home, at another one, and at one that nobody serves.
    for (home, status) in [("", 400), ("?home=TX", 400), ("?home=US-CA", 421), ("?home=US-NV", 404)] {
        let path = format!("/v1/portal/sign-in{home}");
        let asking =
            world.ask("", "POST", &path).without("authorization").json(&world.portal_shown(ADDRESS, PASSWORD));
        asking.send().await.is(status);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_gets_the_same_bytes_and_costs_as_much() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let mut first = None;
    let nobodys = OrgId::random(&TestEntropy::default()).to_string();
    let check = async |what: &str, body: Value| {
        let before = world.desk.hashing.hashed();
        let answer = world.at_the_portal("sign-in", &body).await.is(401);
        assert_eq!(world.desk.hashing.hashed() - before, 1, "{what}");
        shape(&answer)
    };
    for (what, body) in [
        ("a wrong password", world.portal_shown(ADDRESS, "wrong")),
        ("an unknown address", world.portal_shown("nobody@example.com", PASSWORD)),
        ("no address", world.portal_shown("nobody", PASSWORD)),
        ("an unknown organisation", with(world.portal_shown(ADDRESS, PASSWORD), "organisation", &nobodys)),
        ("no organisation", with(world.portal_shown(ADDRESS, PASSWORD), "organisation", "elm")),
        ("no password", world.portal_shown(ADDRESS, "")),
        ("too much of one", world.portal_shown(ADDRESS, &"a".repeat(300))),
    ] {
        let said = check(what, body).await;
        assert_eq!(first.get_or_insert_with(|| said.clone()), &said, "{what}");
    }
    // Each of the three that named the login is counted, and a right password forgives them.
    world.portal_counted(3).await;
    world.portal_token(&ADDRESS.to_uppercase(), PASSWORD).await;
    assert_eq!(world.portal_failures().await, 0);
    let path = format!("/v1/patients/{patient}/portal-account");
    world.ask("provider", "DELETE", &path).send().await.is(204);
    assert_eq!(Some(check("a login that was ended", world.portal_shown(ADDRESS, PASSWORD)).await), first);
    for missing in ["organisation", "email", "password"] {
        let mut body = world.portal_shown(ADDRESS, PASSWORD);
        body.as_object_mut().expect("an object").remove(missing);
        world.at_the_portal("sign-in", &body).await.is(422).problem("invalid");
    }
}

#[tokio::test]
async fn from_the_fifth_failure_on_nothing_is_looked_at_for_a_while_that_doubles() {
    let world = World::new().await;
    world.portal_patient(ADDRESS).await;
    let fail = async |failures: i64| {
        world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, "wrong")).await.is(401);
        world.portal_counted(failures).await;
    };
    let right =
        async || world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, PASSWORD)).await.status.as_u16();
    for failures in 1..=5 {
        fail(failures).await;
    }
    for (failures, seconds) in [(6, 30), (7, 60), (8, 120), (9, 240), (10, 480), (11, 900), (12, 900)] {
        assert_eq!(right().await, 401, "locked out after {failures}");
        // A failure meanwhile neither counts nor makes it longer.
        world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, "wrong")).await.is(401);
        world.later(seconds - 1);
        assert_eq!(right().await, 401, "{seconds} seconds are not over");
        world.later(1);
        fail(failures).await;
    }
    world.later(900);
    assert_eq!(right().await, 200);
    assert_eq!(world.portal_failures().await, 0);
}
