//! The people who work for an organisation: added, changed, and gone, with their keys.

use http::Method;
use residency_control::system::SystemEntropy;
use residency_control::{Command, KeyVerifier, Membership, Memberships, User, keys};
use residency_policy::{Role, UserId};
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::clinic::{self, Record};
use tests::cluster::shared;
use tests::{operate, postgres};

use super::HOME;
use super::tenants::{Tenant, at_every_door, settles};

async fn add(admin: &Client, org: &Tenant, name: &str, roles: &[&str]) -> Record {
    let body = json!({ "name": name, "roles": roles });
    let added = admin.post(&format!("{}/users", org.path), &body).await.expect("an answer");
    let added = added.expect(201).expect("they are added");
    Record::of(added.header("location"), &added).expect("a user")
}

/// Has commands done, each of which must be done.
async fn done(commands: &[Command]) {
    for came in operate::commands(shared(), "tx", commands).await.expect("they are proposed") {
        assert_eq!(came["of"]["outcome"], "Done", "{came}");
    }
}

/// A key of a user.
async fn key_of(user: &Record, org: &Tenant, role: Role) -> String {
    let minted = keys::mint(&SystemEntropy::new());
    let verifier = KeyVerifier {
        key: minted.key,
        org: org.id.parse().expect("an id"),
        role,
        jurisdictions: shared()
            .described()
            .regions
            .iter()
            .filter_map(|r| r.jurisdiction.parse().ok())
            .collect(),
        secret_sha256: minted.secret_sha256,
        revoked: false,
        expires: None,
    };
    done(&[Command::PutUserKey { verifier, user: UserId::from(user.uuid()) }]).await;
    minted.text.reveal().to_owned()
}

async fn change(admin: &Client, user: &Record, to: Value) -> Answer {
    let path = format!("{}?consistency=linearizable", user.path);
    let etag = admin.get(&path).await.expect("an answer").header("etag").to_owned();
    admin.patch(&user.path, &etag, &to).await.expect("an answer").expect(200).expect("they are changed")
}

#[tokio::test]
async fn users_are_added_listed_and_changed_by_their_administrator() {
    let own = Tenant::new("Elm Street Clinic").await;
    let sure = at_every_door(&own.sure().await);
    let mut ids = Vec::new();
    for ((door, sure), name) in
        own.everywhere().iter().zip(&sure).zip(["Robin A", "Robin B", "Robin C", "Robin D"])
    {
        let user = add(sure, &own, name, &["provider", "org_admin"]).await;
        assert_eq!((&user.body["organisation"], &user.body["active"]), (&json!(own.id), &json!(true)));
        assert_eq!((user.etag.as_str(), &user.body["roles"]), ("\"1\"", &json!(["provider", "org_admin"])));
        let read = door.get(&user.path).await.expect("an answer").expect(200).expect("they are there");
        assert_eq!((read.json(), read.header("etag")), (user.body.clone(), "\"1\""));
        assert!(read.header("x-log-index").parse::<u64>().is_ok());
        ids.push(user.id.clone());

        let patch = json!({ "name": "Dr. Robin O'Neil", "roles": ["provider_staff"] });
        let changed =
            sure.patch(&user.path, "\"1\"", &patch).await.expect("an answer").expect(200).expect("changed");
        assert_eq!((&changed.json()["name"], &changed.json()["roles"]), (&patch["name"], &patch["roles"]));
        assert_eq!(changed.header("etag"), "\"2\"");
        let stale = sure.patch(&user.path, "\"1\"", &patch).await.expect("an answer");
        assert_eq!(stale.problem(412).expect("a problem"), "precondition-failed");
        let same = sure.patch(&user.path, "\"2\"", &patch).await.expect("an answer").expect(200).expect("same");
        assert_eq!(same.header("etag"), "\"2\"", "nothing changed");
    }
    let path = format!("{}/users?consistency=linearizable", own.path);
    let mut listed = clinic::walk(&own.admin(), &path, 3).await.expect("a list");
    // The administrator who signed in is one too.
    listed.retain(|user| user["roles"] != json!(["org_admin"]));
    let mut seen: Vec<_> = listed.iter().filter_map(|user| user["id"].as_str().map(str::to_owned)).collect();
    assert!(seen.is_sorted(), "{seen:?}");
    ids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn a_user_that_is_sent_twice_is_one() {
    let own = Tenant::new("Fir Street Clinic").await;
    let path = format!("{}/users", own.path);
    let admin = own.admin();
    let key = clinic::fresh().to_string();
    let send = |name| {
        let body = json!({ "name": name, "roles": ["provider"] });
        admin.ask(Method::POST, &path).header("idempotency-key", &key).json(&body).send()
    };
    let first = send("Robin Sample").await.expect("an answer").expect(201).expect("is added");
    let again = send("Robin Sample").await.expect("an answer").expect(201).expect("is the same");
    assert_eq!((again.json(), again.header("idempotent-replayed")), (first.json(), "true"));
    let other = send("Somebody Else").await.expect("an answer");
    assert_eq!(other.problem(422).expect("a problem"), "idempotency-reused");
    assert_eq!(clinic::walk(&admin, &path, 50).await.expect("a list").len(), 1);
}

#[tokio::test]
async fn a_request_about_users_is_refused_in_words() {
    let (own, other) = (Tenant::new("Gum Street Clinic").await, Tenant::new("Hazel Street Clinic").await);
    let [admin, stranger] = [own.sure().await, other.sure().await].map(|token| shared().nobody().key(&token));
    let user = add(&admin, &own, "Robin Sample", &["provider"]).await;
    let nobody = format!("/v1/users/{}", clinic::fresh());
    // Somebody else's user and nobody look the same.
    let (a, b) =
        (stranger.get(&user.path).await.expect("an answer"), stranger.get(&nobody).await.expect("one"));
    assert_eq!(a.problem(404).expect("a problem"), "not-found");
    assert_eq!(a.without_its_own(), b.without_its_own());
    let body = json!({ "name": "Robin", "roles": ["provider"] });
    for refused in [
        stranger.patch(&user.path, "\"1\"", &json!({ "name": "X" })).await,
        stranger.delete(&user.path, "\"1\"").await,
        stranger.get(&format!("{}/users", own.path)).await,
        stranger.post(&format!("{}/users", own.path), &body).await,
        stranger.get(&format!("/v1/orgs/{}/users", clinic::fresh())).await,
        stranger.get("/v1/users/nonsense").await,
    ] {
        assert_eq!(refused.expect("an answer").problem(404).expect("a problem"), "not-found");
    }
    let doctor = shared().client("provider", HOME);
    let refused = doctor.get(&user.path).await.expect("an answer");
    assert_eq!(refused.problem(403).expect("a problem"), "forbidden");
    for (tag, status) in [("*", 400), ("\"2\"", 412), ("", 428)] {
        let patch = admin.ask(Method::PATCH, &user.path).json(&json!({ "name": "X" }));
        for asking in [patch, admin.ask(Method::DELETE, &user.path)] {
            let asking = if tag.is_empty() { asking } else { asking.header("if-match", tag) };
            asking.send().await.expect("an answer").problem(status).expect(tag);
        }
    }
    for wrong in [
        json!({ "name": "Ana 1980" }),
        json!({ "name": null }),
        json!({ "roles": [] }),
        json!({ "roles": ["owner"] }),
        json!({ "active": 1 }),
        json!({ "memberships": [] }),
    ] {
        let refused = admin.patch(&user.path, "\"1\"", &wrong).await.expect("an answer");
        assert_eq!(refused.problem(422).expect("a problem"), "invalid", "{wrong}");
        assert!(!refused.text().contains("Ana"), "{}", refused.text());
        let refused = admin.post(&format!("{}/users", own.path), &wrong).await.expect("an answer");
        assert_eq!(refused.problem(422).expect("a problem"), "invalid", "{wrong}");
    }
    let unchanged = admin.get(&user.path).await.expect("an answer").expect(200).expect("they are there");
    assert_eq!((unchanged.json(), unchanged.header("etag")), (user.body, "\"1\""));
}

#[tokio::test]
async fn a_users_keys_end_with_their_work_everywhere() {
    let own = Tenant::new("Ivy Street Clinic").await;
    let admin = shared().nobody().key(&own.sure().await);
    let user = add(&admin, &own, "Robin Sample", &["provider"]).await;
    let key = key_of(&user, &own, Role::Provider).await;
    settles(&key, 200).await;
    change(&admin, &user, json!({ "roles": ["provider_staff"] })).await;
    settles(&key, 401).await;
    change(&admin, &user, json!({ "roles": ["provider", "provider_staff"] })).await;
    settles(&key, 200).await;

    let gone = admin.delete(&user.path, "\"3\"").await.expect("an answer").expect(204).expect("is deactivated");
    assert_eq!(gone.header("etag"), "\"4\"");
    settles(&key, 401).await;
    let again = admin.delete(&user.path, "\"4\"").await.expect("an answer").expect(204).expect("still is");
    assert_eq!(again.header("etag"), "\"4\"", "nothing changed");
    let read = admin.get(&user.path).await.expect("an answer").expect(200).expect("the id stays");
    assert_eq!(read.json()["active"], false);
    settles(&own.key, 200).await;
    change(&admin, &user, json!({ "active": true })).await;
    settles(&key, 200).await;
    let closing = format!("{}?reason=ceased", own.path);
    admin.delete(&closing, "\"1\"").await.expect("an answer").expect(204).expect("it is closed");
    settles(&key, 401).await;
}

/// One person, two organisations: each sees and ends its own part only.
#[tokio::test]
async fn each_organisation_has_its_own_part_of_a_user() {
    let (one, two) = (Tenant::new("Juniper Street Clinic").await, Tenant::new("Kauri Street Clinic").await);
    let user = UserId::random(&SystemEntropy::new());
    let works = |org: &Tenant, role: Role| Membership {
        org: org.id.parse().expect("an id"),
        roles: role.into(),
        active: true,
    };
    let memberships = Memberships::new(vec![works(&one, Role::Provider), works(&two, Role::ProviderStaff)]);
    let name = "Robin Sample".parse().expect("a name");
    let memberships = memberships.expect("two");
    done(&[Command::AddUser(User { id: user, name, memberships, active: true, version: 1 })]).await;
    let record = Record {
        id: user.to_string(),
        path: format!("/v1/users/{user}"),
        etag: String::new(),
        body: Value::Null,
    };
    let keys = [key_of(&record, &one, Role::Provider).await, key_of(&record, &two, Role::ProviderStaff).await];
    for key in &keys {
        settles(key, 200).await;
    }
    for (own, other, role) in [(&one, &two, "provider"), (&two, &one, "provider_staff")] {
        let seen = own.admin().get(&record.path).await.expect("an answer").expect(200).expect("they are seen");
        assert_eq!((&seen.json()["organisation"], &seen.json()["roles"]), (&json!(own.id), &json!([role])));
        assert!(!seen.text().contains(&other.id), "{}", seen.text());
        let listed = clinic::walk(&own.admin(), &format!("{}/users", own.path), 5).await.expect("a list");
        assert_eq!(listed, [seen.json()]);
    }
    let sure = shared().nobody().key(&one.sure().await);
    sure.delete(&record.path, "\"1\"").await.expect("an answer").expect(204).expect("one's part ends");
    settles(&keys[0], 401).await;
    settles(&keys[1], 200).await;
    let seen = two.admin().get(&record.path).await.expect("an answer").expect(200).expect("they are seen");
    assert_eq!(seen.json()["active"], true);
}

/// The keys of `./dev up` are of synthetic staff, and what they do is recorded with their id.
#[tokio::test]
async fn the_access_log_names_the_user() {
    let text = std::fs::read_to_string(shared().home().join("cluster.json")).expect("cluster.json");
    let described: Value = serde_json::from_str(&text).expect("JSON");
    let key = &shared().credential("provider", HOME).api_key;
    let credentials = described["credentials"].as_array().expect("credentials");
    assert!(credentials.iter().all(|c| c["user"]["id"].is_string()), "every key is somebody's");
    let own = credentials.iter().find(|c| c["api_key"] == key.as_str()).expect("its own");
    let doctor = shared().client("provider", HOME);
    let patient = clinic::register(&doctor, HOME, &clinic::somebody(HOME, 930)).await.expect("is registered");
    let (nobodys, _) =
        operate::mint(shared(), own["org"].as_str().expect("an id"), Role::Provider).await.expect("a key");
    clinic::read(&shared().nobody().key(&nobodys), &patient.path).await.expect("is read");
    let client = postgres::inspect(shared().region("ca")).await.expect("the database");
    let sql =
        "SELECT action, user_id::text FROM access_log WHERE patient_id = $1 AND outcome = 'done' ORDER BY at";
    let rows = client.query(sql, &[&patient.uuid()]).await.expect("the access log");
    let rows: Vec<(String, Option<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(rows.contains(&("create".into(), own["user"]["id"].as_str().map(str::to_owned))), "{rows:?}");
    assert!(rows.contains(&("read".into(), None)), "a key of nobody: {rows:?}");
}
