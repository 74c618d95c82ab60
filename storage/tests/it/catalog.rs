//! The schema that Postgres has, held against what the program says of it.

use std::collections::{BTreeMap, BTreeSet};

use storage::schema::{Class, Form, MIGRATIONS, REGISTRY, TABLES};
use tokio_postgres::Client;

use crate::support::texas;

/// What is wrong with the tables of organisations.
async fn breaches_of_isolation(client: &Client) -> Vec<String> {
    let known: BTreeMap<&str, bool> = TABLES.iter().map(|table| (table.name, table.tenant)).collect();
    let sql = "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
            EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) AS policy,
            EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid
                AND NOT (pg_get_expr(p.polqual, p.polrelid) LIKE '%app.org_id%'
                    AND pg_get_expr(p.polqual, p.polrelid) LIKE '%app.purpose%')
                AND NOT (c.relname = 'idempotency_records' AND p.polname IN ('purge_old_see', 'purge_old_delete')
                    AND pg_get_expr(p.polqual, p.polrelid) LIKE '%72:00:00%')
                AND NOT (c.relname = 'access_log' AND p.polname = 'sequencer_see'
                    AND pg_get_expr(p.polqual, p.polrelid) LIKE '%app.worker%')
                AND NOT (c.relname = 'booking_work' AND p.polname IN ('worker_see', 'worker_take')
                    AND pg_get_expr(p.polqual, p.polrelid) LIKE '%app.worker%')
                AND NOT (c.relname LIKE 'portal\\_%' AND p.polname = 'worker_door'
                    AND pg_get_expr(p.polqual, p.polrelid) LIKE '%app.worker%')) AS lax,
            EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid
                AND pg_get_expr(p.polqual, p.polrelid) NOT LIKE '%app.role%') AS any_role,
            EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND a.attnotnull) AS org,
            EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = c.oid AND a.attname = 'org_id' AND i.indpred IS NULL) AS indexed,
            pg_get_userbyid(c.relowner)::text AS owner
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND c.relname <> 'refinery_schema_history'";
    let mut breaches = Vec::new();
    for row in client.query(sql, &[]).await.expect("the catalog") {
        let table: String = row.get("relname");
        let mut breach = |holds: bool, what: &str| {
            if !holds {
                breaches.push(format!("{table}: {what}"));
            }
        };
        breach(known.contains_key(&*table), "is not registered");
        breach(row.get::<_, String>("owner") == storage::OWNER, "is not the owner's");
        if known.get(&*table).copied().unwrap_or(true) {
            breach(row.get("relrowsecurity"), "no row-level security");
            breach(row.get("relforcerowsecurity"), "row-level security is not forced");
            breach(row.get("policy"), "no policy");
            breach(!row.get::<_, bool>("lax"), "a policy without organisation and purpose");
            // Of booking_work, what the worker's policies show is ids and times of work; of the portal's tables, what
            // somebody who signs in is compared with.
            let of_all_roles = ["access_log", "booking_work", "idempotency_records", "outbox"]
                .contains(&&*table)
                || table.starts_with("portal_");
            breach(of_all_roles || !row.get::<_, bool>("any_role"), "a policy without a role");
            breach(row.get("org"), "org_id may be null");
            breach(row.get("indexed"), "no index begins with org_id");
        }
    }
    breaches
}

/// What the registry and the catalog say differently.
async fn differences(client: &Client) -> Vec<String> {
    let sql = "SELECT c.relname::text, a.attname::text, a.atttypid::regtype::text AS type,
            col_description(c.oid, a.attnum) IS NOT NULL AS commented
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
            AND NOT a.attisdropped AND c.relname <> 'refinery_schema_history'";
    let registered: BTreeMap<_, _> =
        REGISTRY.iter().map(|field| ((field.table, field.column), field)).collect();
    let mut found = BTreeSet::new();
    let mut differences = Vec::new();
    for row in client.query(sql, &[]).await.expect("the catalog") {
        let (table, column): (String, String) = (row.get("relname"), row.get("attname"));
        let name = format!("{table}.{column}");
        if !row.get::<_, bool>("commented") {
            differences.push(format!("{name}: no comment"));
        }
        match registered.get(&(&*table, &*column)) {
            None => differences.push(format!("{name}: not registered")),
            Some(field) => {
                let (sealed, blind) = (column.ends_with("_sealed"), column.ends_with("_blind"));
                if (field.form == Form::Sealed) != sealed || (field.form == Form::Blind) != blind {
                    differences.push(format!("{name}: its form is not what its name says"));
                }
                if (sealed || blind) && (row.get::<_, String>("type") != "bytea" || field.class != Class::Phi) {
                    differences.push(format!("{name}: sealed or blind, but not bytes of PHI"));
                }
            }
        }
        found.insert((table, column));
    }
    let missing = REGISTRY.iter().filter(|field| !found.contains(&(field.table.into(), field.column.into())));
    differences.extend(missing.map(|field| format!("{}.{}: not in the schema", field.table, field.column)));
    differences
}

#[tokio::test]
async fn every_tenant_table_has_forced_row_level_security() {
    let region = texas().await;
    let owner = region.as_owner().await;
    assert_eq!(breaches_of_isolation(&owner).await, Vec::<String>::new());

    owner
        .batch_execute("CREATE TABLE planted (id uuid PRIMARY KEY, org_id uuid)")
        .await
        .expect("a planted fault");
    let caught = breaches_of_isolation(&owner).await;
    for what in
        ["is not registered", "no row-level security", "not forced", "no policy", "may be null", "no index"]
    {
        assert!(caught.iter().any(|breach| breach.contains(what)), "{what} is not caught in {caught:?}");
    }
    owner
        .batch_execute("DROP TABLE planted; ALTER TABLE patients NO FORCE ROW LEVEL SECURITY")
        .await
        .expect("another");
    assert_eq!(breaches_of_isolation(&owner).await, ["patients: row-level security is not forced"]);
    owner
        .batch_execute(
            "ALTER TABLE patients FORCE ROW LEVEL SECURITY;
            CREATE POLICY lax ON outbox FOR SELECT USING (true);
            CREATE POLICY any_role ON encounters FOR SELECT
                USING (org_id::text = current_setting('app.org_id') AND current_setting('app.purpose') <> '')",
        )
        .await
        .expect("and another");
    let mut caught = breaches_of_isolation(&owner).await;
    caught.sort();
    assert_eq!(
        caught,
        ["encounters: a policy without a role", "outbox: a policy without organisation and purpose"]
    );
}

#[tokio::test]
async fn the_registry_is_the_catalog() {
    let region = texas().await;
    let owner = region.as_owner().await;
    assert_eq!(differences(&owner).await, Vec::<String>::new());
    owner
        .batch_execute("ALTER TABLE patients ADD nickname text, DROP sex_sealed CASCADE")
        .await
        .expect("a planted fault");
    let caught = differences(&owner).await;
    for what in [
        "patients.nickname: not registered",
        "patients.nickname: no comment",
        "patients.sex_sealed: not in the schema",
    ] {
        assert!(caught.iter().any(|difference| difference == what), "{what} is not caught in {caught:?}");
    }
}

#[tokio::test]
async fn every_statement_prepares_and_none_spells_a_value() {
    let region = texas().await;
    let app = region.as_app().await;
    let mut names = BTreeSet::new();
    for (name, sql) in storage::schema::statements() {
        assert!(names.insert(name), "{name} is there twice");
        app.prepare(sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(names.len() > 15, "{names:?}");
    assert!(
        app.prepare("SELECT nickname FROM patients").await.is_err(),
        "the control: a column that is not there"
    );
}

#[tokio::test]
async fn the_list_of_migrations_is_the_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".sql").map(str::to_owned))
        .collect();
    let listed: BTreeSet<String> = MIGRATIONS.iter().map(|migration| migration.name.to_owned()).collect();
    assert_eq!(files, listed);
    assert!(MIGRATIONS.is_sorted_by(|a, b| a.version < b.version));
}

#[tokio::test]
async fn the_apps_role_may_do_no_more_than_its_work_needs() {
    let region = texas().await;
    let owner = region.as_owner().await;
    let sql = "SELECT table_name::text || ' ' || privilege_type FROM information_schema.role_table_grants
        WHERE grantee = 'domicile_app' ORDER BY 1";
    let granted: Vec<String> =
        owner.query(sql, &[]).await.expect("grants").iter().map(|row| row.get(0)).collect();
    for never in ["TRUNCATE", "REFERENCES", "TRIGGER"] {
        assert!(!granted.iter().any(|grant| grant.ends_with(never)), "{never}: {granted:?}");
    }
    let added_to = ["audit_leaves", "audit_tiles", "audit_checkpoints"];
    for table in ["access_log", "outbox", "patients_history", "encounter_addenda"].into_iter().chain(added_to) {
        let own: Vec<&String> = granted.iter().filter(|grant| grant.split(' ').next() == Some(table)).collect();
        assert_eq!(own, [&format!("{table} INSERT"), &format!("{table} SELECT")]);
    }
    assert!(
        !granted.contains(&"patients DELETE".to_owned()),
        "a patient is removed from view, not from the table"
    );
    let app = region.as_app().await;
    assert!(app.batch_execute("CREATE TABLE planted (id int)").await.is_err(), "the app makes no tables");
}

/// What runs with the rights of the tables' owner, and what is wrong with it.
async fn breaches_of_borrowed_rights(client: &Client) -> Vec<String> {
    let sql = "SELECT p.proname::text AS name,
            coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, public, pg_temp'], false) AS pinned,
            EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS anybody
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef ORDER BY 1";
    let mut breaches = Vec::new();
    for row in client.query(sql, &[]).await.expect("the catalog") {
        let name: String = row.get("name");
        let known = [
            "record_accesses",
            "record_accesses_under",
            "record_accesses_whole",
            "records_to_sequence",
            "records_waiting",
        ];
        if !known.contains(&&*name) {
            breaches.push(format!("{name}: is not known to borrow rights"));
        }
        if !row.get::<_, bool>("pinned") {
            breaches.push(format!("{name}: its search_path is not pinned"));
        }
        if row.get("anybody") {
            breaches.push(format!("{name}: anybody may call it"));
        }
    }
    breaches
}

#[tokio::test]
async fn what_borrows_the_owners_rights_is_known_pinned_and_not_for_everybody() {
    let region = texas().await;
    let owner = region.as_owner().await;
    assert_eq!(breaches_of_borrowed_rights(&owner).await, Vec::<String>::new());
    let planted = "CREATE FUNCTION planted() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT'";
    owner.batch_execute(planted).await.expect("a planted fault");
    assert_eq!(
        breaches_of_borrowed_rights(&owner).await,
        [
            "planted: is not known to borrow rights",
            "planted: its search_path is not pinned",
            "planted: anybody may call it"
        ]
    );
}

/// What takes a lock and then looks sees what was there before the lock, unless each of its statements has a snapshot of
/// its own. With the owner's rights it would look past the grants of who asks.
async fn breaches_of_lock_before_look(client: &Client) -> Vec<String> {
    let sql = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND prosrc LIKE '%advisory%' AND (provolatile <> 'v' OR prosecdef OR prolang <>
            (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')) ORDER BY 1";
    client.query(sql, &[]).await.expect("the catalog").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_locks_and_then_looks_has_a_snapshot_for_each() {
    let region = texas().await;
    let owner = region.as_owner().await;
    assert_eq!(breaches_of_lock_before_look(&owner).await, Vec::<String>::new());
    let planted = "ALTER FUNCTION find_attempt STABLE; ALTER FUNCTION enter_transaction SECURITY DEFINER";
    owner.batch_execute(planted).await.expect("a planted fault");
    assert_eq!(breaches_of_lock_before_look(&owner).await, ["enter_transaction", "find_attempt"]);
}
