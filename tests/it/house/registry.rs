//! The registry of PHI fields, the database's own catalog and the API's document say the same.

use std::collections::BTreeSet;

use residency_policy::Role;
use serde_json::Value;
use storage::schema::{Class, Field, Form, REGISTRY, TABLES};
use tests::cluster::{run, shared};
use tests::postgres;

/// Views of the API: schema, the table it shows, and who is shown it.
const VIEWS: &[(&str, &str, &[Role])] = &[
    ("Patient", "patients", &[Role::Provider, Role::ProviderStaff]),
    ("PatientListItem", "patients", &[Role::OrgAdmin]),
    ("PatientToken", "patients", &[Role::Auditor]),
    ("Encounter", "encounters", &[Role::Provider]),
    ("EncounterListItem", "encounters", &[Role::ProviderStaff]),
    ("EncounterToken", "encounters", &[Role::Auditor]),
    ("Addendum", "encounter_addenda", &[Role::Provider]),
    ("Appointment", "appointments", &[Role::Provider, Role::ProviderStaff]),
    ("AppointmentListItem", "appointments", &[Role::Provider, Role::ProviderStaff]),
    ("AppointmentToken", "appointments", &[Role::Auditor]),
    ("BreakGlass", "break_glass_grants", &[Role::Provider, Role::OrgAdmin, Role::Auditor]),
    ("Consent", "consents", &[Role::Provider, Role::ProviderStaff, Role::OrgAdmin, Role::Auditor]),
    // Of pharmacies and laboratories, as soon as anything can be assigned to them; until then nobody is shown it.
    ("ConsentListItem", "consents", &[]),
    ("PurposeEvent", "access_log", &[Role::OrgAdmin, Role::Auditor]),
    ("PurposeAccess", "access_log", &[Role::OrgAdmin, Role::Auditor]),
    ("PurposeConsent", "consents", &[Role::OrgAdmin, Role::Auditor]),
    ("AuditEvent", "access_log", &[Role::OrgAdmin, Role::Auditor]),
    ("Disclosure", "access_log", &[Role::OrgAdmin, Role::Auditor]),
    // Of the patient, and of nobody who works with the record.
    ("AuditEventListItem", "access_log", &[]),
    ("DisclosureListItem", "access_log", &[]),
    ("PurposeEventListItem", "access_log", &[]),
    ("PurposeAccessListItem", "access_log", &[]),
    ("PurposeConsentListItem", "consents", &[]),
    ("WaitlistEntry", "waitlist", &[Role::Provider, Role::ProviderStaff]),
];

/// Properties that are no column: made from the placement, or other records.
const MADE: &[(&str, &str)] = &[
    ("home", "the region's own name"),
    ("possible_duplicates", "ids of other patients"),
    ("addenda", "records of their own, with a view of their own"),
    ("state", "from the columns of a consent and the time"),
    ("offer", "the columns of the offer, which its schema shows"),
    ("access", "the columns of an access record, which its schema shows"),
    ("consent", "the columns of a consent, which its schema shows"),
    ("event", "which of a consent's times it is about"),
];

/// Properties under another name than their column.
const RENAMED: &[(&str, &str)] = &[
    ("address_outside_home", "address_jurisdiction_differs"),
    ("content_digest", "content_sha256"),
    ("organisation_id", "org_id"),
    ("break_glass", "grant_id"),
];

/// Schemas that hold no row of a table about patients.
const NOT_VIEWS: &[&str] = &[
    "Problem",
    "ProblemField",
    "Organisation",
    "NewOrganisation",
    "User",
    "Session",
    "Provider",
    "ProviderListItem",
    "Region",
    "Address",
    "PageInfo",
    "PolicyRule",
    "IdentityProvider",
    "ApiKey",
    "Device",
    "Passkey",
    "PasskeyAssertion",
    "PasskeyAttestation",
];

fn field<'r>(registry: &'r [Field], table: &str, property: &str) -> Option<&'r Field> {
    let name = RENAMED.iter().find(|(p, _)| *p == property).map_or(property, |(_, column)| column);
    let sealed = format!("{name}_sealed");
    registry.iter().find(|f| f.table == table && (f.column == name || f.column == sealed))
}

/// Where the document shows what the registry does not let it show, as sentences.
fn overshown(document: &Value, registry: &[Field]) -> Vec<String> {
    let mut found = Vec::new();
    for (view, table, roles) in VIEWS {
        let properties = document["components"]["schemas"][view]["properties"].as_object();
        let Some(properties) = properties else {
            found.push(format!("there is no view {view}"));
            continue;
        };
        for property in properties.keys().filter(|p| !MADE.iter().any(|(made, _)| made == p)) {
            match field(registry, table, property) {
                None => found.push(format!("{view}.{property} is in no registry")),
                Some(field) => {
                    let missing = roles.iter().filter(|r| !field.roles.contains(r));
                    found.extend(
                        missing.map(|r| format!("{view}.{property} is shown to {r}, who may not see it")),
                    );
                }
            }
        }
    }
    found
}

/// Where the registry contradicts itself.
fn contradictions(registry: &[Field]) -> Vec<String> {
    let mut found = Vec::new();
    for field in registry {
        let of = format!("{}.{}", field.table, field.column);
        if field.column.ends_with("_sealed") != (field.form == Form::Sealed) {
            found.push(format!("{of}: its name and its form differ"));
        }
        if field.column.ends_with("_blind") != (field.form == Form::Blind) {
            found.push(format!("{of}: its name and its form differ"));
        }
        if field.form == Form::Sealed && field.class != Class::Phi {
            found.push(format!("{of}: sealed and no PHI"));
        }
        if field.hipaa.is_some_and(|n| !(1..=18).contains(&n)) {
            found.push(format!("{of}: there are 18 identifiers"));
        }
    }
    found
}

/// Where the catalog and the registry differ: (table, column, type).
fn unregistered(catalog: &[(String, String, String)], registry: &[Field]) -> Vec<String> {
    let mut found = Vec::new();
    for (table, column, kind) in catalog {
        let Some(field) = registry.iter().find(|f| f.table == table && f.column == column) else {
            found.push(format!("{table}.{column} is in no registry"));
            continue;
        };
        if field.form != Form::Clear && kind != "bytea" {
            found.push(format!("{table}.{column} is {kind}, which nothing sealed is"));
        }
        let free_text =
            matches!(kind.as_str(), "text" | "character varying" | "json" | "jsonb" | "xml" | "ARRAY");
        // Codes of closed lists, which the schema checks; never a text that somebody wrote.
        let code = matches!(column.as_str(), "category" | "service_jurisdiction");
        if field.class == Class::Phi && field.form == Form::Clear && free_text && !code {
            found.push(format!("{table}.{column} is PHI and rests as {kind} in the clear"));
        }
    }
    for field in registry {
        if !catalog.iter().any(|(table, column, _)| table == field.table && column == field.column) {
            found.push(format!("{}.{} is registered and not there", field.table, field.column));
        }
    }
    found
}

async fn catalog(region: &str) -> Vec<(String, String, String)> {
    let client = postgres::inspect(shared().region(region)).await.expect("the database");
    let rows = client
        .query(
            "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_name NOT LIKE 'refinery%'
             ORDER BY 1, 2",
            &[],
        )
        .await
        .expect("the catalog");
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

fn document() -> Value {
    serde_json::from_str(&run(&["openapi"]).expect("the document")).expect("JSON")
}

#[tokio::test]
async fn every_column_is_registered_and_every_view_shows_what_it_may() {
    assert_eq!(contradictions(REGISTRY), Vec::<String>::new());
    for region in ["ca", "ny", "tx"] {
        let catalog = catalog(region).await;
        assert!(catalog.len() > 80, "{}", catalog.len());
        assert_eq!(unregistered(&catalog, REGISTRY), Vec::<String>::new(), "{region}");
    }
    assert_eq!(overshown(&document(), REGISTRY), Vec::<String>::new());
}

/// A new schema with a patient's id in it is a view, and says who is shown it.
#[test]
fn every_schema_about_a_patient_is_a_known_view() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let request = ["New", "Patch", "Search"].iter().any(|w| name.contains(w));
        let page = name.ends_with("Page") || name.starts_with("Any");
        let known = VIEWS.iter().any(|(view, _, _)| view == name) || NOT_VIEWS.contains(&name.as_str());
        let shows = schema["properties"]
            .as_object()
            .is_some_and(|p| p.contains_key("id") || p.contains_key("patient_id"));
        assert!(known || request || page || !shows, "{name} is a view that this test does not know");
    }
}

#[tokio::test]
async fn every_table_of_a_tenant_is_kept_apart_by_force() {
    for region in ["ca", "ny", "tx"] {
        let client = postgres::inspect(shared().region(region)).await.expect("the database");
        let there: BTreeSet<String> = postgres::own_tables(&client)
            .await
            .expect("tables")
            .into_iter()
            .map(|t| t.name)
            .filter(|name| !name.starts_with("refinery"))
            .collect();
        assert_eq!(there, TABLES.iter().map(|t| t.name.to_owned()).collect::<BTreeSet<_>>());
        for table in TABLES.iter().filter(|t| t.tenant) {
            let row = client
                .query_one(
                    "SELECT c.relrowsecurity AND c.relforcerowsecurity, a.attnotnull,
                       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid),
                       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum),
                       c.relowner <> 'domicile_app'::regrole
                     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'
                     WHERE c.oid = $1::text::regclass",
                    &[&table.name],
                )
                .await
                .unwrap_or_else(|e| panic!("{} has no org_id: {e}", table.name));
            let facts: Vec<bool> = (0..5).map(|i| row.get(i)).collect();
            // A log is read in the order of transactions, and of its own organisation only by an index of its own.
            assert_eq!(
                facts, [true; 5],
                "{region} {}: forced, not null, policy, index, not the owner",
                table.name
            );
        }
    }
}

/// R8 below everything else: with the program's own user and no organisation said, nothing is there.
#[tokio::test]
async fn without_an_organisation_nothing_is_visible() {
    let region = shared().region("tx");
    let app = postgres::as_in(shared(), region, "database").await.expect("the program's user");
    let inspect = postgres::inspect(region).await.expect("the database");
    let mut rows_there = 0;
    for table in TABLES.iter().filter(|t| t.tenant) {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        let there: i64 = inspect.query_one(&sql, &[]).await.expect("a count").get(0);
        rows_there += there;
        match app.query_one(&sql, &[]).await {
            Ok(row) => {
                assert_eq!(row.get::<_, i64>(0), 0, "{} shows rows to nobody's organisation", table.name);
            }
            Err(error) => {
                assert_eq!(error.code().map(|c| c.code().to_owned()), Some("42501".into()), "{error}");
            }
        }
    }
    assert!(rows_there > 20, "the control: there are rows");
}

/// Every statement of the program is one that the migrated schema takes.
#[tokio::test]
async fn every_statement_can_be_prepared() {
    let app = postgres::as_in(shared(), shared().region("tx"), "database").await.expect("the program's user");
    let features = node_clinical::features();
    let clinical = features.iter().flat_map(|f| f.statements.iter().copied());
    let mut prepared = 0;
    for (name, sql) in storage::schema::statements().chain(clinical) {
        app.prepare(sql).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        prepared += 1;
    }
    assert!(prepared > 30, "{prepared}");
    assert!(app.prepare("SELECT nothing FROM patients WHERE org_id = $1").await.is_err(), "the control");
}

#[test]
fn what_is_not_registered_is_caught() {
    let row = |table: &str, column: &str, kind: &str| (table.to_owned(), column.to_owned(), kind.to_owned());
    let own: Vec<_> = REGISTRY
        .iter()
        .map(|f| row(f.table, f.column, if f.form == Form::Clear { "uuid" } else { "bytea" }))
        .collect();
    assert_eq!(unregistered(&own, REGISTRY), Vec::<String>::new());
    for (planted, says) in [
        (row("patients", "nickname", "text"), "patients.nickname is in no registry"),
        (row("diaries", "text", "text"), "diaries.text is in no registry"),
        (row("patients", "email_sealed", "text"), "patients.email_sealed is text"),
        (row("patients", "deleted_at", "text"), "in the clear"),
    ] {
        let mut catalog = own.clone();
        catalog.push(planted);
        let found = unregistered(&catalog, REGISTRY);
        assert!(found.iter().any(|f| f.contains(says)), "{says}: {found:?}");
    }
    let mut document = document();
    document["components"]["schemas"]["Patient"]["properties"]["nickname"] = serde_json::json!({});
    document["components"]["schemas"]["PatientToken"]["properties"]["email"] = serde_json::json!({});
    let found = overshown(&document, REGISTRY);
    assert!(found.iter().any(|f| f.contains("Patient.nickname is in no registry")), "{found:?}");
    assert!(found.iter().any(|f| f.contains("PatientToken.email is shown to auditor")), "{found:?}");
}
