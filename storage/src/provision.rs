//! Makes the roles and the database, once, as a superuser. Migrations then need none.
//!
//! `domicile_owner` owns the tables and runs migrations; `domicile_app` is what the node connects as and has no more
//! than grants on rows. Passwords travel as SCRAM verifiers: neither the server nor its log ever sees them.

use postgres_protocol::password::scram_sha_256;
use storage_keys::connect::Secret;
use tokio_postgres::Client;

use crate::stamp::QUIET;

/// The role that owns the tables.
pub const OWNER: &str = "domicile_owner";
/// The role that the node connects as.
pub const APP: &str = "domicile_app";

/// Held while provisioning, so that two at once do not trip over each other's roles. "provisio" as a number.
const LOCK: i64 = 0x7072_6f76_6973_696f;

/// What is made.
#[derive(Debug, Clone)]
pub struct Provision {
    /// The database's name.
    pub dbname: String,
    /// The password of `domicile_owner`.
    pub owner_password: Secret,
    /// The password of `domicile_app`.
    pub app_password: Secret,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// Postgres refused a step.
    #[error("Postgres refused to {step} with SQLSTATE {code}; a superuser is needed")]
    Refused {
        /// Which step.
        step: &'static str,
        /// The SQLSTATE.
        code: String,
    },
}

/// Makes `domicile_owner`, `domicile_app` and the database, or brings them to what they must be when they exist.
/// `superuser` is connected to another database of the server, such as `postgres`.
pub async fn provision(superuser: &Client, wanted: &Provision) -> Result<(), ProvisionError> {
    let refused = |step: &'static str| {
        move |error: tokio_postgres::Error| ProvisionError::Refused {
            step,
            code: error.code().map_or("08006", |code| code.code()).to_owned(),
        }
    };
    superuser.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(refused("take the lock"))?;
    for (role, password) in [(OWNER, &wanted.owner_password), (APP, &wanted.app_password)] {
        let there = superuser.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await;
        if there.map_err(refused("look for roles"))?.is_none() {
            superuser.batch_execute(&format!("CREATE ROLE {role}")).await.map_err(refused("make a role"))?;
        }
        // Letters, digits and $:+/= only, by construction.
        let verifier = scram_sha_256(password.reveal().as_bytes());
        let alter = format!(
            "ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
             PASSWORD '{verifier}'"
        );
        superuser.batch_execute(&alter).await.map_err(refused("set a password"))?;
        for (setting, value) in QUIET {
            let quiet = format!("ALTER ROLE {role} SET {setting} = '{value}'");
            superuser.batch_execute(&quiet).await.map_err(refused("keep values out of the log"))?;
        }
    }
    let name = quoted(&wanted.dbname);
    let there = superuser.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&wanted.dbname]).await;
    if there.map_err(refused("look for the database"))?.is_none() {
        let create =
            format!("CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
        superuser.batch_execute(&create).await.map_err(refused("make the database"))?;
    }
    let access = format!(
        "ALTER DATABASE {name} OWNER TO {OWNER}; REVOKE ALL ON DATABASE {name} FROM PUBLIC; \
         GRANT CONNECT ON DATABASE {name} TO {APP};"
    );
    superuser.batch_execute(&access).await.map_err(refused("set who may connect"))?;
    superuser.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.map_err(refused("release the lock"))?;
    Ok(())
}

/// An identifier in SQL text.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
