//! The way back from released migrations, for a release that must be taken back.
//!
//! What a way back would lose is not declared but measured: the scripts run once in a transaction that is undone, the
//! catalog tells which tables and columns are gone, and those that held something are lost. Nothing can so be lost
//! because somebody forgot to say it; a test keeps scripts from deleting rows of what stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use refinery::Runner;
use tokio_postgres::{Client, Transaction};

use crate::migrate::{MigrateError, refused, runner};
use crate::provision::APP;
use crate::schema::{MIGRATIONS, Migration};

const APPLIED: &str = "SELECT max(version)::bigint FROM refinery_schema_history";
const FORGET: &str = "DELETE FROM refinery_schema_history WHERE version = $1";
const COLUMNS: &str = "SELECT c.oid, c.relname::text, a.attnum, a.attname::text
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
        AND NOT a.attisdropped AND c.relname <> 'refinery_schema_history'";
const SERVED: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename::text = $1 AND pid <> pg_backend_pid()";

/// A table or a column that goes, and in how many rows it holds something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The table.
    pub table: String,
    /// The column; none: the whole table.
    pub column: Option<String>,
    /// In how many rows.
    pub rows: i64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "the column {}.{column}, set in {} rows", self.table, self.rows),
            None => write!(f, "the table {} with {} rows", self.table, self.rows),
        }
    }
}

/// What was undone.
#[derive(Debug, Default)]
pub(crate) struct Back {
    pub(crate) reverted: Vec<i64>,
    pub(crate) lost: Vec<Loss>,
}

/// Undoes every migration after `to`, the last one first, each with its line in the history in one transaction.
pub(crate) async fn migrate_back(client: &mut Client, to: i64, lose_data: bool) -> Result<Back, MigrateError> {
    let steps = steps(client, to).await?;
    if steps.is_empty() {
        return Ok(Back::default());
    }
    let step = |error: tokio_postgres::Error| refused("the look at who is connected", &error);
    let nodes: i64 = client.query_one(SERVED, &[&APP]).await.and_then(|row| row.try_get(0)).map_err(step)?;
    if nodes > 0 {
        return Err(MigrateError::Served(nodes));
    }
    let lost = measure(client, &steps).await?;
    if !lost.is_empty() && !lose_data {
        return Err(MigrateError::WouldLose(lost));
    }
    let mut reverted = Vec::new();
    for migration in steps {
        undo(client, migration).await?;
        reverted.push(migration.version);
    }
    Ok(Back { reverted, lost })
}

/// What is to be undone, the last one first. Every line of the history must be of a migration that this program has.
async fn steps(client: &mut Client, to: i64) -> Result<Vec<&'static Migration>, MigrateError> {
    let has: bool = client
        .query_one(crate::stamp::HAS_TABLE, &[&"refinery_schema_history"])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| refused("the look at the history", &error))?;
    if !has {
        return Ok(Vec::new());
    }
    let ours: Runner = runner()?;
    let applied = ours.get_applied_migrations_async(client).await.map_err(|e| crate::migrate::explain(&e))?;
    if let Some(strange) = applied.iter().find(|applied| !ours.get_migrations().contains(applied)) {
        return Err(MigrateError::Diverged(strange.to_string()));
    }
    let after = |migration: &&Migration| {
        migration.version > to && applied.iter().any(|applied| applied.version() == migration.version)
    };
    Ok(MIGRATIONS.iter().filter(after).rev().collect())
}

/// The script of the way back. The first migration has none: it holds the stamp, without which a database could be
/// taken for another region's.
fn script(migration: &Migration) -> Result<&'static str, MigrateError> {
    migration.down.ok_or(MigrateError::NoSuchVersion(migration.version - 1))
}

async fn undo(client: &mut Client, migration: &Migration) -> Result<(), MigrateError> {
    let what = format!("the way back from {}", migration.name);
    let said = |error: tokio_postgres::Error| refused(&what, &error);
    let tx = client.transaction().await.map_err(said)?;
    tx.batch_execute(script(migration)?).await.map_err(said)?;
    let forgotten = tx.execute(FORGET, &[&migration.version]).await.map_err(said)?;
    let newest: Option<i64> = tx.query_one(APPLIED, &[]).await.and_then(|row| row.try_get(0)).map_err(said)?;
    if forgotten != 1 || newest.is_none_or(|newest| newest >= migration.version) {
        return Err(MigrateError::Diverged(migration.name.to_owned()));
    }
    tx.commit().await.map_err(said)
}

type Columns = BTreeMap<(u32, i16), (String, String)>;

/// Runs the way back, sees what is gone, and undoes it all.
async fn measure(client: &mut Client, steps: &[&Migration]) -> Result<Vec<Loss>, MigrateError> {
    let said = |error: tokio_postgres::Error| refused("the trial of the way back", &error);
    let mut trial = client.transaction().await.map_err(said)?;
    let before = columns(&trial).await.map_err(said)?;
    let way = trial.savepoint("way").await.map_err(said)?;
    for migration in steps {
        let what = format!("the way back from {}", migration.name);
        way.batch_execute(script(migration)?).await.map_err(|error| refused(&what, &error))?;
    }
    let after = columns(&way).await.map_err(said)?;
    way.rollback().await.map_err(said)?;

    let stay: BTreeSet<u32> = after.keys().map(|(table, _)| *table).collect();
    let mut lost = BTreeSet::new();
    for (place, (table, column)) in before.iter().filter(|(place, _)| !after.contains_key(place)) {
        let column = stay.contains(&place.0).then(|| column.clone());
        let rows = rows(&trial, table, column.as_deref()).await.map_err(said)?;
        if rows > 0 {
            lost.insert(Loss { table: table.clone(), column, rows });
        }
    }
    trial.rollback().await.map_err(said)?;
    Ok(lost.into_iter().collect())
}

/// By their numbers: a table that is dropped and made again under its name has lost its rows.
async fn columns(tx: &Transaction<'_>) -> Result<Columns, tokio_postgres::Error> {
    let rows = tx.query(COLUMNS, &[]).await?;
    let column = |row: &tokio_postgres::Row| {
        Ok(((row.try_get(0)?, row.try_get(2)?), (row.try_get(1)?, row.try_get(3)?)))
    };
    rows.iter().map(column).collect()
}

async fn rows(tx: &Transaction<'_>, table: &str, column: Option<&str>) -> Result<i64, tokio_postgres::Error> {
    // Names of the catalog, which the migrations gave. Forced row-level security would hide every row from the owner.
    tx.batch_execute(&format!("ALTER TABLE \"{table}\" NO FORCE ROW LEVEL SECURITY")).await?;
    let some = column.map_or_else(|| String::from("true"), |column| format!("\"{column}\" IS NOT NULL"));
    let count = format!("SELECT count(*) FROM \"{table}\" WHERE {some}");
    tx.query_one(&count, &[]).await?.try_get(0)
}
