//! What is asked of a database before it is trusted.

use std::sync::Arc;

use residency_policy::{Label, Region};
use storage_keys::{DataKeyId, Envelope, KeyOwner, OpenKey};
use tokio_postgres::Client;

use crate::schema::MIGRATIONS;
use crate::{Error, OpenError};

pub(crate) const STAMP: &str = "SELECT cluster, region FROM region_stamp";
pub(crate) const HAS_TABLE: &str = "SELECT to_regclass($1::text) IS NOT NULL";
pub(crate) const VERSION: &str = "SELECT max(version)::bigint FROM refinery_schema_history";
const ROLE: &str = "SELECT rolname::text, rolsuper, rolbypassrls,
    (SELECT relowner = r.oid FROM pg_class WHERE oid = to_regclass('patients')) AS owns
    FROM pg_roles r WHERE rolname = current_user";
const SETTING: &str = "SELECT current_setting($1::text)";
const IDENTITY: &str = "SELECT system_identifier FROM pg_control_system()";
const KEYRING: &str = "SELECT index_key FROM region_keyring";
const SET_KEYRING: &str = "INSERT INTO region_keyring (index_key) VALUES ($1) ON CONFLICT DO NOTHING";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[
    ("stamp.stamp", STAMP),
    ("stamp.has_table", HAS_TABLE),
    ("stamp.version", VERSION),
    ("stamp.role", ROLE),
    ("stamp.setting", SETTING),
    ("stamp.identity", IDENTITY),
    ("stamp.keyring", KEYRING),
    ("stamp.set_keyring", SET_KEYRING),
];

/// What the app's role must be set to, so that no value reaches the server's log. `storage::provision` sets them.
pub(crate) const QUIET: [(&str, &str); 4] = [
    ("log_error_verbosity", "terse"),
    ("log_min_error_statement", "panic"),
    ("log_parameter_max_length_on_error", "0"),
    ("log_parameter_max_length", "0"),
];

fn said(error: &tokio_postgres::Error) -> OpenError {
    OpenError::Examine(Error::from_driver(error, "open"))
}

/// Refuses a database that is not at this program's schema, not this region's, or not quiet, and a role that
/// row-level security does not hold.
pub(crate) async fn examine(client: &Client, cluster: Label, region: Region) -> Result<(), OpenError> {
    let has: bool = client
        .query_one(HAS_TABLE, &[&"refinery_schema_history"])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|e| said(&e))?;
    if !has {
        return Err(OpenError::NotMigrated);
    }
    examine_role(client).await?;
    let version: Option<i64> =
        client.query_one(VERSION, &[]).await.and_then(|row| row.try_get(0)).map_err(|e| said(&e))?;
    let (found, known) = (version.ok_or(OpenError::NotMigrated)?, newest_version());
    if found < known {
        return Err(OpenError::SchemaTooOld { found, needed: known });
    }
    if found > known {
        return Err(OpenError::SchemaTooNew { found, known });
    }
    let stamp = read_stamp(client).await.map_err(|e| said(&e))?.ok_or(OpenError::NotMigrated)?;
    if !matches(&stamp, cluster, region) {
        let (found_cluster, found_region) = stamp;
        return Err(OpenError::WrongStamp { found_cluster, found_region, cluster, region });
    }
    for (setting, wanted) in QUIET {
        let found: String = client
            .query_one(SETTING, &[&setting])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|e| said(&e))?;
        if found != wanted {
            return Err(OpenError::LeakyLog { setting, wanted, found });
        }
    }
    Ok(())
}

async fn examine_role(client: &Client) -> Result<(), OpenError> {
    let row = client.query_one(ROLE, &[]).await.map_err(|e| said(&e))?;
    let flag =
        |column| row.try_get::<_, Option<bool>>(column).map_err(|e| said(&e)).map(Option::unwrap_or_default);
    let why = if flag("rolsuper")? {
        "is a superuser"
    } else if flag("rolbypassrls")? {
        "bypasses row-level security"
    } else if flag("owns")? {
        "owns the tables"
    } else {
        return Ok(());
    };
    Err(OpenError::RoleTooPowerful { role: row.try_get("rolname").map_err(|e| said(&e))?, why })
}

/// Cluster and region of the stamp. One round trip: it is asked of every connection, mostly once.
pub(crate) async fn read_stamp(client: &Client) -> Result<Option<(String, String)>, tokio_postgres::Error> {
    let rows = client.query_typed(STAMP, &[]).await?;
    rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

pub(crate) fn matches(stamp: &(String, String), cluster: Label, region: Region) -> bool {
    stamp.0 == cluster.as_str() && stamp.1 == region.0.code()
}

pub(crate) fn newest_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Refuses a keyring in the same server, and a keyring that this database was not written with: its blind indexes
/// would find nothing, without a word, and nothing would open.
pub(crate) async fn examine_keyring(client: &Client, envelope: &Envelope) -> Result<Arc<OpenKey>, OpenError> {
    let keyring = || envelope.keyring().describe();
    let identity: i64 =
        client.query_one(IDENTITY, &[]).await.and_then(|row| row.try_get(0)).map_err(|e| said(&e))?;
    if envelope.keyring().server_identity() == Some(identity) {
        return Err(OpenError::KeyringOnSameServer { keyring: keyring() });
    }
    if let Some(written) = written_with(client).await? {
        return match envelope.opening_key(written, KeyOwner::BlindIndex).await {
            Ok(key) => Ok(key),
            Err(error) if matches!(*error, storage_keys::EnvelopeError::NoSuchKey(_)) => {
                Err(OpenError::WrongKeyring { keyring: keyring() })
            }
            Err(error) => Err(OpenError::Keys(error)),
        };
    }
    let new = envelope.sealing_key(KeyOwner::BlindIndex).await.map_err(OpenError::Keys)?;
    client.execute(SET_KEYRING, &[&new.id.0.as_slice()]).await.map_err(|e| said(&e))?;
    // Another node may have been first, with a keyring of its own.
    match written_with(client).await? {
        Some(written) if written == new.id => Ok(new),
        _ => Err(OpenError::WrongKeyring { keyring: keyring() }),
    }
}

async fn written_with(client: &Client) -> Result<Option<DataKeyId>, OpenError> {
    let row = client.query_opt(KEYRING, &[]).await.map_err(|e| said(&e))?;
    let Some(row) = row else { return Ok(None) };
    let id: &[u8] = row.try_get(0).map_err(|e| said(&e))?;
    let id = id.try_into().map_err(|_| OpenError::Examine(Error::Row { column: "index_key" }))?;
    Ok(Some(DataKeyId(id)))
}
