//! What groups at a provider make of people.

use residency_control::Command;
use residency_control::signin::{GroupRoles, RoleMapping, SignInChange};
use residency_policy::Role;
use serde_json::{Value, json};

use super::issuer::{CLIENT, Issuer, SECRET};
use crate::signin::Somebody;
use crate::support::{Answer, World};

fn doctors(claims: &mut Value) {
    claims["groups"] = json!(["Everybody", "Doctors"]);
}

fn auditors(claims: &mut Value) {
    claims["groups"] = json!("Auditors");
}

fn both(claims: &mut Value) {
    claims["groups"] = json!(["Auditors", "Doctors"]);
}

impl World {
    /// An issuer whose groups decide.
    async fn with_groups(&self) -> (Issuer, String) {
        let issuer = Issuer::start().await;
        let groups =
            json!([{ "group": "Doctors", "role": "provider" }, { "group": "Auditors", "role": "auditor" }]);
        let body = json!({
            "preset": "okta", "issuer": issuer.server.url, "client_id": CLIENT, "client_secret": SECRET,
            "mail_domain": "elm.example", "role_mapping": { "groups": groups }
        });
        let id = self.provider(&body).await;
        (issuer, id)
    }

    fn roles_of(&self, who: &Somebody) -> Vec<Role> {
        let user = self.here.directory.user(who.user).expect("a user");
        user.memberships.of(who.org).expect("a membership").roles.iter().collect()
    }

    async fn comes_in_as(&self, issuer: &Issuer, provider: &str, more: &str) -> Answer {
        let away = self.away(provider, more).await;
        let code = issuer.signs_in(&away, self.now());
        let pairs = [("code", &*code), ("state", &*away.parameter("state")), ("iss", &issuer.server.url)];
        self.back(&away, &pairs).await
    }
}

#[tokio::test]
async fn groups_decide_as_what_somebody_comes_in_and_end_what_they_were() {
    let world = World::new().await;
    let robin = world.staff("robin@elm.example", &[Role::Provider, Role::OrgAdmin]);
    let (issuer, provider) = world.with_groups().await;
    issuer.script().claims = doctors;
    let first = world.session_of(&world.comes_in(&issuer, &provider).await.is(200)).await;
    assert_eq!((&first["role"], world.roles_of(&robin)), (&json!("provider"), vec![Role::Provider]));
    issuer.script().claims = auditors;
    let second = world.session_of(&world.comes_in(&issuer, &provider).await.is(200)).await;
    assert_eq!((&second["role"], world.roles_of(&robin)), (&json!("auditor"), vec![Role::Auditor]));
    let there = |session: &Value| {
        let id = session["id"].as_str().expect("an id").parse().expect("an id");
        world.here.directory.signins().session(id).is_some()
    };
    assert!(there(&second), "the control");
    assert!(!there(&first), "what they were has ended");

    // In several groups they say which, and nothing else.
    issuer.script().claims = both;
    world.comes_in(&issuer, &provider).await.is(422);
    for (role, status) in [("org_admin", 401), ("provider", 200)] {
        let answer = world.comes_in_as(&issuer, &provider, &format!("?role={role}")).await.is(status);
        if status == 200 {
            assert_eq!(world.session_of(&answer).await["role"], role);
        }
    }
    assert_eq!(world.roles_of(&robin), [Role::Provider, Role::Auditor]);
}

#[tokio::test]
async fn whose_groups_give_nothing_does_not_come_in_and_stays_what_they_were() {
    let world = World::new().await;
    let robin = world.robin();
    let (issuer, provider) = world.with_groups().await;
    let wrong: [fn(&mut Value); 6] = [
        |_| {},
        |claims| claims["groups"] = json!([]),
        |claims| claims["groups"] = json!(["Everybody", "doctors"]),
        |claims| claims["groups"] = json!(["Doctors", 7]),
        |claims| claims["groups"] = json!({ "Doctors": true }),
        |claims| claims["roles"] = json!(["Doctors"]),
    ];
    for claims in wrong {
        issuer.script().claims = claims;
        world.comes_in(&issuer, &provider).await.is(401).problem("unauthenticated");
    }
    assert_eq!(world.here.directory.signins().sessions().len(), 0);
    assert_eq!(world.here.directory.user(robin.user).expect("a user").version, 1, "nothing was changed");
    issuer.script().claims = doctors;
    world.comes_in(&issuer, &provider).await.is(200);

    // A role that the organisation's kind has nobody for gives nothing either, whoever put it in the table.
    let known = world.here.directory.signins();
    let known = known.federation().provider(provider.parse().expect("an id")).cloned().expect("a provider");
    let groups = GroupRoles::new(vec![("Doctors".parse().expect("a group"), Role::LabTech)]).expect("a table");
    let mapping = Some(RoleMapping { claim: "groups".parse().expect("a claim"), groups });
    let expected = known.version;
    let change = SignInChange::PutIdentityProvider { provider: (*known).clone(), mapping, expected };
    world.done(Command::SignIn(change));
    world.comes_in(&issuer, &provider).await.is(401).problem("unauthenticated");
    assert_eq!(world.roles_of(&robin), [Role::Provider]);
}

#[tokio::test]
async fn an_administrator_says_what_groups_make_of_people_and_takes_it_back() {
    let world = World::new().await;
    world.robin();
    let (issuer, provider) = world.with_groups().await;
    let path = format!("/v1/orgs/{}/identity-providers", world.org);
    let list = world.ask("sure_admin", "GET", &path).without("purpose-of-use").send().await.is(200).json();
    let groups =
        json!([{ "group": "Auditors", "role": "auditor" }, { "group": "Doctors", "role": "provider" }]);
    assert_eq!(list["data"][0]["role_mapping"], json!({ "claim": "groups", "groups": groups }));

    let one = format!("{path}/{provider}");
    let patch = |version: &'static str, mapping: Value| {
        let ask = world.ask("sure_admin", "PATCH", &one).without("purpose-of-use").header("if-match", version);
        ask.json(&json!({ "role_mapping": mapping })).send()
    };
    let table = |role: &str| json!({ "claim": "roles", "groups": [{ "group": "Doctors", "role": role }] });
    for wrong in [table("owner"), table("lab_tech"), json!({}), json!([]), json!({ "groups": [] })] {
        let problem = patch("\"1\"", wrong).await.is(422).problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/role_mapping", "{problem}");
    }
    patch("\"1\"", json!({ "groups": groups })).await.is(200);
    let changed = patch("\"1\"", table("auditor")).await.is(200);
    assert_eq!((changed.header("etag"), &changed.json()["role_mapping"]), ("\"2\"", &table("auditor")));
    issuer.script().claims = doctors;
    world.comes_in(&issuer, &provider).await.is(401);
    issuer.script().claims = |claims| claims["roles"] = json!(["Doctors"]);
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    assert_eq!(world.session_of(&answer).await["role"], "auditor");
    patch("\"1\"", Value::Null).await.is(412);
    let without = patch("\"2\"", Value::Null).await.is(200);
    assert_eq!(without.json()["role_mapping"], Value::Null);
    issuer.script().claims = |_| {};
    let answer = world.comes_in(&issuer, &provider).await.is(200);
    assert_eq!(world.session_of(&answer).await["role"], "auditor", "they stay what they were");

    let new = json!({
        "preset": "github", "client_id": "Iv1.test", "client_secret": "gh-secret", "role_mapping": table("provider")
    });
    world.ask("sure_admin", "POST", &path).without("purpose-of-use").json(&new).send().await.is(422);
}
