//! The auditor's program over a real cluster: a clean one passes, and each seeded violation is found and named rightly.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use residency_control::Command;
use residency_policy::{Epoch, PatientId};
use residency_verify::inventory::{self, Inventory};
use residency_verify::verdict::{Verdict, Word};
use residency_verify::{checks, look, shapes};
use serde::de::value::Error as Told;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use tests::cluster::{Cluster, RegionProcess, Wish, turn};
use tests::faults::wait_until;
use tests::workspace::built;
use tests::{clinic, operate};

/// Checks that are never covered.
const OPEN: [&str; 4] = ["ciphertext_binding", "audit_log", "receipts", "backups"];

/// The superuser, who comes in by the socket only. The server's own file says where that is.
async fn superuser(region: &RegionProcess) -> Result<tokio_postgres::Client> {
    let text = fs::read_to_string(region.data_dir.join("postmaster.pid"))?;
    let folder = text.lines().nth(4).context("no socket")?.trim().to_owned();
    let mut config = tokio_postgres::Config::new();
    config.host_path(folder).port(region.postgres.port).dbname(&region.postgres.dbname).user("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn verdicts(inventory: &Inventory) -> Vec<Verdict> {
    checks::all(&look::look(inventory).await, inventory)
}

fn verdict<'v>(all: &'v [Verdict], check: &str) -> &'v Verdict {
    all.iter().find(|one| one.check == check).unwrap_or_else(|| panic!("no check {check}"))
}

/// Everything passes but for what is never covered. What one look sees half done, the next one does not see so again.
async fn clean(inventory: &Inventory) {
    let first = verdicts(inventory).await;
    for one in checks::settled(&first, verdicts(inventory).await) {
        let expected = if OPEN.contains(&one.check) { Word::NotCovered } else { Word::Pass };
        assert_eq!(one.verdict, expected, "{}: {:?} {:?}", one.check, one.evidence, one.not_covered);
    }
}

/// That this is found, by this check and with these words.
async fn found(inventory: &Inventory, check: &str, says: &str) {
    let all = verdicts(inventory).await;
    let one = verdict(&all, check);
    assert_eq!(one.verdict, Word::Fail, "{check} for {says:?}: {:?}", one.not_covered);
    assert!(one.evidence.iter().any(|line| line.contains(says)), "{check} for {says:?}: {:?}", one.evidence);
}

/// What is done to a database, how it is undone, which check finds it, and how it is called. `PATIENT` is one of this
/// region, `OTHER` a second one, `STRANGER` one of another region.
const SEEDS: [(&str, &str, &str, &str); 14] = [
    (
        "INSERT INTO patient_home VALUES ('STRANGER', 1, 'active')",
        "DELETE FROM patient_home WHERE patient_id = 'STRANGER'",
        "placement",
        "row in the wrong region",
    ),
    (
        "INSERT INTO patient_home VALUES ('00000000-0000-4000-8000-000000000001', 1, 'active')",
        "DELETE FROM patient_home WHERE patient_id = '00000000-0000-4000-8000-000000000001'",
        "placement",
        "unknown to the directory",
    ),
    (
        "UPDATE patient_home SET epoch = 7 WHERE patient_id = 'PATIENT'",
        "UPDATE patient_home SET epoch = 1 WHERE patient_id = 'PATIENT'",
        "epochs",
        "epoch that nobody raised",
    ),
    (
        "SET session_replication_role = replica; CREATE TEMP TABLE kept AS SELECT mrn_sealed FROM patients \
         WHERE id = 'PATIENT'; UPDATE patients SET mrn_sealed = (SELECT mrn_sealed FROM patients WHERE id = 'OTHER') \
         WHERE id = 'PATIENT'",
        "UPDATE patients SET mrn_sealed = (SELECT mrn_sealed FROM kept) WHERE id = 'PATIENT'; DROP TABLE kept; \
         SET session_replication_role = origin",
        "sealed_keys",
        "swapped ciphertext",
    ),
    ("CREATE TABLE planted (x integer)", "DROP TABLE planted", "schema", "not expected: table planted"),
    (
        "ALTER TABLE encounters ADD COLUMN planted text",
        "ALTER TABLE encounters DROP COLUMN planted",
        "schema",
        "table encounters",
    ),
    ("CREATE VIEW planted AS SELECT 1 AS x", "DROP VIEW planted", "schema", "not expected: view planted"),
    (
        "SELECT pg_create_physical_replication_slot('planted')",
        "SELECT pg_drop_replication_slot('planted')",
        "copies_out",
        "replication slot planted",
    ),
    ("CREATE PUBLICATION planted", "DROP PUBLICATION planted", "copies_out", "publication planted"),
    (
        "ALTER TABLE access_log DISABLE TRIGGER access_log_append_only",
        "ALTER TABLE access_log ENABLE ALWAYS TRIGGER access_log_append_only",
        "guards",
        "access_log_append_only on access_log calls refuse_change_of_log, disabled",
    ),
    (
        "ALTER TABLE encounters NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE encounters FORCE ROW LEVEL SECURITY",
        "guards",
        "rows of encounters: owner domicile_owner, row security not forced",
    ),
    (
        "ALTER ROLE domicile_app BYPASSRLS",
        "ALTER ROLE domicile_app NOBYPASSRLS",
        "guards",
        "role domicile_app has BYPASSRLS",
    ),
    (
        "GRANT SELECT ON patients TO PUBLIC",
        "REVOKE SELECT ON patients FROM PUBLIC",
        "guards",
        "everybody SELECT",
    ),
    (
        "ALTER ROLE domicile_app SET log_statement = 'all'",
        "ALTER ROLE domicile_app RESET log_statement",
        "quiet_logs",
        "log_statement is all for domicile_app",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_cluster_passes_and_each_seeded_violation_is_named() {
    let _turn = turn().await;
    let cluster = Cluster::start(&Wish { name: "verified", people: 30, more: Vec::new() }).expect("it starts");
    let inventory = inventory::read(&cluster.home().join("cluster.json")).expect("an inventory");
    clean(&inventory).await;

    let doctor = cluster.client_at("tx", "provider", "US-TX");
    let register = async |home: &'static str, number| {
        clinic::register(&doctor, home, &clinic::somebody(home, number)).await.expect("it is registered")
    };
    let (patient, other) = (register("US-TX", 901).await, register("US-TX", 902).await);
    let elsewhere = cluster.client_at("ca", "provider", "US-CA");
    let stranger =
        clinic::register(&elsewhere, "US-CA", &clinic::somebody("US-CA", 903)).await.expect("it is registered");
    let client = superuser(cluster.region("tx")).await.expect("the superuser");
    for (seed, undo, check, says) in SEEDS {
        let of = |sql: &str| {
            let sql = sql.replace("PATIENT", &patient.id).replace("OTHER", &other.id);
            sql.replace("STRANGER", &stranger.id)
        };
        client.batch_execute(&of(seed)).await.unwrap_or_else(|e| panic!("{seed}: {e:?}"));
        found(&inventory, check, says).await;
        client.batch_execute(&of(undo)).await.unwrap_or_else(|e| panic!("{undo}: {e:?}"));
    }
    clean(&inventory).await;
    policies(&inventory).await;
    bad_input(&cluster, &inventory).await.expect("clear verdicts");

    // A patient is retired, and the key is still there. Nothing undoes that.
    let id: PatientId = patient.id.parse().expect("an id");
    let retire = Command::Retire { patient: id, expected: Epoch::FIRST };
    operate::commands(&cluster, "tx", &[retire]).await.expect("it is answered");
    let named = wait_until("the key to be named", async || {
        let all = verdicts(&inventory).await;
        let keys = verdict(&all, "keyring");
        keys.evidence
            .iter()
            .any(|line| line.contains("undestroyed key") && line.contains(&patient.id))
            .then_some(())
    });
    named.await.expect("it is named");
    wait_until("the fence to be told", async || {
        let sql = "SELECT epoch FROM patient_home WHERE patient_id = $1";
        let row = client.query_one(sql, &[&patient.uuid()]).await.ok()?;
        (row.get::<_, i64>(0) == 2).then_some(())
    })
    .await
    .expect("it is told");
    let raised = "UPDATE patient_home SET epoch = 1, state = 'active' WHERE patient_id = 'PATIENT'";
    client.batch_execute(&raised.replace("PATIENT", &patient.id)).await.expect("the fence is set back");
    found(&inventory, "epochs", "stale epoch").await;
}

async fn policies(inventory: &Inventory) {
    let other = Inventory { policy_key: Some("07".repeat(32)), ..inventory.clone() };
    found(&other, "policies", "unsigned policy").await;
    let dir = tests::cluster::folder("verified-rules").expect("a folder");
    let changed = dir.join("rules.toml");
    let mut rules = fs::read(inventory.rules_file.as_ref().expect("a file")).expect("the rules");
    rules.push(b'\n');
    fs::write(&changed, rules).expect("writes");
    found(&Inventory { rules_file: Some(changed), ..inventory.clone() }, "policies", "changed policy").await;
    fs::remove_dir_all(dir).expect("removes");
}

/// The exit code of the program.
fn exit(arguments: &[&Path]) -> Result<(i32, String)> {
    let output = std::process::Command::new(built().join("residency-verify")).args(arguments).output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(!said.contains("panicked"), "{said}");
    Ok((output.status.code().context("it was killed")?, said))
}

async fn bad_input(cluster: &Cluster, inventory: &Inventory) -> Result<()> {
    let dir = tests::cluster::folder("verified-damage")?;
    let told = cluster.home().join("cluster.json");

    // A log that is cut short, anywhere.
    let control = inventory.regions[0].control_dir.clone().context("a folder")?;
    let whole = fs::read(control.join("log.redb"))?;
    for length in [0, 3, 100, whole.len() / 2] {
        fs::write(dir.join("log.redb"), &whole[..length])?;
        let mut damaged = inventory.clone();
        damaged.regions[0].control_dir = Some(dir.clone());
        let all = verdicts(&damaged).await;
        ensure!(verdict(&all, "replicated").verdict == Word::Fail, "{length} bytes of {}", whole.len());
    }

    // A database that is not there: everything about it is not covered, and the rest is.
    let mut away = inventory.clone();
    away.regions[0].postgres.port = 1;
    let all = verdicts(&away).await;
    ensure!(verdict(&all, "schema").verdict == Word::NotCovered, "{:?}", verdict(&all, "schema"));
    ensure!(verdict(&all, "replicated").verdict == Word::Pass, "{:?}", verdict(&all, "replicated"));

    // The program itself: 2 for a question that is wrong, 1 for what is not covered, 0 where that was accepted.
    let half = dir.join("half.json");
    fs::write(&half, &fs::read(&told)?[..200])?;
    ensure!(exit(&[&half])?.0 == 2, "a damaged inventory");
    ensure!(exit(&[&dir.join("nowhere")])?.0 == 2, "no inventory");
    ensure!(exit(&[])?.0 == 2, "no arguments");
    ensure!(exit(&[&told, Path::new("--accept"), Path::new("no-such-check")])?.0 == 2, "an unknown check");
    let (code, said) = exit(&[&told])?;
    ensure!(code == 1 && said.contains("not covered  ciphertext_binding"), "{code}: {said}");
    let page = dir.join("page.html");
    let mut arguments = vec![told.as_path(), Path::new("--html"), page.as_path()];
    for check in OPEN {
        arguments.extend([Path::new("--accept"), Path::new(check)]);
    }
    let (code, said) = exit(&arguments)?;
    ensure!(code == 0, "{code}: {said}");
    ensure!(fs::read_to_string(&page)?.contains("Texas"), "the page");
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Hears which variants an enum has, and no more.
struct Variants;

impl<'de> Deserializer<'de> for Variants {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Told> {
        Err(Told::custom("no enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Told> {
        Err(Told::custom(variants.join(" ")))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn variants<T: for<'de> Deserialize<'de> + fmt::Debug>() -> String {
    T::deserialize(Variants).expect_err("only names are told").to_string()
}

fn names(shape: &[(&str, residency_verify::postcard::Shape)]) -> String {
    shape.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_auditor_knows_every_command_and_no_other() {
    assert_eq!(names(shapes::COMMAND), variants::<Command>());
    assert_eq!(names(shapes::CALENDAR_CHANGE), variants::<residency_control::calendar::CalendarChange>());
    assert_eq!(names(shapes::SIGN_IN_CHANGE), variants::<residency_control::signin::SignInChange>());
    assert_eq!(names(shapes::LOG_CHANGE), variants::<residency_control::audit_log::LogChange>());
    assert_eq!(names(shapes::KEY_CHANGE), variants::<residency_control::api_keys::KeyChange>());
    // The control.
    assert_ne!(names(&shapes::COMMAND[1..]), variants::<Command>());
}
