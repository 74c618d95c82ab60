//! Is the database there, the right one, and quiet?

use jiff::Timestamp;
use residency_policy::Clock;
use tokio_postgres::Client;

use super::Report;
use crate::config::Config;
use crate::wiring::database::server;

const VERSION_MIN: i32 = 15;
/// Clocks further apart than this make idempotency and expiry odd.
const CLOCK_SECONDS_MAX: i64 = 2;

/// What must be so for no value to reach the server's log, and for a commit to be one.
const SETTINGS: [(&str, &str); 8] = [
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
];

/// Looks, and gives the server's identity when it could be asked.
pub(super) async fn look(config: &Config, clock: &dyn Clock, report: &mut Report) -> Option<i64> {
    let name = "database";
    let section = &config.database;
    let server = match server(config, &section.user, &section.password_file) {
        Ok(server) => server,
        Err(stop) => {
            report.stop(name, stop);
            return None;
        }
    };
    let client = match server.connect("domicile-doctor", "-c search_path=public").await {
        Ok(client) => client,
        Err(error) => {
            let mend =
                "see [database]; Postgres must run, offer TLS by a certificate of `ca`, and let the role in";
            report.fail(name, error.to_string(), mend);
            return None;
        }
    };
    report.ok(name, format!("{} answers over TLS", server.place()));
    match questions(config, clock, &client, report).await {
        Ok(identity) => Some(identity),
        Err(error) => {
            // Only the code: the message of an error may quote a value.
            let code = error.code().map_or("none", |code| code.code());
            report.fail(name, format!("cannot be examined (SQLSTATE {code})"), "run `domicile migrate` first");
            None
        }
    }
}

async fn questions(
    config: &Config,
    clock: &dyn Clock,
    client: &Client,
    report: &mut Report,
) -> Result<i64, tokio_postgres::Error> {
    let row = client.query_one("SELECT current_setting('server_version_num')::int / 10000", &[]).await?;
    let version: i32 = row.try_get(0)?;
    if version >= VERSION_MIN {
        report.ok("database version", format!("Postgres {version}"));
    } else {
        report.fail(
            "database version",
            format!("Postgres {version}"),
            format!("at least {VERSION_MIN} is needed"),
        );
    }
    role(client, report).await?;
    settings(config, client, report).await?;
    let row = client.query_one("SELECT clock_timestamp()", &[]).await?;
    let there: Timestamp = row.try_get(0)?;
    let apart = there.duration_since(clock.now()).as_secs().abs();
    if apart > CLOCK_SECONDS_MAX {
        report.warn(
            "clock",
            format!("this machine and the database are {apart} s apart"),
            "run a time service on both",
        );
    } else {
        report.ok("clock", "agrees with the database's");
    }
    stamp(config, client, report).await?;
    let row = client.query_one("SELECT system_identifier FROM pg_control_system()", &[]).await?;
    row.try_get(0)
}

async fn role(client: &Client, report: &mut Report) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT rolsuper, rolbypassrls,
               EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND relkind IN ('r', 'p')) AS owns
               FROM pg_roles r WHERE rolname = current_user";
    let row = client.query_one(sql, &[]).await?;
    for (column, why) in [
        ("rolsuper", "is a superuser"),
        ("rolbypassrls", "bypasses row-level security"),
        ("owns", "owns tables, so that it could switch row-level security off"),
    ] {
        if row.try_get(column)? {
            report.fail("database role", format!("the application's role {why}"), "use the role domicile_app");
            return Ok(());
        }
    }
    report.ok("database role", "is held by row-level security");
    Ok(())
}

async fn settings(config: &Config, client: &Client, report: &mut Report) -> Result<(), tokio_postgres::Error> {
    let mut well = true;
    for (setting, wanted) in SETTINGS {
        let row = client.query_one("SELECT current_setting($1::text)", &[&setting]).await?;
        let found: String = row.try_get(0)?;
        if found != wanted {
            well = false;
            let why = if setting.starts_with("log_") {
                "a value could reach the log"
            } else {
                "a commit could be lost"
            };
            let mend = format!("set {setting} = {wanted} in postgresql.conf");
            report.fail("database settings", format!("{setting} is {found}: {why}"), mend);
        }
    }
    let row = client.query_one("SELECT current_setting('max_connections')::int", &[]).await?;
    let most: i32 = row.try_get(0)?;
    if usize::try_from(most).unwrap_or(0) <= config.database.connections_max + 3 {
        well = false;
        report.warn(
            "database settings",
            format!(
                "max_connections is {most} and this node alone may take {}",
                config.database.connections_max
            ),
            "raise max_connections, or lower [database] connections_max",
        );
    }
    if well {
        report.ok("database settings", "keep values out of the log and commits on the disk");
    }
    Ok(())
}

async fn stamp(config: &Config, client: &Client, report: &mut Report) -> Result<(), tokio_postgres::Error> {
    let row = client.query_one("SELECT to_regclass('region_stamp') IS NOT NULL", &[]).await?;
    if !row.try_get::<_, bool>(0)? {
        report.fail("database stamp", "there is no schema yet", "run `domicile migrate`");
        return Ok(());
    }
    let row = client.query_opt("SELECT cluster, region FROM region_stamp", &[]).await?;
    let (cluster, region) = (config.region.cluster.to_string(), config.region.region().to_string());
    match row {
        None => report.fail("database stamp", "the database is not stamped", "run `domicile migrate`"),
        Some(row) => {
            let (found_cluster, found_region): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if (&found_cluster, &found_region) == (&cluster, &region) {
                report.ok("database stamp", format!("{cluster}/{region}"));
            } else {
                report.fail(
                    "database stamp",
                    format!("{found_cluster}/{found_region}, and this node is {cluster}/{region}"),
                    "connect to this region's own database: no patient may be kept in another's",
                );
            }
        }
    }
    let row = client.query_one("SELECT max(version)::bigint FROM refinery_schema_history", &[]).await?;
    let (found, known): (Option<i64>, i64) =
        (row.try_get(0)?, storage::schema::MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0));
    match found.unwrap_or(0).cmp(&known) {
        std::cmp::Ordering::Equal => report.ok("database schema", format!("version {known}")),
        std::cmp::Ordering::Less => report.fail(
            "database schema",
            format!("is at version {}, this program needs {known}", found.unwrap_or(0)),
            "run `domicile migrate`",
        ),
        std::cmp::Ordering::Greater => {
            report.fail("database schema", "is newer than this program", "use the newer program");
        }
    }
    Ok(())
}
