//! A role counts only in an organisation of a kind that may have it: nobody is made a user or issued a key otherwise, and
//! whoever has such a role all the same is refused over HTTP.

use residency_control::{Command, Organisation};
use residency_policy::{OrgId, OrgType, Role};
use serde_json::json;

use crate::signin::{PASSWORD, shown, text};
use crate::support::{World, ana, id, jurisdiction};

/// Paths of PHI, and a purpose for which somebody may ask there.
const PHI: [(&str, &str); 5] = [
    ("", "TREAT"),
    ("", "HOPERAT"),
    ("/encounters", "TREAT"),
    ("/consents", "HOPERAT"),
    ("/appointments", "TREAT"),
];

impl World {
    /// Has the caller of a key be of an organisation of this kind: the same organisation, whose rows there are.
    fn of_kind(&self, text: &str, kind: OrgType) {
        let mut keys = self.book.keys.lock().expect("a lock");
        keys.get_mut(text).expect("a key").org_type = kind;
    }
}

#[tokio::test]
async fn every_role_in_every_kind_of_organisation_is_let_in_or_refused_as_the_kind_says() {
    let world = World::new().await;
    let patient = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let (mut shown, mut refused) = (0, 0);
    for &role in Role::ALL {
        world.key("somebody", world.org, role, &["US-TX", "US-CA"]);
        for &kind in OrgType::ALL {
            world.of_kind("somebody", kind);
            let regions = world.ask("somebody", "GET", "/v1/regions").without("purpose-of-use").send().await;
            if kind.may_have(role) {
                regions.is(200);
            } else {
                let problem = regions.is(403).problem("forbidden");
                assert_eq!(problem["reason"], "not-for-organisation", "{role} of {kind}");
            }
            let blind = !kind.may_have(role) || (kind == OrgType::Marketing && role != Role::Marketer);
            for (below, purpose) in PHI {
                let path = format!("{patient}{below}");
                let ask = world.ask("somebody", "GET", &path).without("purpose-of-use");
                let answer = ask.header("purpose-of-use", purpose).send().await;
                let status = answer.status.as_u16();
                assert!(!blind || status == 403, "{role} of {kind} at {path}: {status}");
                shown += usize::from(status == 200);
                refused += usize::from(status == 403);
            }
        }
    }
    // The control: those who treat the patient see them.
    assert!(shown >= 4 && refused > 100, "{shown} shown, {refused} refused");
}

#[tokio::test]
async fn nobody_gets_a_role_that_their_organisation_may_not_have() {
    let world = World::new().await;
    let users = format!("/v1/orgs/{}/users", world.org);
    let keys = format!("/v1/orgs/{}/api-keys", world.org);
    let expires = world.here.clock.now() + jiff::SignedDuration::from_hours(24);
    for &kind in OrgType::ALL {
        world.of_kind("sure_admin", kind);
        let open = |method: &str, path: &str| world.ask("sure_admin", method, path).without("purpose-of-use");
        let staff = json!({ "name": "Robin Sample", "roles": ["org_admin"] });
        let staff = open("POST", &users).json(&staff).send().await.is(201);
        let path = staff.header("location").to_owned();
        let mut etag = staff.header("etag").to_owned();
        for &role in Role::ALL {
            let roles = json!({ "roles": ["org_admin", role.as_str()] });
            let roles = if role == Role::OrgAdmin { json!({ "roles": ["org_admin"] }) } else { roles };
            let mut new = roles.clone();
            new["name"] = json!("Casey Sample");
            let key = json!({
                "role": role.as_str(), "scopes": ["directory:read"], "expires_at": expires.to_string()
            });
            let made = open("POST", &users).json(&new).send().await;
            let changed = open("PATCH", &path).header("if-match", &etag).json(&roles).send().await;
            let issued = open("POST", &keys).without("idempotency-key").json(&key).send().await;
            if kind.may_have(role) {
                made.is(201);
                etag = changed.is(200).header("etag").to_owned();
                issued.is(201);
                continue;
            }
            for (refused, pointer) in [(made, "/roles"), (changed, "/roles"), (issued, "/role")] {
                let problem = refused.is(422).problem("invalid");
                assert_eq!(problem["errors"][0]["pointer"], pointer, "{role} of {kind}: {problem}");
                assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1));
            }
        }
    }
}

#[tokio::test]
async fn only_those_who_treat_add_organisations() {
    let world = World::new().await;
    let new = json!({ "name": "Lone Star Clinic", "type": "provider", "serves": ["US-TX"] });
    for &kind in OrgType::ALL {
        // More factors do not help.
        for who in ["org_admin", "sure_admin"] {
            world.of_kind(who, kind);
            let ask = world.ask(who, "POST", "/v1/orgs").without("purpose-of-use").json(&new);
            let answer = ask.send().await;
            if kind == OrgType::Provider {
                answer.is(201);
            } else {
                let problem = answer.is(403).problem("forbidden");
                assert_eq!(problem["reason"], "not-for-organisation", "{who} of {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_marketing_partner_knows_itself_and_no_other_organisation() {
    let world = World::new().await;
    let new = json!({ "name": "Lone Star Clinic", "type": "provider", "serves": ["US-TX"] });
    let made = world.ask("org_admin", "POST", "/v1/orgs").json(&new).send().await.is(201);
    let (other, own) = (made.header("location").to_owned(), format!("/v1/orgs/{}", world.org));
    world.surely("partner_admin", world.org, Role::OrgAdmin);
    world.of_kind("partner_admin", OrgType::Marketing);
    let nobodys = format!("/v1/orgs/{}", OrgId::from_bytes([7; 16]));
    for who in ["marketer", "partner_admin"] {
        let open = |method: &str, path: &str| world.ask(who, method, path).without("purpose-of-use");
        let listed = open("GET", "/v1/orgs").send().await.is(200).json();
        let ids: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|org| &org["id"]).collect();
        assert_eq!(ids, [&json!(world.org.to_string())], "{who}");
        open("GET", &own).send().await.is(200);
        open("GET", &other).send().await.is(404).problem("not-found");
        open("GET", &nobodys).send().await.is(404).problem("not-found");
    }
    let patch = world.ask("partner_admin", "PATCH", &other).without("purpose-of-use");
    patch.header("if-match", "\"1\"").json(&json!({ "name": "X" })).send().await.is(404).problem("not-found");
    // The control: those who treat know of each other.
    let listed = world.ask("pharmacist", "GET", "/v1/orgs").without("purpose-of-use").send().await.is(200);
    assert_eq!(listed.json()["data"].as_array().map(Vec::len), Some(2));
    world.ask("pharmacist", "GET", &other).without("purpose-of-use").send().await.is(200);
}

/// What was put in the log before this was asked, or by an operator's bare command: somebody with a role of another kind.
#[tokio::test]
async fn whoever_has_the_role_all_the_same_does_not_come_in_with_it() {
    let world = World::new().await;
    let both = world.staff("robin@elm.example", &[Role::Provider, Role::OrgAdmin]);
    let login = async |role: &str| {
        let mut body = shown(&both, PASSWORD);
        body["role"] = json!(role);
        world.post("/v1/auth/login", &body).await
    };
    let token = text(&login("provider").await.is(200), "access_token");
    assert_eq!(world.status_of(&token).await, 200, "the control");
    put(&world, both.org, OrgType::Marketing);
    assert_eq!(world.status_of(&token).await, 401, "its session is nobody's");
    assert_ne!(login("provider").await.status.as_u16(), 200);
    let admin = text(&login("org_admin").await.is(200), "access_token");
    assert_eq!(world.status_of(&admin).await, 200, "the other role is one that it may have");
}

/// An operator's word: another kind.
fn put(world: &World, org: OrgId, org_type: OrgType) {
    world.done(Command::PutOrganisation(Organisation {
        id: org,
        name: "Elm Street Clinic".parse().expect("a name"),
        org_type,
        serves: [jurisdiction("US-TX")].into_iter().collect(),
        active: true,
    }));
}
