//! Patients who sign in at their home: the whole way, and everything that is refused on it.

use data_encoding::BASE64URL_NOPAD;
use residency_policy::{Act, PatientId, Purpose, Role};
use serde_json::{Value, json};
use storage::{Reading as _, RegionRead, RegionTx, Scope};

use crate::consents::treatment;
use crate::signin::text;
use crate::support::{Answer, World, ana, id, visit};

const PASSWORD: &str = "seven lamps over a quiet canal";
const NEXT: &str = "five blue herons wait for rain";
const ADDRESS: &str = "zzportal4k.ana@example.com";
const BORN: &str = "1980-02-29";

/// What is shown with a code.
fn acceptance(code: &str) -> Value {
    json!({ "code": code, "birth_date": BORN, "email": ADDRESS, "password": PASSWORD })
}

fn with(mut body: Value, name: &str, value: &str) -> Value {
    body[name] = json!(value);
    body
}

fn shown(address: &str, password: &str) -> Value {
    json!({ "email": address, "password": password, "tokens": "body" })
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
    async fn at_the_portal(&self, act: &str, body: &Value) -> Answer {
        let path = format!("/v1/portal/{act}?home=US-TX");
        self.ask("", "POST", &path).without("authorization").without("purpose-of-use").json(body).send().await
    }

    /// The code of an invitation.
    async fn portal_code(&self, patient: &str) -> String {
        let path = format!("/v1/patients/{patient}/portal-invitations");
        text(&self.ask("provider_staff", "POST", &path).send().await.is(201), "code")
    }

    /// A patient who has a login.
    async fn portal_patient(&self, address: &str) -> String {
        self.colleague(&[Role::Provider]);
        let patient = id(&self.register(&ana()).await);
        let code = self.portal_code(&patient).await;
        self.at_the_portal("accounts", &with(acceptance(&code), "email", address)).await.is(204);
        patient
    }

    async fn portal_token(&self, address: &str, password: &str) -> String {
        text(&self.at_the_portal("sign-in", &shown(address, password)).await.is(200), "session_token")
    }

    /// A request of somebody who is a patient, for themselves.
    async fn of_own(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let asking = self.ask(token, method, path).header("purpose-of-use", "PATRQT");
        let asking = match body {
            Some(body) => asking.json(body),
            None => asking,
        };
        asking.header("if-match", "\"1\"").send().await
    }

    async fn status_of_patient(&self, token: &str, patient: &str) -> u16 {
        let path = format!("/v1/patients/{patient}");
        self.of_own(token, "GET", &path, None).await.status.as_u16()
    }

    async fn count(&self, sql: &str) -> i64 {
        self.region.as_superuser().await.query_one(sql, &[]).await.expect("a count").get(0)
    }

    async fn portal_failures(&self) -> i64 {
        self.count("SELECT coalesce(sum(failures), 0) FROM portal_accounts").await
    }

    /// Waits until failures were counted, which is after the answer.
    async fn portal_counted(&self, failures: i64) {
        while self.portal_failures().await < failures {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_patient_is_invited_chooses_a_login_and_reaches_their_own_record_and_nothing_else() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let open = world
        .ask("provider", "POST", &format!("/v1/patients/{patient}/encounters"))
        .json(&visit())
        .send()
        .await
        .is(201);
    let signed = world
        .ask("provider", "POST", &format!("/v1/patients/{patient}/encounters"))
        .json(&visit())
        .send()
        .await
        .is(201);
    let (open, signed) = (id(&open.json()), id(&signed.json()));
    let sign = format!("/v1/patients/{patient}/encounters/{signed}/sign");
    world.ask("provider", "POST", &sign).header("if-match", "\"1\"").send().await.is(200);

    let answer = world.at_the_portal("sign-in", &shown(ADDRESS, PASSWORD)).await.is(200);
    let (body, token) = (answer.json(), text(&answer, "session_token"));
    assert!(token.starts_with("dom_p_US-TX_") && token.len() == 55, "{token}");
    assert_eq!((body["patient"].as_str(), body["idle_seconds"].as_i64()), (Some(&*patient), Some(1_800)));
    assert_eq!(answer.header("cache-control"), "no-store");
    let base = format!("/v1/patients/{patient}");
    let own = async |method: &str, below: &str, body: Option<&Value>| {
        world.of_own(&token, method, &format!("{base}{below}"), body).await
    };
    assert_eq!(own("GET", "", None).await.is(200).json()["family_name"], "O'Brien-Núñez");
    let changed = own("PATCH", "", Some(&json!({"phone": "+15125550199"}))).await.is(200);
    assert_eq!(changed.json()["phone"], "+15125550199");
    // What is not signed is not released.
    let listed = own("GET", "/encounters", None).await.is(200).json();
    let listed: Vec<_> = listed["data"].as_array().expect("a list").iter().map(id).collect();
    assert_eq!(listed, [signed.clone()]);
    assert_eq!(own("GET", &format!("/encounters/{signed}"), None).await.is(200).json()["reason"], "cough");
    own("GET", &format!("/encounters/{open}"), None).await.is(404).problem("not-found");
    world.ask("provider", "GET", &format!("{base}/encounters/{open}")).send().await.is(200);
    own("GET", "/appointments", None).await.is(200);
    let consent = own("POST", "/consents", Some(&treatment("general"))).await.is(201).json();
    own("GET", "/consents", None).await.is(200);
    own("GET", &format!("/consents/{}", id(&consent)), None).await.is(200);
    let back = json!({"evidence": "verbal", "reference": "by telephone"});
    own("POST", &format!("/consents/{}/revoke", id(&consent)), Some(&back)).await.is(200);

    // Every one of these was done by the login, in the session, as a patient and at the patient's request.
    let client = world.region.as_superuser().await;
    let sql =
        "SELECT count(*), bool_and(l.role = 'patient' AND l.purpose = 'PATRQT' AND l.patient_id::text = $1
            AND l.user_id = (SELECT id FROM portal_accounts)) FROM access_log l
        WHERE l.key_id = (SELECT id FROM portal_sessions)";
    let row = client.query_one(sql, &[&patient]).await.expect("a row");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (11, true));

    for (method, path) in [
        ("GET", "/v1/patients?home=US-TX".to_owned()),
        ("DELETE", format!("{base}?reason=duplicate")),
        ("POST", format!("{base}/encounters")),
        ("POST", format!("{base}/appointments")),
        ("GET", format!("{base}/waitlist")),
        ("POST", format!("{base}/break-glass")),
        ("POST", format!("{base}/portal-invitations")),
        ("DELETE", format!("{base}/portal-account")),
        ("GET", "/v1/regions".to_owned()),
        ("GET", "/v1/auth/sessions".to_owned()),
        ("POST", "/v1/auth/totp".to_owned()),
        ("GET", format!("/v1/orgs/{}", world.org)),
    ] {
        world.of_own(&token, method, &path, Some(&json!({}))).await.is(403).problem("forbidden");
    }
    for purpose in Purpose::ALL.iter().filter(|purpose| **purpose != Purpose::PatientRequest) {
        let asking = world.ask(&token, "GET", &base).header("purpose-of-use", purpose.as_str());
        asking.send().await.is(403).problem("forbidden");
    }
}

#[tokio::test]
async fn whoever_else_there_is_answers_like_nobody() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let neighbour = world.portal_patient("ben@example.com").await;
    let abroad = residency_policy::PatientId::random(&storage::testing::TestEntropy::default());
    world.place(abroad, "US-CA");
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    assert_eq!(world.status_of_patient(&token, &patient).await, 200, "the control");
    let nobody = PatientId::random(&storage::testing::TestEntropy::default()).to_string();
    let back = json!({"evidence": "verbal", "reference": "by telephone"});
    let consent = treatment("general");
    let any = &nobody.clone();
    for (method, below, body) in [
        ("GET", String::new(), None),
        ("PATCH", String::new(), Some(&json!({"given_name": "Eva"}))),
        ("GET", "/encounters".to_owned(), None),
        ("GET", format!("/encounters/{any}"), None),
        ("GET", "/segregated/reproductive/encounters".to_owned(), None),
        ("GET", "/appointments".to_owned(), None),
        ("GET", format!("/appointments/{any}"), None),
        ("GET", "/consents".to_owned(), None),
        ("POST", "/consents".to_owned(), Some(&consent)),
        ("POST", format!("/consents/{any}/revoke"), Some(&back)),
    ] {
        let ask = async |who: &str| {
            let path = format!("/v1/patients/{who}{below}");
            let answer = world.of_own(&token, method, &path, body).await.is(404);
            shape(&answer)
        };
        let expected = ask(&nobody).await;
        for other in [&neighbour, &abroad.to_string()] {
            assert_eq!(ask(other).await, expected, "{method} {below}");
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
    // Another login has the address: it is said to whoever holds the code and knows the birth date.
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
        let asking = world.ask("", "POST", &path).without("authorization").json(&shown(ADDRESS, PASSWORD));
        asking.send().await.is(status);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_gets_the_same_bytes_and_costs_as_much() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let mut first = None;
    let check = async |what: &str, body: Value| {
        let before = world.desk.hashing.hashed();
        let answer = world.at_the_portal("sign-in", &body).await.is(401);
        assert_eq!(world.desk.hashing.hashed() - before, 1, "{what}");
        shape(&answer)
    };
    for (what, body) in [
        ("a wrong password", shown(ADDRESS, "wrong")),
        ("an unknown address", shown("nobody@example.com", PASSWORD)),
        ("no address", shown("nobody", PASSWORD)),
        ("no password", shown(ADDRESS, "")),
        ("too much of one", shown(ADDRESS, &"a".repeat(300))),
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
    assert_eq!(Some(check("a login that was ended", shown(ADDRESS, PASSWORD)).await), first);
    for missing in ["email", "password"] {
        let mut body = shown(ADDRESS, PASSWORD);
        body.as_object_mut().expect("an object").remove(missing);
        world.at_the_portal("sign-in", &body).await.is(422).problem("invalid");
    }
}

#[tokio::test]
async fn from_the_fifth_failure_on_nothing_is_looked_at_for_a_while_that_doubles() {
    let world = World::new().await;
    world.portal_patient(ADDRESS).await;
    let fail = async |failures: i64| {
        world.at_the_portal("sign-in", &shown(ADDRESS, "wrong")).await.is(401);
        world.portal_counted(failures).await;
    };
    let right = async || world.at_the_portal("sign-in", &shown(ADDRESS, PASSWORD)).await.status.as_u16();
    for failures in 1..=5 {
        fail(failures).await;
    }
    for (failures, seconds) in [(6, 30), (7, 60), (8, 120), (9, 240), (10, 480), (11, 900), (12, 900)] {
        assert_eq!(right().await, 401, "locked out after {failures}");
        // A failure meanwhile neither counts nor makes it longer.
        world.at_the_portal("sign-in", &shown(ADDRESS, "wrong")).await.is(401);
        world.later(seconds - 1);
        assert_eq!(right().await, 401, "{seconds} seconds are not over");
        world.later(1);
        fail(failures).await;
    }
    world.later(900);
    assert_eq!(right().await, 200);
    assert_eq!(world.portal_failures().await, 0);
}

#[tokio::test]
async fn a_session_ends_with_its_time_at_sign_out_and_with_the_login() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let of = async |token: &str| world.status_of_patient(token, &patient).await;
    let idle = world.portal_token(ADDRESS, PASSWORD).await;
    let busy = world.portal_token(ADDRESS, PASSWORD).await;
    for _ in 0..25 {
        world.later(1_700);
        assert_eq!(of(&busy).await, 200);
    }
    assert_eq!(of(&idle).await, 401, "after half an hour without a request");
    world.later(43_200 - 25 * 1_700 - 1);
    assert_eq!(of(&busy).await, 200);
    world.later(1);
    assert_eq!(of(&busy).await, 401, "after twelve hours");

    let out = world.portal_token(ADDRESS, PASSWORD).await;
    let stays = world.portal_token(ADDRESS, PASSWORD).await;
    let path = "/v1/portal/sign-out?home=US-TX";
    world.ask(&out, "POST", path).send().await.is(204);
    world.ask(&out, "POST", path).send().await.is(204);
    assert_eq!((of(&out).await, of(&stays).await), (401, 200));
    assert_eq!(world.count("SELECT count(*) FROM portal_sessions").await, 1, "what is over was forgotten");

    let account = format!("/v1/patients/{patient}/portal-account");
    world.ask("stranger", "DELETE", &account).send().await.is(404);
    assert_eq!(of(&stays).await, 200);
    let code = world.portal_code(&patient).await;
    world.ask("provider_staff", "DELETE", &account).send().await.is(204);
    assert_eq!(of(&stays).await, 401);
    world.at_the_portal("accounts", &acceptance(&code)).await.is(401);
    // Another invitation begins it anew, and ends what was there.
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &acceptance(&code)).await.is(204);
    let before = world.portal_token(ADDRESS, PASSWORD).await;
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &with(acceptance(&code), "password", NEXT)).await.is(204);
    assert_eq!(of(&before).await, 401);
    world.at_the_portal("sign-in", &shown(ADDRESS, PASSWORD)).await.is(401);

    // And whoever is removed from view has none.
    let last = world.portal_token(ADDRESS, NEXT).await;
    world.portal_code(&patient).await;
    let remove = format!("/v1/patients/{patient}?reason=duplicate");
    world.ask("provider", "DELETE", &remove).send().await.is(204);
    assert_eq!(of(&last).await, 401);
    let left = "SELECT (SELECT count(*) FROM portal_accounts) + (SELECT count(*) FROM portal_sessions)
        + (SELECT count(*) FROM portal_invitations)";
    assert_eq!(world.count(left).await, 0);
}

#[tokio::test]
async fn whoever_knows_the_current_password_changes_it_and_their_other_sessions_end() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let (mine, other) =
        (world.portal_token(ADDRESS, PASSWORD).await, world.portal_token(ADDRESS, PASSWORD).await);
    let change = async |token: &str, current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        world.ask(token, "PUT", "/v1/portal/password?home=US-TX").json(&body).send().await
    };
    change(&mine, "wrong", NEXT).await.is(401).problem("unauthenticated");
    world.portal_counted(1).await;
    change(&mine, PASSWORD, "passwordpassword").await.is(422);
    change("provider", PASSWORD, NEXT).await.is(401);
    change(&mine, PASSWORD, NEXT).await.is(204);
    assert_eq!(world.portal_failures().await, 0);
    assert_eq!(world.status_of_patient(&mine, &patient).await, 200);
    assert_eq!(world.status_of_patient(&other, &patient).await, 401);
    world.at_the_portal("sign-in", &shown(ADDRESS, PASSWORD)).await.is(401);
    world.portal_token(ADDRESS, NEXT).await;
}

#[tokio::test]
async fn a_browser_has_its_session_where_no_script_reads_it_and_changes_only_from_our_own_page() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let body = json!({ "email": ADDRESS, "password": PASSWORD });
    let answer = world.at_the_portal("sign-in", &body).await.is(200);
    let line = answer.header("set-cookie").to_owned();
    assert!(!answer.text().contains("dom_p_"), "it is in the cookie only");
    for part in ["__Host-domicile-patient=dom_p_US-TX_", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(line.contains(part), "{line}");
    }
    let jar = line.split(';').next().expect("a cookie").to_owned();
    let ask = |method: &str, path: &str, site: Option<&str>| {
        let asking = world.ask("", method, path).without("authorization").header("cookie", &jar);
        let asking = asking.header("purpose-of-use", "PATRQT").header("if-match", "\"1\"");
        match site {
            Some(site) => asking.header("sec-fetch-site", site),
            None => asking,
        }
    };
    let path = format!("/v1/patients/{patient}");
    ask("GET", &path, None).send().await.is(200);
    let patch = json!({"given_name": "Eva"});
    for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
        ask("PATCH", &path, site).json(&patch).send().await.is(403).problem("cross-site");
        ask("POST", "/v1/portal/sign-out?home=US-TX", site).send().await.is(403).problem("cross-site");
        ask("POST", "/v1/portal/sign-in?home=US-TX", site)
            .json(&body)
            .send()
            .await
            .is(403)
            .problem("cross-site");
    }
    ask("PATCH", &path, Some("same-origin")).json(&patch).send().await.is(200);
    // A browser has one session.
    ask("POST", "/v1/portal/sign-in?home=US-TX", Some("same-origin")).json(&body).send().await.is(200);
    ask("GET", &path, None).send().await.is(401);
    assert_eq!(world.count("SELECT count(*) FROM portal_sessions").await, 1);
}

#[tokio::test]
async fn what_is_no_session_of_this_home_is_nobody() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let secret = token.rsplit_once('_').expect("a secret").1.to_owned();
    let whole = &token["dom_p_US-TX_".len()..];
    for wrong in [
        format!("dom_p_US-CA_{whole}"),
        format!("dom_p_us-tx_{whole}"),
        format!("dom_p_US-TX_{}", BASE64URL_NOPAD.encode(&[7; 32])),
        format!("dom_p_US-TX_{secret}A"),
        format!("dk_{whole}"),
        whole.to_owned(),
    ] {
        let path = format!("/v1/patients/{patient}");
        world.of_own(&wrong, "GET", &path, None).await.is(401).problem("unauthenticated");
    }
    assert_eq!(world.status_of_patient(&token, &patient).await, 200, "the control");
    // An organisation that is closed has no patients who sign in.
    let org = residency_control::Command::PutOrganisation(residency_control::Organisation {
        id: world.org,
        name: "Elm Street Clinic".parse().expect("a name"),
        org_type: residency_policy::OrgType::Provider,
        serves: [crate::support::jurisdiction("US-TX")].into_iter().collect(),
        active: false,
    });
    world.done(org);
    assert_eq!(world.status_of_patient(&token, &patient).await, 401);
    world.at_the_portal("sign-in", &shown(ADDRESS, PASSWORD)).await.is(401);
}

/// Row-level security alone: in a transaction of a patient, whatever is asked for, only their own rows are there.
#[tokio::test]
async fn the_database_shows_a_patient_nothing_of_another() {
    let world = World::new().await;
    let (ours, theirs) = (world.portal_patient(ADDRESS).await, world.portal_patient("ben@example.com").await);
    for patient in [&ours, &theirs] {
        let consents = format!("/v1/patients/{patient}/consents");
        world.ask("provider_staff", "POST", &consents).json(&treatment("general")).send().await.is(201);
        let visits = format!("/v1/patients/{patient}/encounters");
        for _ in 0..2 {
            world.ask("provider", "POST", &visits).json(&visit()).send().await.is(201);
        }
    }
    let (ours, theirs): (PatientId, PatientId) = (ours.parse().expect("an id"), theirs.parse().expect("an id"));
    let scope = |role: Role, own: Option<PatientId>| Scope {
        role,
        own,
        purpose: Purpose::PatientRequest,
        ..storage::testing::scope(world.org)
    };
    let rows =
        "SELECT (SELECT count(*) FROM patients) AS patients, (SELECT count(*) FROM consents) AS consents,
        (SELECT count(DISTINCT patient_id) FROM patient_index) AS indexed,
        (SELECT count(*) FROM encounters) AS visits, (SELECT count(*) FROM portal_accounts) AS logins,
        (SELECT count(DISTINCT patient_id) FROM access_log) AS recorded";
    let seen = async |scope: &Scope, patient: Option<PatientId>| {
        let region = &world.region;
        let read = match patient {
            Some(patient) => {
                RegionRead::begin(&region.pool, &region.permit(patient, Act::Read), scope, "test.own")
            }
            None => {
                let permit = storage::testing::region_permit(region.region());
                RegionRead::begin_region(&region.pool, &permit, scope, "test.own")
            }
        };
        let row = read.expect("a read").query_one(rows, &[]).await.expect("counts");
        ["patients", "consents", "indexed", "visits", "logins", "recorded"]
            .map(|column| row.get::<i64>(column).expect("a count"))
    };
    // Theirs alone, although the whole region is asked; no visit, for none is signed.
    assert_eq!(seen(&scope(Role::Patient, Some(ours)), None).await, [1, 1, 1, 0, 1, 1]);
    assert_eq!(seen(&scope(Role::Patient, Some(ours)), Some(ours)).await, [1, 1, 1, 0, 1, 1]);
    assert_eq!(seen(&scope(Role::Patient, Some(ours)), Some(theirs)).await, [0; 6]);
    assert_eq!(seen(&scope(Role::Patient, None), None).await, [0; 6], "the role alone is nobody");
    assert_eq!(seen(&scope(Role::Provider, None), None).await, [2, 2, 2, 4, 2, 2], "the control");

    let change = "UPDATE patients SET version = version + 1, updated_at = updated_at";
    let changed = async |own: PatientId, of: PatientId| {
        let permit = world.region.permit(of, Act::Write);
        let scope = scope(Role::Patient, Some(own));
        let tx = RegionTx::begin(&world.region.pool, &permit, &scope, "test.own").await.expect("begins");
        tx.execute(change, &[]).await.expect("a count")
    };
    assert_eq!((changed(ours, theirs).await, changed(ours, ours).await), (0, 1));
}

/// Nothing of a login is in the control plane: neither what it replicates nor what it is asked changes by it.
#[tokio::test]
async fn nothing_of_a_login_is_in_the_control_plane() {
    let world = World::new().await;
    world.colleague(&[Role::Provider]);
    let state = || {
        let state = world.book.state.lock().expect("a lock");
        (state.signin().clone(), format!("{:?}", state.organisations()))
    };
    let before = state();
    let patient = id(&world.register(&ana()).await);
    let code = world.portal_code(&patient).await;
    world.at_the_portal("accounts", &acceptance(&code)).await.is(204);
    world.at_the_portal("sign-in", &shown(ADDRESS, "wrong")).await.is(401);
    world.portal_counted(1).await;
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let path = "/v1/portal/sign-out?home=US-TX";
    world.ask(&token, "POST", path).send().await.is(204);
    assert!(state() == before, "nothing was proposed");
    // The control: somebody of the workforce is seen there.
    world.staff("robin@elm.example", &[Role::Provider]);
    assert!(state() != before);
}
