//! `domicile migrate`: brings the region's database to this program's schema.

use std::path::Path;
use std::process::ExitCode;

use storage::{MigrateConfig, MigrateError, Migrated, Moved};

use super::database;
use crate::config::Config;
use crate::exit::{Cause, Stop, chain};
use crate::tell;

/// Migrates what a configuration names, and says what was done.
pub fn run(file: &Path) -> Result<ExitCode, Stop> {
    let config = crate::lifecycle::load(file)?;
    let done = crate::lifecycle::runtime(1)?.block_on(migrate(&config))?;
    let Migrated { applied, version, stamped } = done;
    if stamped {
        let (cluster, region) = (config.region.cluster, config.region.region());
        tell::line(&format!("the database was new and is now stamped {region} of cluster {cluster}"));
    }
    match applied.len() {
        0 => tell::line(&format!("nothing to do: the schema is at version {version}")),
        n => tell::line(&format!("{n} migrations were applied; the schema is at version {version}")),
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings what a configuration names to one version of the schema, and says what was done.
pub fn run_to(file: &Path, to: i64, lose_data: bool) -> Result<ExitCode, Stop> {
    let config = crate::lifecycle::load(file)?;
    let wanted = owner(&config)?;
    let (region, cluster) = (config.region.region(), config.region.cluster);
    let moved = storage::migrate_to(wanted, region, cluster, to, lose_data);
    let moved = crate::lifecycle::runtime(1)?.block_on(moved).map_err(|e| stop(&e))?;
    let Moved { applied, reverted, lost, version } = moved;
    for loss in lost {
        tell::line(&format!("lost: {loss}"));
    }
    match (applied.len(), reverted.len()) {
        (0, 0) => tell::line(&format!("nothing to do: the schema is at version {version}")),
        (n, 0) => tell::line(&format!("{n} migrations were applied; the schema is at version {version}")),
        (_, n) => tell::line(&format!(
            "{n} migrations were undone; the schema is at version {version}, which a node of that release serves"
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// Migrates with the owner's credentials.
pub async fn migrate(config: &Config) -> Result<Migrated, Stop> {
    let wanted = owner(config)?;
    storage::migrate(wanted, config.region.region(), config.region.cluster).await.map_err(|e| stop(&e))
}

fn owner(config: &Config) -> Result<MigrateConfig, Stop> {
    let Some(owner) = &config.migrate else {
        return Err(Stop::new(
            Cause::Config,
            "there is no section [migrate]",
            "add the owner's user and password_file; deploy/config/node.toml shows how",
        ));
    };
    Ok(MigrateConfig { server: database::server(config, &owner.user, &owner.password_file)? })
}

fn stop(error: &MigrateError) -> Stop {
    let mend = match error {
        MigrateError::NoSuchVersion(_) => "name one of those versions",
        MigrateError::WouldLose(_) => "keep a copy of what must not be lost (pg_dump) before you insist",
        MigrateError::Served(_) => "stop the region's node; its patients get 503 with Retry-After meanwhile",
        _ => "`domicile doctor` says what is wrong with the database",
    };
    Stop::new(database::migrate_cause(error), chain(error), mend)
}
