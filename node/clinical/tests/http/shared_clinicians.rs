//! Two organisations that share a clinician: each rests on the licences that it entered itself, and no other's word stops
//! its care or gives it authority.

use jiff::civil::date;
use residency_control::machine::apply;
use residency_control::{Command, Organisation, Outcome};
use residency_policy::licensure::Licences;
use residency_policy::{OrgId, OrgType, ProviderId, Role};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::authenticators::enrolled;
use crate::calendars::{licence, weekdays};
use crate::licensed::lacks;
use crate::support::{Answer, NPI, World, ana, id, jurisdiction, visit};

/// A slot of the tests' Monday.
const START: &str = "2026-11-23T16:00:00Z";

/// A licence as a body says it.
fn said(state: &str, number: &str) -> Value {
    json!({
        "jurisdiction": state, "kind": "full", "number": number, "status": "active", "from": "2020-01-01",
        "source": "state-board", "verified": "2026-11-01",
    })
}

/// Another clinic, with an administrator and a provider.
struct Other<'w> {
    world: &'w World,
    org: OrgId,
    clinician: ProviderId,
}

impl<'w> Other<'w> {
    /// The clinic, and the clinician of the visits, whom it joins.
    async fn joined(world: &'w World) -> Self {
        let org = OrgId::random(&TestEntropy::default());
        let organisation = Organisation {
            id: org,
            name: "Oak Street Clinic".parse().expect("a name"),
            org_type: OrgType::Provider,
            serves: [jurisdiction("US-TX")].into_iter().collect(),
            active: true,
        };
        let clinician = {
            let mut state = world.book.state.lock().expect("a lock");
            assert_eq!(apply(&mut state, Command::PutOrganisation(organisation)), Outcome::Done);
            state.providers().by_npi(NPI.parse().expect("an NPI")).expect("is known").id
        };
        world.key("their_admin", org, Role::OrgAdmin, &["US-TX"]);
        world.key("their_staff", org, Role::ProviderStaff, &["US-TX"]);
        world.key("their_provider", org, Role::Provider, &["US-TX"]);
        world.book.keys.lock().expect("a lock").get_mut("their_provider").expect("a key").clinician =
            Some(clinician);
        let other = Self { world, org, clinician };
        let mut body = other.shown().await;
        body["organisations"] = json!([world.org, org]);
        other.put("their_admin", &body).await.is(200);
        other
    }

    fn path(&self) -> String {
        format!("/v1/providers/{}", self.clinician)
    }

    async fn read(&self) -> Answer {
        self.world.open("their_admin", "GET", &self.path()).send().await.is(200)
    }

    /// What a PUT takes for what is shown.
    async fn shown(&self) -> Value {
        let mut body = self.read().await.json();
        let map = body.as_object_mut().expect("an object");
        for name in ["id", "specialties"] {
            map.remove(name);
        }
        body
    }

    async fn put(&self, key: &str, body: &Value) -> Answer {
        let tag = self.read().await.header("etag").to_owned();
        self.world.open(key, "PUT", &self.path()).header("if-match", &tag).json(body).send().await
    }

    /// What is shown, with these licences.
    async fn with(&self, licences: &[Value]) -> Value {
        let mut body = self.shown().await;
        body["licences"] = json!(licences);
        body
    }

    async fn entered_by(&self, org: OrgId) -> Vec<Value> {
        let shown = self.read().await.json()["licences"].clone();
        let all = shown.as_array().expect("a list").iter();
        all.filter(|one| one["entered_by"] == org.to_string()).cloned().collect()
    }

    /// Whether a slot can be held for somebody in Texas.
    async fn holds(&self, key: &str) -> Answer {
        let body = json!({"start": START, "service_jurisdiction": "US-TX"});
        let held = self.world.open(key, "POST", &format!("{}/holds", self.path())).json(&body).send().await;
        if held.status == 201 {
            let path = held.header("location").to_owned();
            self.world.open(key, "DELETE", &path).send().await.is(204);
        }
        held
    }

    async fn found(&self, key: &str) -> usize {
        let path = format!("/v1/providers?state=TX&npi={NPI}");
        self.world.open(key, "GET", &path).send().await.is(200).json()["data"].as_array().map_or(0, Vec::len)
    }
}

#[tokio::test]
async fn nobody_changes_what_another_entered_and_care_goes_on() {
    let world = World::new().await;
    let other = Other::joined(&world).await;
    let patient = id(&world.register(&ana()).await);
    let ours = other.entered_by(world.org).await;
    assert_eq!(ours.len(), 2, "Texas and California");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut one = ours[0].clone();
        change(&mut one);
        one
    };
    for wrong in [
        changed(&|one| {
            (one["status"], one["status_since"]) = (json!("suspended"), json!("2026-11-01"));
        }),
        changed(&|one| one["until"] = json!("2026-11-01")),
        changed(&|one| one["verified"] = json!("2026-11-02")),
        changed(&|one| one["number"] = json!("X-9")),
        changed(&|one| one["entered_by"] = json!("operator")),
    ] {
        let refused = other.put("their_admin", &other.with(&[wrong]).await).await.is(403).problem("forbidden");
        assert_eq!(refused["errors"][0]["pointer"], "/licences/0");
        assert_eq!(refused["errors"][0]["code"], "not-yours");
    }
    // Left out, they stay; and their own word that one is suspended is theirs alone.
    let mut suspended = said("US-TX", ours[0]["number"].as_str().expect("a number"));
    (suspended["status"], suspended["status_since"]) = (json!("suspended"), json!("2026-11-01"));
    other.put("their_admin", &other.with(&[suspended]).await).await.is(200);
    assert_eq!(other.entered_by(world.org).await, ours);
    world.open_visit(&patient, &visit()).await.is(201);
    assert_eq!((other.found("org_admin").await, other.found("their_admin").await), (1, 0));
    // Nor is anything else that is shared theirs to change.
    for (field, value) in
        [("name", json!("Another Name")), ("active", json!(false)), ("taxonomy", json!(["363LF0000X"]))]
    {
        let mut body = other.shown().await;
        body[field] = value;
        other.put("their_admin", &body).await.is(403).problem("forbidden");
    }
    world.put_calendar(other.clinician, "\"0\"", &weekdays()).await.is(200);
    let path = format!("{}/calendar", other.path());
    let shut =
        world.open("their_admin", "PUT", &path).header("if-match", "\"1\"").json(&weekdays()).send().await;
    shut.is(403).problem("forbidden");
    world.put_calendar(other.clinician, "\"1\"", &weekdays()).await.is(200);
    // The control: whose it is takes it away.
    other.put("org_admin", &other.with(&[]).await).await.is(200);
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-missing");
}

#[tokio::test]
async fn a_licence_gives_authority_where_it_was_entered() {
    let world = World::new().await;
    let other = Other::joined(&world).await;
    let patient = id(&world.register(&ana()).await);
    world.put_calendar(other.clinician, "\"0\"", &weekdays()).await.is(200);
    other.holds("provider_staff").await.is(201);
    lacks(other.holds("their_staff").await, "US-TX", "licence-missing");
    other.put("org_admin", &other.with(&[]).await).await.is(200);
    other.put("their_admin", &other.with(&[said("US-TX", "B-1")]).await).await.is(200);
    lacks(other.holds("provider_staff").await, "US-TX", "licence-missing");
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-missing");
    assert_eq!((other.found("org_admin").await, other.found("their_admin").await), (0, 1));
    // The control: it does at theirs.
    other.holds("their_staff").await.is(201);
    let theirs =
        world.ask("their_provider", "POST", "/v1/patients?home=US-TX").json(&ana()).send().await.is(201);
    let path = format!("/v1/patients/{}/encounters", id(&theirs.json()));
    world.ask("their_provider", "POST", &path).json(&visit()).send().await.is(201);
    // Whoever leaves takes its own word along, and nobody else's.
    other.put("org_admin", &other.with(&[said("US-TX", "A-1")]).await).await.is(200);
    let mut left = other.shown().await;
    left["organisations"] = json!([world.org]);
    other.put("their_admin", &left).await.is(200);
    assert_eq!((other.entered_by(other.org).await.len(), other.entered_by(world.org).await.len()), (0, 1));
    world.open_visit(&patient, &visit()).await.is(201);
}

#[tokio::test]
async fn what_the_operator_looked_up_counts_everywhere() {
    let world = World::new().await;
    let other = Other::joined(&world).await;
    let patient = id(&world.register(&ana()).await);
    let verify = |licence| {
        let licences = Licences::new(vec![licence]).expect("a list");
        let verify = Command::VerifyLicences { npi: NPI.parse().expect("an NPI"), licences };
        assert_eq!(apply(&mut world.book.state.lock().expect("a lock"), verify), Outcome::Done);
    };
    assert_eq!(other.found("their_admin").await, 0);
    verify(licence("US-TX", None));
    assert_eq!(other.found("their_admin").await, 1);
    world.open_visit(&patient, &visit()).await.is(201);
    let shown = other.shown().await;
    assert!(shown["licences"].as_array().is_some_and(|all| all[0]["entered_by"] == "operator"), "{shown}");
    other.put("their_admin", &shown).await.is(200);
    // Where both name it, the word of both is needed.
    verify(licence("US-TX", Some(date(2026, 11, 1))));
    lacks(world.open_visit(&patient, &visit()).await, "US-TX", "licence-expired");
    assert_eq!(other.found("their_admin").await, 0);
}

#[tokio::test]
async fn one_factor_changes_no_licence_once_an_administrator_has_two() {
    let world = World::new().await;
    let other = Other::joined(&world).await;
    let added = |number: &str| [said("US-TX", "T-1"), said("US-NY", number)];
    other.put("org_admin", &other.with(&added("N-1")).await).await.is(200);
    let administrator = world.staff("ash@elm.example", &[Role::OrgAdmin]);
    enrolled(&world, &administrator).await;
    let body = other.with(&added("N-2")).await;
    let refused = other.put("org_admin", &body).await.is(403).problem("forbidden");
    assert_eq!(refused["reason"], "step-up-required");
    let new = json!({
        "npi": "1245319599", "name": "Casey Sample", "taxonomy": ["207Q00000X"], "licences": [said("US-TX", "T-2")],
    });
    let add = |key: &'static str| world.open(key, "POST", "/v1/providers").json(&new).send();
    assert_eq!(add("org_admin").await.is(403).problem("forbidden")["reason"], "step-up-required");
    // The controls: with two factors; what is no licence; and where nobody has two.
    add("sure_admin").await.is(201);
    let mut spoken = other.shown().await;
    spoken["languages"] = json!(["en"]);
    other.put("org_admin", &spoken).await.is(200);
    other.put("sure_admin", &body).await.is(200);
    other.put("their_admin", &other.with(&[said("US-TX", "B-1")]).await).await.is(200);
}
