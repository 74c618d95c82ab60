//! What a search costs the database must not grow with how many others it holds, also before it has counted them.

use node_clinical::patients::store::{DUPLICATES, SEARCH};
use serde_json::Value;
use storage::testing::{PostgresServer, TestRegion};
use tokio_postgres::Client;
use uuid::Uuid;

/// As it was once written: the order of the join is the planner's choice.
const JOINED: &str = "\
SELECT DISTINCT i.patient_id
FROM unnest($2::text[], $3::bytea[]) AS wanted (field, value_blind)
JOIN patient_index i ON i.field = wanted.field AND i.value_blind = wanted.value_blind
JOIN patient_home h ON h.patient_id = i.patient_id AND h.state = 'active'
WHERE i.org_id = $1
ORDER BY i.patient_id
LIMIT 20";

const SEALED: &str =
    "mrn_sealed, given_name_sealed, family_name_sealed, birth_date_sealed, sex_sealed, address_sealed";

const ORG: Uuid = Uuid::from_u128(7);

/// The blocks that a prepared statement touches.
async fn blocks(app: &Client, name: &str, values: &str) -> u64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({values})");
    let plan: Value = app.query_one(&explain, &[]).await.expect("the statement is explained").get(0);
    ["Shared Hit Blocks", "Shared Read Blocks"].iter().filter_map(|key| plan[0]["Plan"][key].as_u64()).sum()
}

/// So many patients more, whom nobody counts: a region on its first day.
async fn register(region: &TestRegion, count: u32) {
    let many = format!(
        "SET enable_seqscan = off;
         CREATE TEMP TABLE one AS SELECT gen_random_uuid() AS id FROM generate_series(1, {count});
         INSERT INTO patient_home SELECT id, 1, 'active' FROM one;
         INSERT INTO patients (id, org_id, home_epoch, {SEALED}, address_jurisdiction_differs, version, created_at,
             updated_at)
         SELECT id, '{ORG}', 1, '', '', '', '', '', '', false, 1, now(), now() FROM one;
         INSERT INTO patient_index
         SELECT '{ORG}', field, substring(sha256((field || id)::bytea), 1, 16), id
         FROM one, unnest('{{family-name,full-name,family-name-birth-date,birth-date,email,mrn}}'::text[]) AS field"
    );
    region.as_superuser().await.batch_execute(&many).await.expect("patients");
}

#[tokio::test]
async fn looking_for_somebody_does_not_read_everybody() {
    // A server of its own: what others do to a shared one can make it plan anew. And nobody counts.
    let server = PostgresServer::start(&[("autovacuum", "off")]);
    let region = TestRegion::new(&server, "TX").await;
    let options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
    let app = region.config.server.connect("test", options).await.expect("the app connects");
    app.batch_execute(&format!(
        "SELECT set_config('app.org_id', '{ORG}', false), set_config('app.role', 'provider', false),
             set_config('app.purpose', 'TREAT', false), set_config('app.patient_id', 'any', false);
         PREPARE duplicates AS {DUPLICATES};
         PREPARE search AS {SEARCH};
         PREPARE joined AS {JOINED}"
    ))
    .await
    .expect("statements");
    // A connection keeps the plan that it made when the region was almost empty.
    register(&region, 20).await;
    let nobody = "'{email,mrn}', ARRAY[sha256('nobody'), sha256('nobody')]";
    let (alike, page) =
        (format!("'{ORG}', {nobody}"), "'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 20");
    let (search, duplicates) = (format!("'{ORG}', {page}, {nobody}, now()"), format!("{alike}, now()"));
    for (name, values) in [("duplicates", &duplicates), ("search", &search), ("joined", &alike)] {
        blocks(&app, name, values).await;
    }
    register(&region, 3_000).await;
    for (name, values) in [("duplicates", &duplicates), ("search", &search)] {
        let few = blocks(&app, name, values).await;
        assert!((4..40).contains(&few), "{name} touches {few} blocks");
    }
    // The control: that plan for the join reads the organisation's whole index.
    let many = blocks(&app, "joined", &alike).await;
    assert!(many > 100, "{many} blocks");
}
