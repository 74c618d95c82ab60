//! `domicile migrate`: brings the region's database to this program's schema.

use std::path::Path;
use std::process::ExitCode;

use storage::{MigrateConfig, Migrated};

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

/// Migrates with the owner's credentials.
pub async fn migrate(config: &Config) -> Result<Migrated, Stop> {
    let Some(owner) = &config.migrate else {
        return Err(Stop::new(
            Cause::Config,
            "there is no section [migrate]",
            "add the owner's user and password_file; deploy/config/node.toml shows how",
        ));
    };
    let server = database::server(config, &owner.user, &owner.password_file)?;
    let wanted = MigrateConfig { server };
    storage::migrate(wanted, config.region.region(), config.region.cluster).await.map_err(|e| {
        Stop::new(
            database::migrate_cause(&e),
            chain(&e),
            "`domicile doctor` says what is wrong with the database",
        )
    })
}
