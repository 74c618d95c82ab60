//! A region's database as somebody who looks sees it, and, for controls, as somebody who puts a thing there.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::RootCertStore;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::cluster::{Cluster, RegionProcess};
use crate::scan::{Found, Scanner};

/// A table that is not there for our sake alone.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// Connects as somebody who may look at everything and change nothing.
pub async fn inspect(region: &RegionProcess) -> Result<Client> {
    let at = &region.postgres;
    let mut config = tokio_postgres::Config::new();
    config.host(&at.host).port(at.port).dbname(&at.dbname).user(&at.user);
    let (client, connection) = config.connect(NoTls).await.with_context(|| format!("{at:?}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// Connects as one of the users in the node's own configuration, by the section that names it: `database` is the
/// program's user, `migrate` is the owner of the tables.
pub async fn as_in(cluster: &Cluster, region: &RegionProcess, section: &str) -> Result<Client> {
    let path = cluster.home().join("regions").join(&region.name).join("node.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: toml::Table = text.parse()?;
    let value = |key: &str| {
        file.get(section)
            .and_then(|s| s.get(key))
            .or_else(|| file.get("database").and_then(|s| s.get(key)))
            .and_then(toml::Value::as_str)
            .with_context(|| format!("no {key} in [{section}] of {}", path.display()))
    };
    let password = match value("password") {
        Ok(password) => password.to_owned(),
        Err(_) => {
            std::fs::read_to_string(path.with_file_name("").join(value("password_file")?))?.trim().to_owned()
        }
    };
    let mut config = tokio_postgres::Config::new();
    config.host(&region.postgres.host).port(region.postgres.port).dbname(&region.postgres.dbname);
    config.user(value("user")?).password(password).ssl_mode(tokio_postgres::config::SslMode::Require);
    let trust: Arc<RootCertStore> = cluster.nobody().trust();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trust)
        .with_no_client_auth();
    let (client, connection) =
        config.connect(MakeRustlsConnect::new(tls)).await.context("the owner connects")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Every table, the server's own included: statistics hold values too.
pub async fn tables(client: &Client) -> Result<Vec<Table>> {
    let rows = client
        .query(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('pg_toast', 'information_schema')
             ORDER BY 1, 2",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| Table { schema: row.get(0), name: row.get(1) }).collect())
}

/// The tables of the product.
pub async fn own_tables(client: &Client) -> Result<Vec<Table>> {
    Ok(tables(client).await?.into_iter().filter(|t| !t.schema.starts_with("pg_")).collect())
}

/// Looks through every row of every table as text, which undoes compression; bytes are in it as hex.
pub async fn scan(client: &Client, scanner: &Scanner, of: &str) -> Result<Found> {
    let mut found = Found::default();
    for Table { schema, name } in tables(client).await? {
        // Passwords' verifiers are for superusers; they are no PHI.
        if name == "pg_authid" || name == "pg_user_mapping" || name == "pg_subscription" {
            continue;
        }
        let sql = format!("SELECT t::text FROM \"{schema}\".\"{name}\" t");
        let rows = client.query(&sql, &[]).await.with_context(|| format!("{of} {schema}.{name}"))?;
        for row in &rows {
            let text: String = row.get(0);
            found.join(scanner.bytes(&format!("{of} table {schema}.{name}"), text.as_bytes()));
        }
    }
    Ok(found)
}

/// Every ciphertext and blind index in the rows that belong to one patient: (table and column, bytes).
pub async fn blobs_of(client: &Client, patient: uuid::Uuid) -> Result<Vec<(String, Vec<u8>)>> {
    let columns = client
        .query(
            "SELECT b.table_name::text, b.column_name::text, p.column_name::text
             FROM information_schema.columns b
             JOIN information_schema.columns p ON p.table_schema = b.table_schema AND p.table_name = b.table_name
               AND (p.column_name = 'patient_id' OR (p.column_name = 'id' AND p.table_name LIKE 'patients%'))
             WHERE b.table_schema = 'public' AND b.data_type = 'bytea'
             ORDER BY 1, 2",
            &[],
        )
        .await?;
    let mut blobs = Vec::new();
    for column in &columns {
        let (table, bytes, owner): (String, String, String) = (column.get(0), column.get(1), column.get(2));
        let sql =
            format!("SELECT \"{bytes}\" FROM \"{table}\" WHERE \"{owner}\" = $1 AND length(\"{bytes}\") >= 12");
        for row in client.query(&sql, &[&patient]).await.with_context(|| sql.clone())? {
            blobs.push((format!("{table}.{bytes}"), row.get(0)));
        }
    }
    Ok(blobs)
}
