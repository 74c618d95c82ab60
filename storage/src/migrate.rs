//! Brings a database to this program's schema, or to an earlier one of it.

use refinery::{Migration, Runner, Target};
use residency_policy::{Label, Region};
use storage_keys::connect::{ConnectError, Server};
use tokio_postgres::Client;

use crate::migrate_back::{Loss, migrate_back};
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

/// What was done on the way to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The versions that were applied now.
    pub applied: Vec<i64>,
    /// The versions that were undone now, the last one first.
    pub reverted: Vec<i64>,
    /// What was lost with them.
    pub lost: Vec<Loss>,
    /// The version that the database is at.
    pub version: i64,
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
    /// There is no such schema, or only one without the stamp.
    #[error("{0} is no version to go to; they are {versions}", versions = versions())]
    NoSuchVersion(i64),
    /// Going back would lose what is there.
    #[error("going back would lose {}: nothing was changed; with --lose-data it is done all the same", list(.0))]
    WouldLose(Vec<Loss>),
    /// A node uses the database.
    #[error("{0} connections of nodes are open: stop the nodes of this region first; nothing was changed")]
    Served(i64),
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
    let mut client = open(&config, region, cluster).await?;
    let (applied, stamped) = forward(&mut client, region, cluster, Target::Latest).await?;
    Ok(Migrated { applied, version: stamp::newest_version(), stamped })
}

/// Brings a database to one version of the schema, forward or back. Back is refused while a node uses the database,
/// and when something would be lost, unless that is wanted.
pub async fn migrate_to(
    config: MigrateConfig,
    region: Region,
    cluster: Label,
    to: i64,
    lose_data: bool,
) -> Result<Moved, MigrateError> {
    if !MIGRATIONS.iter().any(|migration| migration.version == to) {
        return Err(MigrateError::NoSuchVersion(to));
    }
    let mut client = open(&config, region, cluster).await?;
    let back = migrate_back(&mut client, to, lose_data).await?;
    // Nothing is missing up to there if anything was undone.
    let (applied, _) = if back.reverted.is_empty() {
        forward(&mut client, region, cluster, Target::Version(to)).await?
    } else {
        (Vec::new(), false)
    };
    refuse_other_stamp(&client, region, cluster).await?;
    Ok(Moved { applied, reverted: back.reverted, lost: back.lost, version: to })
}

/// A connection that holds the lock until it ends, to a database that is not another region's.
async fn open(config: &MigrateConfig, region: Region, cluster: Label) -> Result<Client, MigrateError> {
    let options = "-c search_path=public -c lock_timeout=15000 -c statement_timeout=0 -c timezone=UTC";
    let client = config.server.connect("domicile-migrate", options).await?;
    let said = |error: tokio_postgres::Error| refused("the migration lock", &error);
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(said)?;
    refuse_other_stamp(&client, region, cluster).await?;
    Ok(client)
}

async fn forward(
    client: &mut Client,
    region: Region,
    cluster: Label,
    target: Target,
) -> Result<(Vec<i64>, bool), MigrateError> {
    let report = runner()?.set_target(target).run_async(client).await.map_err(|error| explain(&error))?;
    let stamped = client.execute(SET_STAMP, &[&cluster.as_str(), &region.0.code()]).await;
    let stamped = stamped.map_err(|error| refused("the stamp", &error))?;
    refuse_other_stamp(client, region, cluster).await?;
    Ok((report.applied_migrations().iter().map(Migration::version).collect(), stamped > 0))
}

/// Each migration in a transaction of its own, with its line in the history.
pub(crate) fn runner() -> Result<Runner, MigrateError> {
    let migrations: Vec<Migration> = MIGRATIONS.iter().map(to_refinery).collect::<Result<_, _>>()?;
    let mut runner =
        Runner::new(&migrations).set_grouped(false).set_abort_divergent(true).set_abort_missing(true);
    runner.set_migration_table_name("refinery_schema_history");
    Ok(runner)
}

fn versions() -> String {
    list(&MIGRATIONS.iter().map(|migration| migration.version).collect::<Vec<_>>())
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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

pub(crate) fn refused(what: &str, error: &tokio_postgres::Error) -> MigrateError {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("55P03") => MigrateError::Locked,
        code => MigrateError::Refused { what: what.to_owned(), code: code.unwrap_or("08006").to_owned() },
    }
}

/// refinery's own texts carry Postgres' DETAIL.
pub(crate) fn explain(error: &refinery::Error) -> MigrateError {
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
