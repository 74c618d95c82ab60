//! What is recorded to let a marketing organisation have anything of a patient: who says so, and from when to when it
//! counts.

use jiff::Timestamp;
use node_access::Credential;
use residency_control::{Command, Organisation};
use residency_policy::{KeyId, OrgId, OrgType, Role};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::support::{Ask, World, jurisdiction};

const DOCUMENT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn basis(from: &str, until: &str) -> Value {
    let kind = "business-associate-agreement";
    json!({ "kind": kind, "from": from, "until": until, "document_sha256": DOCUMENT })
}

impl World {
    /// An organisation of a kind, with the key of a marketer (`{name}`) and one of its administrator's sessions with a
    /// second factor (`{name}_admin`).
    fn partner(&self, name: &str, org_type: OrgType) -> OrgId {
        let org = OrgId::random(&TestEntropy::default());
        self.done(Command::AddOrganisation(Organisation {
            id: org,
            name: "Sample Referrals".parse().expect("a name"),
            org_type,
            serves: [jurisdiction("US-TX")].into_iter().collect(),
            active: true,
        }));
        let mut keys = self.book.keys.lock().expect("a lock");
        for (text, like, role) in [
            (name.to_owned(), "marketer", Role::Marketer),
            (format!("{name}_admin"), "sure_admin", Role::OrgAdmin),
        ] {
            let like = *keys.get(like).expect("a key");
            let key = KeyId::random(&TestEntropy::default());
            keys.insert(text, Credential { key, org, org_type, role: role.into(), ..like });
        }
        org
    }

    fn basis(&self, who: &str, method: &str, org: OrgId) -> Ask<'_> {
        self.ask(who, method, &format!("/v1/orgs/{org}/legal-basis")).without("purpose-of-use")
    }

    /// Why a marketer may not refer anybody at an instant.
    async fn refused_at(&self, who: &str, at: &str) -> Value {
        self.region.clock.set(at.parse::<Timestamp>().expect("an instant"));
        let ask = self.ask(who, "POST", "/v1/patients?home=US-TX").header("purpose-of-use", "HOPERAT");
        ask.json(&json!({})).send().await.is(403).problem("forbidden")["reason"].clone()
    }

    /// The version of an organisation, as a header has it.
    async fn tag(&self, org: OrgId) -> String {
        let ask = self.ask("provider", "GET", &format!("/v1/orgs/{org}")).without("purpose-of-use");
        ask.send().await.is(200).header("etag").to_owned()
    }
}

#[tokio::test]
async fn a_marketer_is_refused_for_want_of_a_basis_on_every_day_but_those_on_which_it_holds() {
    let world = World::new().await;
    let org = world.partner("partner", OrgType::Marketing);
    world.partner("competitor", OrgType::Marketing);
    let days = [
        ("2026-11-21T23:59:59Z", "no-legal-basis"),
        ("2026-11-22T00:00:00Z", "not-permitted"),
        ("2026-11-24T23:59:59Z", "not-permitted"),
        ("2026-11-25T00:00:00Z", "no-legal-basis"),
    ];
    for (at, _) in days {
        assert_eq!(world.refused_at("partner", at).await, "no-legal-basis", "the control: {at}");
    }
    let body = basis("2026-11-22", "2026-11-24");
    let put =
        world.basis("sure_admin", "PUT", org).header("if-match", "\"1\"").json(&body).send().await.is(200);
    assert_eq!(put.header("etag"), "\"2\"");
    let mut said = body.clone();
    for (name, value) in [
        ("recorded_by", json!("key")),
        ("recorder", json!(world.book.keys.lock().expect("a lock")["sure_admin"].key.to_string())),
        ("recorded_for", json!(world.org.to_string())),
        ("recorded_at", json!(days[3].0)),
    ] {
        said[name] = value;
    }
    assert_eq!(put.json(), said, "who says so, and when");
    assert_eq!(world.basis("sure_admin", "GET", org).send().await.is(200).json(), said);
    for (at, reason) in days {
        assert_eq!(world.refused_at("partner", at).await, reason, "{at}");
        assert_eq!(world.refused_at("competitor", at).await, "no-legal-basis", "another has none: {at}");
        // The role alone needs one: that of an organisation which is none of marketing has nowhere to record it.
        assert_eq!(world.refused_at("marketer", at).await, "no-legal-basis", "{at}");
    }

    let now = days[1].0;
    assert_eq!(world.refused_at("partner", now).await, "not-permitted");
    let taken = world.basis("sure_admin", "DELETE", org).header("if-match", "\"2\"").send().await.is(204);
    assert_eq!(taken.header("etag"), "\"3\"");
    assert_eq!(world.refused_at("partner", now).await, "no-legal-basis");
    let again = world.basis("sure_admin", "DELETE", org).header("if-match", "\"3\"").send().await;
    again.is(404).problem("not-found");

    let client = world.region.as_superuser().await;
    let sql = "SELECT string_agg(action, ' ' ORDER BY action) FROM access_log WHERE entity = 'legal_basis'
        AND entity_id::text = $1 AND outcome = 'done'";
    let recorded: String = client.query_one(sql, &[&org.to_string()]).await.expect("a row").get(0);
    assert_eq!(recorded, "delete update", "who vouched and who took it back is recorded");
}

#[tokio::test]
async fn nobody_vouches_for_themselves_nor_without_a_second_factor_nor_for_what_needs_no_basis() {
    let world = World::new().await;
    let org = world.partner("partner", OrgType::Marketing);
    world.partner("competitor", OrgType::Marketing);
    let lab = world.partner("lab", OrgType::Lab);
    let body = basis("2026-11-22", "2027-11-21");
    let put = |who: &str, org: OrgId| world.basis(who, "PUT", org).header("if-match", "\"1\"").json(&body);
    let taken = |who: &str, org: OrgId| world.basis(who, "DELETE", org).header("if-match", "\"1\"");
    for ask in [put("org_admin", org), taken("org_admin", org)] {
        assert_eq!(ask.send().await.is(403).problem("forbidden")["reason"], "step-up-required");
    }
    for who in ["provider", "provider_staff", "pharmacist", "lab_tech", "auditor", "marketer", "partner"] {
        put(who, org).send().await.is(403).problem("forbidden");
        taken(who, org).send().await.is(403).problem("forbidden");
    }
    let refused = put("partner_admin", org).send().await.is(403).problem("forbidden");
    assert_eq!(refused["reason"], "not-permitted");
    taken("partner_admin", org).send().await.is(403).problem("forbidden");
    // Of a competitor it is not even told that it is there.
    for ask in [put("competitor_admin", org), taken("competitor_admin", org)] {
        ask.send().await.is(404).problem("not-found");
    }
    world.basis("competitor_admin", "GET", org).send().await.is(404).problem("not-found");
    for ask in [put("sure_admin", lab), taken("sure_admin", lab)] {
        let refused = ask.send().await.is(422).problem("invalid");
        assert_eq!(refused["errors"][0]["code"], "not-marketing");
    }
    let nobody = OrgId::random(&TestEntropy::default());
    put("sure_admin", nobody).send().await.is(404).problem("not-found");
    assert_eq!((world.tag(org).await, world.tag(lab).await), ("\"1\"".to_owned(), "\"1\"".to_owned()));

    // The control, and what is asked of whoever may.
    world.basis("sure_admin", "PUT", org).json(&body).send().await.is(428);
    let turned = put("sure_admin", org).json(&basis("2026-11-22", "2026-11-21")).send().await;
    assert_eq!(turned.is(422).problem("invalid")["errors"][0]["pointer"], "/until");
    world.basis("auditor", "GET", org).send().await.is(404).problem("not-found");
    put("sure_admin", org).send().await.is(200);
    put("sure_admin", org).send().await.is(412).problem("precondition-failed");
    taken("sure_admin", org).send().await.is(412).problem("precondition-failed");
    for who in ["auditor", "org_admin", "partner_admin"] {
        let read = world.basis(who, "GET", org).send().await.is(200);
        assert_eq!((read.json(), read.header("etag")), (body.clone(), "\"2\""), "{who}");
    }
    world.basis("partner", "GET", org).send().await.is(403).problem("forbidden");
    assert_eq!(world.tag(org).await, "\"2\"", "it is a change of the organisation");
}
