//! Brings a database to this program's schema.

use refinery::{Migration, Runner};
use residency_policy::{Label, Region};
use storage_keys::connect::{ConnectError, Server};
use tokio_postgres::Client;

use crate::schema::MIGRATIONS;
use crate::stamp;

/// Held while migrating: refinery itself takes no lock. "domicile" as a number.
const LOCK: i64 = 0x646f_6d69_6369_6c65;
const SET_STAMP: &str = "INSERT INTO region_stamp (cluster, region) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// The database and the owner's credentials.
#[derive(Debug, Clone)]
pub struct MigrateConfig {
    /// The database, as its owner.
    pub server: Server,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The versions that were applied now.
    pub applied: Vec<i64>,
    /// The version that the database is at.
    pub version: i64,
    /// Whether the database was stamped now.
    pub stamped: bool,
}

/// Why it was not done, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Someone else is migrating, or something holds a lock that a migration needs.
    #[error("another migration, or something that locks the tables, did not end in time: try again")]
    Locked,
    /// It is another region's database.
    #[error(
        "the database is stamped {found_cluster}/{found_region}, not {cluster}/{region}: nothing was changed"
    )]
    WrongStamp {
        /// The stamp's cluster.
        found_cluster: String,
        /// The stamp's region.
        found_region: String,
        /// The cluster that was asked for.
        cluster: Label,
        /// The region that was asked for.
        region: Region,
    },
    /// A migration that was applied is not this program's.
    #[error(
        "the database's history has {0}, which differs from this program's: use the program that migrated it, or a newer one"
    )]
    Diverged(String),
    /// Postgres refused a statement.
    #[error("Postgres refused {what} with SQLSTATE {code}")]
    Refused {
        /// Which migration or step.
        what: String,
        /// The SQLSTATE.
        code: String,
    },
}

/// Applies what is missing under an advisory lock, and stamps a new database with its cluster and region.
pub async fn migrate(config: MigrateConfig, region: Region, cluster: Label) -> Result<Migrated, MigrateError> {
    let options = "-c search_path=public -c lock_timeout=15000 -c statement_timeout=0 -c timezone=UTC";
    let mut client = config.server.connect("domicile-migrate", options).await?;
    let step = |what: &'static str| move |error: tokio_postgres::Error| refused(what, &error);
    // Until this connection ends.
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(step("the migration lock"))?;
    refuse_other_stamp(&client, region, cluster).await?;
    let migrations: Vec<Migration> = MIGRATIONS.iter().map(to_refinery).collect::<Result<_, _>>()?;
    // Each in a transaction of its own, with its line in the history.
    let mut runner =
        Runner::new(&migrations).set_grouped(false).set_abort_divergent(true).set_abort_missing(true);
    runner.set_migration_table_name("refinery_schema_history");
    let report = runner.run_async(&mut client).await.map_err(|error| explain(&error))?;
    let stamped =
        client.execute(SET_STAMP, &[&cluster.as_str(), &region.0.code()]).await.map_err(step("the stamp"))?;
    refuse_other_stamp(&client, region, cluster).await?;
    Ok(Migrated {
        applied: report.applied_migrations().iter().map(Migration::version).collect(),
        version: stamp::newest_version(),
        stamped: stamped > 0,
    })
}

fn to_refinery(migration: &crate::schema::Migration) -> Result<Migration, MigrateError> {
    Migration::unapplied(migration.name, migration.sql).map_err(|error| explain(&error))
}

async fn refuse_other_stamp(client: &Client, region: Region, cluster: Label) -> Result<(), MigrateError> {
    let has = client.query_one(stamp::HAS_TABLE, &[&"region_stamp"]).await.and_then(|row| row.try_get(0));
    if !has.map_err(|error| refused("the look at the stamp", &error))? {
        return Ok(());
    }
    match stamp::read_stamp(client).await.map_err(|error| refused("the look at the stamp", &error))? {
        Some(found) if !stamp::matches(&found, cluster, region) => {
            let (found_cluster, found_region) = found;
            Err(MigrateError::WrongStamp { found_cluster, found_region, cluster, region })
        }
        _ => Ok(()),
    }
}

fn refused(what: &str, error: &tokio_postgres::Error) -> MigrateError {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("55P03") => MigrateError::Locked,
        code => MigrateError::Refused { what: what.to_owned(), code: code.unwrap_or("08006").to_owned() },
    }
}

/// refinery's own texts carry Postgres' DETAIL.
fn explain(error: &refinery::Error) -> MigrateError {
    use refinery::error::Kind;
    match error.kind() {
        Kind::DivergentVersion(migration, _) | Kind::MissingVersion(migration) => {
            MigrateError::Diverged(migration.to_string())
        }
        kind => {
            let what =
                error.report().and_then(|report| report.applied_migrations().last().cloned()).map_or_else(
                    || String::from("the first missing migration"),
                    |last| format!("the migration after {last}"),
                );
            let mut cause = std::error::Error::source(kind);
            while let Some(error) = cause {
                if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                    return refused(&what, error);
                }
                cause = error.source();
            }
            MigrateError::Refused { what, code: "unknown".into() }
        }
    }
}
