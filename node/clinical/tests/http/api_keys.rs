//! API keys over HTTP: issued, listed, rotated and revoked by administrators, and good for their scopes only.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use residency_control::KeyStanding;
use residency_control::api_keys::{KeyChange, KeyUses};
use residency_control::{Command, JurisdictionSet, KeyVerifier, Organisation};
use residency_policy::{KeyId, KeyScope, OrgId, Role};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::authenticators::enrolled;
use crate::signin::text;
use crate::support::{Ask, World, jurisdiction};

const DAY: i64 = 86_400;

impl World {
    fn keys(&self, token: &str, method: &str, below: &str) -> Ask<'_> {
        let path = format!("/v1/orgs/{}/api-keys{below}", self.org);
        self.ask(token, method, &path).without("purpose-of-use").without("idempotency-key")
    }

    fn ahead(&self, seconds: i64) -> String {
        Timestamp::from_second(self.here.clock.now().as_second() + seconds).expect("a time").to_string()
    }

    fn issued_key(&self, id: &str) -> KeyStanding {
        let id: KeyId = id.parse().expect("an id");
        self.here.directory.keys_of(self.org).into_iter().find(|one| one.key == id).expect("it is there")
    }

    fn wanted(&self) -> Value {
        json!({
            "role": "provider_staff", "scopes": ["scheduling:write", "directory:read"], "expires_at": self.ahead(90 * DAY)
        })
    }

    /// The digest that recognises a key now.
    fn verifier(&self, id: &str) -> [u8; 32] {
        let id: KeyId = id.parse().expect("an id");
        self.book.state.lock().expect("a lock").keys().get(&id).expect("it is there").secret_sha256
    }

    /// A token of an administrator who showed a second factor.
    async fn sure_admin(&self) -> String {
        let admin = self.staff("robin@elm.example", &[Role::OrgAdmin]);
        enrolled(self, &admin).await.0
    }
}

fn sha256_of(secret: &str) -> [u8; 32] {
    let (_, secret) = secret[3..].split_once('_').expect("two parts");
    let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).expect("base64url");
    digest(&SHA256, &secret).as_ref().try_into().expect("32 bytes")
}

#[tokio::test]
async fn a_key_is_issued_listed_rotated_and_revoked() {
    let world = World::new().await;
    let token = world.sure_admin().await;
    let issued = world.keys(&token, "POST", "").json(&world.wanted()).send().await.is(201);
    let (secret, key) = (text(&issued, "secret"), issued.json()["key"].clone());
    let id = key["id"].as_str().expect("an id").to_owned();
    assert!(secret.starts_with("dk_") && secret.contains(&id.replace('-', "")));
    assert_eq!(sha256_of(&secret), world.verifier(&id), "what was shown is what is recognised");
    assert_eq!(
        (&key["role"], &key["scopes"], &key["jurisdictions"]),
        (&json!("provider_staff"), &json!(["scheduling:write", "directory:read"]), &json!(["US-TX"]))
    );
    assert!(!issued.header("x-log-index").is_empty());
    let listed = world.keys(&token, "GET", "").send().await.is(200);
    assert_eq!(listed.json(), json!({ "data": [key] }));
    assert!(!listed.text().contains(&secret[36..]));

    let used = KeyUses::new(vec![(id.parse().expect("an id"), 1_800_000_000)]).expect("one");
    world.done(Command::Key(KeyChange::NoteUses(used)));
    let listed = world.keys(&token, "GET", "").send().await.is(200).json();
    assert_eq!(listed["data"][0]["last_used_at"], "2027-01-15T08:00:00Z");

    let rotate = |version: u64, overlap: i64| {
        let body =
            json!({ "version": version, "expires_at": world.ahead(100 * DAY), "overlap_seconds": overlap });
        world.keys(&token, "POST", &format!("/{id}/rotate")).json(&body).send()
    };
    let rotated = rotate(1, 3_600).await.is(200);
    assert_eq!(rotated.json()["key"]["version"], 2);
    rotate(1, 3_600).await.is(412).problem("precondition-failed");
    let next = text(&rotated, "secret");
    assert_eq!((sha256_of(&next), &next[..35]), (world.verifier(&id), &secret[..35]));
    assert_eq!(rotated.json()["key"]["old_secret_until"], world.ahead(3_600));
    assert!(rotate(2, 0).await.is(200).json()["key"].get("old_secret_until").is_none());

    world.keys(&token, "DELETE", &format!("/{id}")).send().await.is(204);
    assert!(world.issued_key(&id).revoked);
    assert_eq!(world.keys(&token, "GET", "").send().await.is(200).json(), json!({ "data": [] }));
    rotate(3, 0).await.is(409).problem("illegal-transition");
    world.keys(&token, "DELETE", &format!("/{id}")).send().await.is(204);
}

#[tokio::test]
async fn a_rotated_key_works_where_its_organisation_still_does() {
    let world = World::new().await;
    let token = world.sure_admin().await;
    let serving = |places: &[&str]| {
        let known = world.book.state.lock().expect("a lock").organisations().get(&world.org).cloned();
        let serves = places.iter().map(|code| jurisdiction(code)).collect();
        world.done(Command::PutOrganisation(Organisation { serves, ..known.expect("it is there") }));
    };
    serving(&["US-TX", "US-CA"]);
    let issued = world.keys(&token, "POST", "").json(&world.wanted()).send().await.is(201).json();
    assert_eq!(issued["key"]["jurisdictions"], json!(["US-CA", "US-TX"]));
    let id = issued["key"]["id"].as_str().expect("an id").to_owned();
    let rotate = |version: u64| {
        let body = json!({ "version": version, "expires_at": world.ahead(DAY), "overlap_seconds": 0 });
        world.keys(&token, "POST", &format!("/{id}/rotate")).json(&body).send()
    };
    assert_eq!(rotate(1).await.is(200).json()["key"]["jurisdictions"], json!(["US-CA", "US-TX"]));
    serving(&["US-TX"]);
    assert_eq!(rotate(2).await.is(200).json()["key"]["jurisdictions"], json!(["US-TX"]));
    assert_eq!(world.issued_key(&id).jurisdictions, JurisdictionSet::from(jurisdiction("US-TX")));
    serving(&["US-NY"]);
    rotate(3).await.is(409).problem("illegal-transition");
}

#[tokio::test]
async fn issuing_and_rotating_take_a_second_factor_and_keys_are_an_organisations_own() {
    let world = World::new().await;
    let token = world.sure_admin().await;
    let other = OrgId::from_bytes([9; 16]);
    world.key("other_admin", other, Role::OrgAdmin, &["US-TX"]);
    world.key("robot_admin", world.org, Role::OrgAdmin, &["US-TX"]);
    let issued = world.keys(&token, "POST", "").json(&world.wanted()).send().await.is(201).json();
    let id = issued["key"]["id"].as_str().expect("an id").to_owned();
    let rotation = json!({ "version": 1, "expires_at": world.ahead(DAY), "overlap_seconds": 0 });
    for (method, below, body) in
        [("POST", String::new(), world.wanted()), ("POST", format!("/{id}/rotate"), rotation.clone())]
    {
        let refused = world.keys("robot_admin", method, &below).json(&body).send().await;
        assert_eq!(refused.is(403).problem("forbidden")["reason"], "step-up-required", "{below}");
    }
    for (method, below) in [("GET", String::new()), ("DELETE", format!("/{id}"))] {
        world.keys("other_admin", method, &below).send().await.is(404);
        world.keys("provider", method, &below).send().await.is(403);
    }
    let path = format!("/v1/orgs/{other}/api-keys/{id}");
    world.ask("other_admin", "DELETE", &path).without("purpose-of-use").send().await.is(404);
    assert!(!world.issued_key(&id).revoked, "the control");
    // One that an operator put is revoked here, and not rotated.
    let put = KeyVerifier {
        key: KeyId::from_bytes([7; 16]),
        org: world.org,
        role: Role::Provider,
        jurisdictions: jurisdiction("US-TX").into(),
        secret_sha256: [7; 32],
        revoked: false,
        expires: None,
    };
    let put_id = put.key.to_string();
    world.done(Command::PutKey(put));
    world.keys(&token, "POST", &format!("/{put_id}/rotate")).json(&rotation).send().await.is(409);
    world.keys("robot_admin", "DELETE", &format!("/{put_id}")).send().await.is(204);
}

#[tokio::test]
async fn what_is_no_key_is_refused_field_by_field() {
    let world = World::new().await;
    let token = world.sure_admin().await;
    let with = |name: &str, value: Value| {
        let mut body = world.wanted();
        body[name] = value;
        body
    };
    for (pointer, body) in [
        ("/role", with("role", json!("owner"))),
        ("/scopes", with("scopes", json!([]))),
        ("/scopes", with("scopes", json!(["everything"]))),
        ("/scopes", with("scopes", json!(["care:read", "care:read"]))),
        ("/scopes", with("scopes", json!("care:read"))),
        ("/jurisdictions", with("jurisdictions", json!([]))),
        ("/jurisdictions", with("jurisdictions", json!(["US-CA"]))),
        ("/expires_at", with("expires_at", Value::Null)),
        ("/expires_at", with("expires_at", json!(world.ahead(0)))),
        ("/expires_at", with("expires_at", json!(world.ahead(366 * DAY + 1)))),
        ("", with("secret", json!("mine"))),
    ] {
        let problem = world.keys(&token, "POST", "").json(&body).send().await.is(422).problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let issued = world.keys(&token, "POST", "").json(&world.wanted()).send().await.is(201).json();
    let id = issued["key"]["id"].as_str().expect("an id").to_owned();
    for (pointer, body) in [
        (
            "/overlap_seconds",
            json!({ "version": 1, "expires_at": world.ahead(DAY), "overlap_seconds": 604_801 }),
        ),
        ("/overlap_seconds", json!({ "version": 1, "expires_at": world.ahead(DAY), "overlap_seconds": -1 })),
        ("/expires_at", json!({ "version": 1, "overlap_seconds": 0 })),
        ("/version", json!({ "expires_at": world.ahead(DAY), "overlap_seconds": 0 })),
    ] {
        let rotate = world.keys(&token, "POST", &format!("/{id}/rotate")).json(&body).send().await;
        assert_eq!(rotate.is(422).problem("invalid")["errors"][0]["pointer"], pointer);
    }
    world.keys(&token, "DELETE", "/nonsense").send().await.is(404);
}

#[tokio::test]
async fn a_key_does_what_it_was_issued_for_and_nothing_else() {
    let world = World::new().await;
    let narrowed = |text: &str, scopes: &[KeyScope]| {
        let mut keys = world.book.keys.lock().expect("a lock");
        let whole = *keys.get("provider").expect("a key");
        let scopes = scopes.iter().copied().collect();
        keys.insert(text.to_owned(), node_access::Credential { scopes, ..whole });
    };
    narrowed("looks", &[KeyScope::PatientsRead]);
    narrowed("books", &[KeyScope::SchedulingWrite, KeyScope::DirectoryRead]);
    let ana = world.register(&crate::support::ana()).await;
    let patient = format!("/v1/patients/{}", ana["id"].as_str().expect("an id"));
    world.ask("looks", "GET", &patient).send().await.is(200);
    world.ask("books", "GET", "/v1/regions").send().await.is(200);
    for (key, method, path, scope) in [
        ("looks", "POST", "/v1/patients?home=US-TX".to_owned(), "patients:write"),
        ("looks", "GET", "/v1/regions".to_owned(), "directory:read"),
        ("looks", "GET", format!("{patient}/encounters"), "care:read"),
        ("books", "GET", patient.clone(), "patients:read"),
    ] {
        let refused = world.ask(key, method, &path).json(&json!({})).send().await.is(403);
        let problem = refused.problem("forbidden");
        assert_eq!(problem["reason"], "scope-lacking", "{path}");
        assert_eq!(problem["errors"], json!([{ "pointer": "scope", "code": "required", "detail": scope }]));
        // Nothing is said of purposes that would not help.
        let bare = world.ask(key, method, &path).without("purpose-of-use").send().await;
        assert!(!bare.text().contains("\"allowed\""), "{path}: {}", bare.text());
    }
}
