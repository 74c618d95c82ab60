//! What a patient reaches who signed in: their own record, and nothing of anybody else.

use data_encoding::BASE64URL_NOPAD;
use residency_control::{Command, Organisation};
use residency_policy::{Act, OrgType, PatientId, Purpose, Role};
use serde_json::{Value, json};
use storage::testing::TestEntropy;
use storage::{Acting, Reading as _, RegionRead, RegionTx, Scope};

use super::{ADDRESS, PASSWORD, shape};
use crate::consents::treatment;
use crate::signin::text;
use crate::support::{World, id, jurisdiction, visit};

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

    let answer = world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, PASSWORD)).await.is(200);
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
    assert_eq!(listed, std::slice::from_ref(&signed));
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
    let abroad = PatientId::random(&TestEntropy::default());
    world.place(abroad, "US-CA");
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    assert_eq!(world.status_of_patient(&token, &patient).await, 200, "the control");
    let nobody = PatientId::random(&TestEntropy::default()).to_string();
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
    let org = Command::PutOrganisation(Organisation {
        id: world.org,
        name: "Elm Street Clinic".parse().expect("a name"),
        org_type: OrgType::Provider,
        serves: [jurisdiction("US-TX")].into_iter().collect(),
        active: false,
    });
    world.done(org);
    assert_eq!(world.status_of_patient(&token, &patient).await, 401);
    world.at_the_portal("sign-in", &world.portal_shown(ADDRESS, PASSWORD)).await.is(401);
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
    let scope =
        |role: Acting| Scope { role, purpose: Purpose::PatientRequest, ..storage::testing::scope(world.org) };
    let (patient, provider) = (scope(Acting::Patient(ours)), scope(Role::Provider.into()));
    let rows =
        "SELECT (SELECT count(*) FROM patients) AS patients, (SELECT count(*) FROM consents) AS consents,
        (SELECT count(DISTINCT patient_id) FROM patient_index) AS indexed,
        (SELECT count(*) FROM encounters) AS visits, (SELECT count(*) FROM portal_accounts) AS logins,
        (SELECT count(DISTINCT patient_id) FROM access_log) AS recorded";
    let seen = async |scope: &Scope, patient: Option<PatientId>| {
        let region = &world.region;
        let read = if let Some(patient) = patient {
            RegionRead::begin(&region.pool, &region.permit(patient, Act::Read), scope, "test.own")
        } else {
            let permit = storage::testing::region_permit(region.region());
            RegionRead::begin_region(&region.pool, &permit, scope, "test.own")
        };
        let row = read.expect("a read").query_one(rows, &[]).await.expect("counts");
        ["patients", "consents", "indexed", "visits", "logins", "recorded"]
            .map(|column| row.get::<i64>(column).expect("a count"))
    };
    // Theirs alone, although the whole region is asked; no visit, for none is signed.
    assert_eq!(seen(&patient, None).await, [1, 1, 1, 0, 1, 1]);
    assert_eq!(seen(&patient, Some(ours)).await, [1, 1, 1, 0, 1, 1]);
    assert_eq!(seen(&patient, Some(theirs)).await, [0; 6]);
    assert_eq!(seen(&provider, None).await, [2, 2, 2, 4, 2, 0], "the control");
    assert_eq!(seen(&scope(Role::Auditor.into()), None).await[5], 2, "the control");

    let change = "UPDATE patients SET version = version + 1, updated_at = updated_at";
    let changed = async |own: PatientId, of: PatientId| {
        let permit = world.region.permit(of, Act::Write);
        let scope = scope(Acting::Patient(own));
        let tx = RegionTx::begin(&world.region.pool, &permit, &scope, "test.own").await.expect("begins");
        tx.execute(change, &[]).await.expect("a count")
    };
    assert_eq!((changed(ours, theirs).await, changed(ours, ours).await), (0, 1));
}

#[tokio::test]
async fn a_patient_reads_their_ledger_and_is_told_organisation_and_role_and_nobodys_name() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    let consents = format!("/v1/patients/{patient}/consents");
    world.ask("provider_staff", "POST", &consents).json(&treatment("general")).send().await.is(201);
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let path = format!("/v1/patients/{patient}/purposes");
    let page = world.of_own(&token, "GET", &path, None).await.is(200);
    for hidden in ["user_id", "key_id", "request_id", "entity_id", "recorded_by"] {
        assert!(!page.text().contains(hidden), "{hidden}: {}", page.text());
    }
    let page = page.json();
    let entries = page["data"].as_array().expect("a list");
    assert!(entries.iter().all(|entry| entry["organisation_id"] == world.org.to_string()), "{page}");
    let registered = json!({
        "role": "provider", "action": "create", "entity": "patient", "outcome": "done", "break_glass": false
    });
    assert!(entries.iter().any(|entry| entry["access"] == registered), "{page}");
    let granted = entries.iter().find(|entry| entry["consent"]["event"] == "granted").expect("a consent");
    let said = granted["consent"].as_object().expect("an object");
    assert!(said.keys().all(|key| ["id", "event", "category", "text_version"].contains(&key.as_str())));
    assert_eq!((&granted["purpose"], &granted["access"]), (&json!("TREAT"), &Value::Null));

    // The control: whoever reviews is told all of it.
    let review = world.ask("auditor", "GET", &path).header("purpose-of-use", "HOPERAT").send().await.is(200);
    assert!(review.text().contains("key_id") && review.text().contains("recorded_by"));
}
