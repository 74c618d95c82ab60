//! Opens the region's database, and waits a bounded time for one that is not there yet.

use std::sync::Arc;
use std::time::Duration;

use residency_policy::{Clock, Entropy};
use storage::{MigrateError, OpenError, PoolConfig, RegionPool, Server, Timeouts};
use storage_keys::Envelope;
use tokio::time::Instant;

use crate::config::Config;
use crate::config::SecretFile;
use crate::exit::{Cause, Stop, chain};

const PAUSE: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(5);

/// The database as a role of the configuration sees it.
pub fn server(config: &Config, user: &str, password: &SecretFile) -> Result<Server, Stop> {
    let password = password.read().map_err(|e| {
        Stop::new(Cause::Config, e.to_string(), "see password_file in [database] and [migrate]")
    })?;
    Ok(Server {
        host: config.database.host.clone(),
        port: config.database.port,
        dbname: config.database.name.clone(),
        user: user.to_owned(),
        password,
        ca_cert: config.database.ca.clone(),
        connect_timeout: CONNECT,
    })
}

/// Opens the pool. A server that is away is asked again until the time is up; a wrong one is refused at once.
pub async fn open(
    config: &Config,
    envelope: &Arc<Envelope>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<RegionPool, Stop> {
    let wanted = PoolConfig {
        server: server(config, &config.database.user, &config.database.password_file)?,
        cluster: config.region.cluster,
        region: config.region.region(),
        connections_max: config.database.connections_max,
        timeouts: Timeouts::default(),
    };
    let until = Instant::now() + config.database.start_wait();
    let mut said = false;
    loop {
        let (envelope, clock, entropy) = (Arc::clone(envelope), Arc::clone(clock), Arc::clone(entropy));
        match RegionPool::open(wanted.clone(), envelope, clock, entropy).await {
            Ok(pool) => return Ok(pool),
            Err(error) if error.may_pass() && Instant::now() < until => {
                if !said {
                    said = true;
                    tracing::warn!(
                        error = chain(&error),
                        "the database does not answer yet; it is asked again"
                    );
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(stop(config, &error)),
        }
    }
}

fn stop(config: &Config, error: &OpenError) -> Stop {
    let what = chain(error);
    match error {
        _ if error.may_pass() => Stop::new(
            Cause::DatabaseAway,
            format!("{what} (asked for {} s)", config.database.start_wait_seconds),
            "see that Postgres runs and is reachable at [database] host and port, and that its certificate is by ca",
        ),
        OpenError::Settings(_) => Stop::new(Cause::Config, what, "see [database]"),
        OpenError::NotMigrated | OpenError::SchemaTooOld { .. } => {
            Stop::new(Cause::DatabaseWrong, what, "run `domicile migrate` with this configuration")
        }
        OpenError::WrongKeys { .. }
        | OpenError::WrongKeyring { .. }
        | OpenError::KeyringOnSameServer { .. } => Stop::new(Cause::Keys, what, "see [keys.keyring]"),
        _ => Stop::new(Cause::DatabaseWrong, what, "see [database]; `domicile doctor` looks closer"),
    }
}

/// Which exit code a failed migration ends with.
pub(super) fn migrate_cause(error: &MigrateError) -> Cause {
    match error {
        MigrateError::Connect(error) if error.may_pass() => Cause::DatabaseAway,
        MigrateError::NoSuchVersion(_) | MigrateError::WouldLose(_) | MigrateError::Served(_) => Cause::Other,
        _ => Cause::DatabaseWrong,
    }
}
