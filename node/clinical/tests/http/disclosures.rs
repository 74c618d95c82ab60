//! The accounting of disclosures (45 CFR 164.528).

use jiff::SignedDuration;
use residency_policy::{Clock as _, OrgId, PatientId, Role};
use serde_json::Value;
use storage::testing::TestEntropy;

use crate::portal::{ADDRESS, PASSWORD};
use crate::support::{Answer, World};

impl World {
    async fn disclosures(&self, who: &str, patient: &str, query: &str) -> Answer {
        let path = format!("/v1/patients/{patient}/disclosures?{query}");
        self.ask(who, "GET", &path).header("purpose-of-use", "HOPERAT").send().await
    }

    /// Records that somebody saw it for this purpose, some days ago.
    async fn saw(&self, patient: &str, purpose: &str, action: &str, outcome: &str, days: i64) {
        let at = self.region.clock.now() - SignedDuration::from_hours(24 * days);
        let sql = format!(
            "INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, action, entity, outcome, request_id,
                 patient_id, category)
             VALUES (gen_random_uuid(), '{at}', '{}', gen_random_uuid(), 'auditor', '{purpose}', 'test', '{action}',
                 'encounter', '{outcome}', gen_random_uuid(), '{patient}', 'general')",
            self.org
        );
        self.region.as_superuser().await.batch_execute(&sql).await.expect("a record");
    }
}

fn purposes(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("a list").iter();
    data.map(|one| one["purpose"].as_str().expect("a code").to_owned()).collect()
}

/// A patient with a login, of whom much was seen.
async fn seen(world: &World) -> String {
    let patient = world.portal_patient(ADDRESS).await;
    world.ask("provider", "GET", &format!("/v1/patients/{patient}")).send().await.is(200);
    world.saw(&patient, "HLEGAL", "read", "done", 2).await;
    world.saw(&patient, "PUBHLTH", "export", "done", 3).await;
    world.saw(&patient, "HRESCH", "list", "done", 365 * 6 - 2).await;
    // Not disclosed, not seen, or too long ago.
    world.saw(&patient, "HLEGAL", "read", "refused", 1).await;
    world.saw(&patient, "HLEGAL", "update", "done", 1).await;
    world.saw(&patient, "HLEGAL", "read", "done", 365 * 6 + 3).await;
    patient
}

#[tokio::test]
async fn six_years_are_accounted_for_and_treatment_payment_and_operations_only_if_asked_for() {
    let world = World::new().await;
    let patient = seen(&world).await;
    let page = world.disclosures("auditor", &patient, "").await.is(200).json();
    assert_eq!(purposes(&page), ["HLEGAL", "PUBHLTH", "HRESCH"]);
    let first = &page["data"][0];
    let said = [&first["entity"], &first["category"], &first["role"]];
    assert_eq!(said, ["encounter", "general", "auditor"]);
    assert_eq!(first["organisation_id"], world.org.to_string());
    let all = world.disclosures("org_admin", &patient, "include=all").await.is(200).json();
    let all = purposes(&all);
    assert!(all.iter().any(|purpose| purpose == "TREAT") && all.len() > 3, "{all:?}");
    world.disclosures("auditor", &patient, "include=some").await.is(400).problem("bad-parameter");
    let cut = world.disclosures("auditor", &patient, "limit=2").await.is(200).json();
    let cursor = cut["page"]["next_cursor"].as_str().expect("a cursor");
    let rest = world.disclosures("auditor", &patient, &format!("limit=2&cursor={cursor}")).await.is(200).json();
    assert_eq!(purposes(&rest), ["HRESCH"]);
    world.disclosures("auditor", &patient, &format!("include=all&cursor={cursor}")).await.is(400);
}

#[tokio::test]
async fn the_accounting_is_the_organisations_and_the_patients_and_to_look_at_it_is_recorded() {
    let world = World::new().await;
    let patient = seen(&world).await;
    for role in ["provider", "provider_staff", "pharmacist", "lab_tech", "marketer"] {
        world.disclosures(role, &patient, "").await.is(403).problem("forbidden");
    }
    world.key("other_auditor", OrgId::random(&TestEntropy::default()), Role::Auditor, &["US-TX"]);
    let nobody = PatientId::random(&TestEntropy::default()).to_string();
    for (who, whose) in [("other_auditor", &patient), ("auditor", &nobody)] {
        world.disclosures(who, whose, "").await.is(404).problem("not-found");
    }
    let asked = world.disclosures("auditor", &patient, "").await.is(200);
    let sql = "SELECT count(*) FROM access_log WHERE request_id::text = $1 AND act = 'disclosure.list'
        AND patient_id::text = $2 AND outcome = 'done' AND query_mac IS NOT NULL";
    let client = world.region.as_superuser().await;
    let row = client.query_one(sql, &[&asked.header("x-request-id"), &patient]).await.expect("a count");
    assert_eq!(row.get::<_, i64>(0), 1);

    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let path = format!("/v1/patients/{patient}/disclosures");
    let own = world.of_own(&token, "GET", &path, None).await.is(200);
    assert!(!own.text().contains("entity_id"), "{}", own.text());
    assert_eq!(purposes(&own.json()), ["HLEGAL", "PUBHLTH", "HRESCH"]);
    assert!(asked.text().contains("entity_id"), "the control: whoever reviews is told which record");
}
