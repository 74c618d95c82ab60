//! From the newest schema back to the first, and forward again.

use residency_policy::Region;
use storage::schema::MIGRATIONS;
use storage::testing::{PostgresServer, TestRegion};
use storage::{APP, Loss, MigrateConfig, MigrateError, Moved, OWNER, migrate, migrate_to};
use tokio_postgres::Client;

/// A database of Texas that no node uses.
struct Database {
    name: String,
}

impl Database {
    async fn new() -> Self {
        Self { name: TestRegion::database(PostgresServer::shared(), texas()).await }
    }

    fn config(&self) -> MigrateConfig {
        MigrateConfig { server: PostgresServer::shared().server(&self.name, OWNER) }
    }

    async fn to(&self, version: i64, lose_data: bool) -> Result<Moved, MigrateError> {
        migrate_to(self.config(), texas(), TestRegion::cluster(), version, lose_data).await
    }

    async fn superuser(&self) -> Client {
        PostgresServer::shared().superuser(&self.name).connect("test", "").await.expect("the superuser")
    }

    fn schema(&self) -> String {
        PostgresServer::shared().schema_of(&self.name)
    }

    async fn history(&self) -> Vec<(i64, String, String)> {
        let sql = "SELECT version, name, checksum FROM refinery_schema_history ORDER BY version";
        let rows = self.superuser().await.query(sql, &[]).await.expect("the history");
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }
}

fn texas() -> Region {
    Region("US-TX".parse().expect("a jurisdiction"))
}

fn newest() -> i64 {
    MIGRATIONS.last().expect("some").version
}

/// From the newest back one by one, the schema seen at each, and up again.
async fn down_and_up(database: &Database) -> Result<(Vec<String>, Vec<String>), MigrateError> {
    let versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for pair in versions.windows(2).rev() {
        let moved = database.to(pair[0], false).await?;
        assert_eq!((moved.reverted, moved.version, moved.applied), (vec![pair[1]], pair[0], vec![]));
        assert_eq!(database.history().await.last().map(|line| line.0), Some(pair[0]));
        down.push(database.schema());
    }
    down.reverse();
    for version in &versions {
        let moved = database.to(*version, false).await?;
        assert!(moved.reverted.is_empty());
        up.push(database.schema());
    }
    Ok((down, up))
}

#[tokio::test]
async fn every_migration_can_be_undone_and_done_again() {
    let database = Database::new().await;
    let (schema, history) = (database.schema(), database.history().await);
    assert!(schema.contains("CREATE POLICY org_purpose") && schema.len() > 20_000, "{}", schema.len());
    let (down, up) = down_and_up(&database).await.expect("down and up");
    for (at, migration) in MIGRATIONS.iter().enumerate().take(MIGRATIONS.len() - 1) {
        assert_eq!(down[at], up[at], "at {}: as if it had never been further", migration.name);
    }
    assert_eq!(up.last(), Some(&schema));
    assert_eq!(database.history().await, history);
    let again = migrate(database.config(), texas(), TestRegion::cluster()).await.expect("migrates");
    assert_eq!((again.applied, again.stamped), (vec![], false), "the stamp was there all the time");

    // The control: what a way back forgets is seen.
    let superuser = database.superuser().await;
    superuser
        .batch_execute(
            "SET ROLE domicile_owner; CREATE FUNCTION forgotten() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        )
        .await
        .expect("a planted fault");
    assert_ne!(database.schema(), schema);
    superuser
        .batch_execute("DROP FUNCTION forgotten(); DROP TABLE outbox; CREATE TABLE outbox (id uuid)")
        .await
        .expect("another");
    assert_ne!(database.schema(), schema);
    let refused = database.to(MIGRATIONS[0].version, true).await.expect_err("a policy is not there");
    assert!(matches!(refused, MigrateError::Refused { .. }), "{refused}");
    assert_eq!(database.history().await, history, "and nothing of it was done");
}

const PUT: &str = "
    INSERT INTO patient_home VALUES ('00000000-0000-4000-8000-000000000001', 1, 'active');
    INSERT INTO outbox (id, org_id, name, version, entity_id, at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'patient.created', 1, gen_random_uuid(), now());
    INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, action, entity, outcome, request_id, user_id)
        SELECT gen_random_uuid(), now(), gen_random_uuid(), gen_random_uuid(), 'provider', 'TREAT', 'test', 'read',
            'patient', 'done', gen_random_uuid(), CASE WHEN n = 1 THEN gen_random_uuid() END
        FROM generate_series(1, 3) AS n;";

#[tokio::test]
async fn what_would_be_lost_is_said_and_kept_unless_it_is_wanted() {
    let database = Database::new().await;
    let superuser = database.superuser().await;
    superuser.batch_execute(PUT).await.expect("rows of every table that matters here");
    let schema = database.schema();
    let before = 2_026_112_205;
    let going = |table: &str, column: Option<&str>, rows| Loss {
        table: table.to_owned(),
        column: column.map(str::to_owned),
        rows,
    };

    let Err(MigrateError::WouldLose(lost)) = database.to(before, false).await else { panic!("is refused") };
    assert!(lost.contains(&going("access_log", Some("user_id"), 1)), "{lost:?}");
    let Err(MigrateError::WouldLose(lost)) = database.to(2_026_112_203, false).await else {
        panic!("is refused")
    };
    assert_eq!(lost, [going("access_log", None, 3), going("outbox", None, 1)], "row-level security hides none");
    assert_eq!(database.schema(), schema, "nothing was changed, not even a part");
    let said = MigrateError::WouldLose(lost).to_string();
    assert!(said.contains("the table access_log with 3 rows") && said.contains("--lose-data"), "{said}");

    let moved = database.to(before, true).await.expect("it is wanted");
    assert!(moved.lost.contains(&going("access_log", Some("user_id"), 1)), "{moved:?}");
    let kept = "SELECT count(*) FROM access_log WHERE purpose = 'TREAT' AND entity = 'patient'";
    assert_eq!(superuser.query_one(kept, &[]).await.expect("a count").get::<_, i64>(0), 3);
    let moved = database.to(newest(), false).await.expect("forward again");
    assert!(moved.lost.is_empty() && !moved.applied.is_empty());
    assert_eq!(database.schema(), schema);
    assert_eq!(
        superuser.query_one(kept, &[]).await.expect("a count").get::<_, i64>(0),
        3,
        "what stayed is there"
    );
    assert!(
        superuser.batch_execute("DELETE FROM access_log").await.is_err(),
        "and the log is only added to, as before"
    );

    let moved = database.to(MIGRATIONS[0].version, true).await.expect("as far as the stamp");
    assert_eq!(moved.reverted.len(), MIGRATIONS.len() - 1);
    let homes = "SELECT count(*) FROM patient_home, region_stamp WHERE region = 'US-TX'";
    assert_eq!(superuser.query_one(homes, &[]).await.expect("a count").get::<_, i64>(0), 1);
}

#[tokio::test]
async fn the_way_back_is_closed_past_the_stamp_under_a_node_and_to_strangers() {
    let database = Database::new().await;
    let first = MIGRATIONS[0].version;
    for nowhere in [0, first - 1, first + 50, newest() + 1, -1] {
        let refused = database.to(nowhere, true).await.expect_err("no such version");
        assert!(matches!(refused, MigrateError::NoSuchVersion(version) if version == nowhere), "{refused}");
        assert!(refused.to_string().contains(&first.to_string()), "{refused}");
    }
    let california = Region("US-CA".parse().expect("a jurisdiction"));
    let refused = migrate_to(database.config(), california, TestRegion::cluster(), first, true).await;
    assert!(matches!(refused, Err(MigrateError::WrongStamp { .. })), "{refused:?}");

    let node = PostgresServer::shared().server(&database.name, APP).connect("node", "").await.expect("a node");
    let refused = database.to(first, true).await.expect_err("a node is connected");
    assert!(matches!(refused, MigrateError::Served(1)), "{refused}");
    drop(node);

    let superuser = database.superuser().await;
    superuser
        .batch_execute("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 2026112203")
        .await
        .expect("a planted fault");
    let refused = database.to(first, true).await.expect_err("somebody else's history");
    assert!(matches!(refused, MigrateError::Diverged(_)), "{refused}");
}

/// Rows that go are measured by what goes from the catalog, so no script may take single rows.
#[test]
fn a_way_back_touches_no_row_of_what_stays() {
    let takes_rows = |sql: &str| {
        let code =
            sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
        let words: Vec<String> = code.split_whitespace().map(str::to_ascii_uppercase).collect();
        words.iter().any(|word| ["DELETE", "UPDATE", "TRUNCATE", "INSERT", "DO", "CASCADE"].contains(&&**word))
    };
    for migration in &MIGRATIONS[1..] {
        let down = migration.down.expect("every migration after the first has a way back");
        assert!(!takes_rows(down), "{}", migration.name);
    }
    assert!(MIGRATIONS[0].down.is_none(), "the stamp stays");
    assert!(takes_rows("-- x\nDelete FROM a") && takes_rows("TRUNCATE b"), "the control");
}
