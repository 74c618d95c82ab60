//! One region's Postgres, as a role that reads and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt as _;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::directory::Id;
use crate::inventory::Server;

const WITHIN: Duration = Duration::from_secs(10);

/// Connects. Without TLS only to this machine.
pub async fn connect(at: &Server) -> Result<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host(&at.host).port(at.port).dbname(&at.dbname).user(&at.user).connect_timeout(WITHIN);
    config.application_name("residency-verify");
    config.options("-c default_transaction_read_only=on -c statement_timeout=300000");
    if let Some(file) = &at.password_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        config.password(text.trim());
    }
    let connecting = async {
        if let Some(ca) = &at.ca {
            let mut roots = RootCertStore::empty();
            for one in CertificateDer::pem_file_iter(ca).with_context(|| ca.display().to_string())? {
                roots.add(one?)?;
            }
            let tls =
                rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
            config.ssl_mode(SslMode::Require);
            let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await?;
            tokio::spawn(connection);
            anyhow::Ok(client)
        } else {
            let here =
                matches!(at.host.as_str(), "localhost" | "127.0.0.1" | "::1") || at.host.starts_with('/');
            ensure!(here, "without a `ca` only a database of this machine is asked");
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    };
    let place = format!("{}:{}/{} as {}", at.host, at.port, at.dbname, at.user);
    let connected = tokio::time::timeout(WITHIN, connecting).await;
    connected
        .map_err(|_| anyhow::anyhow!("no answer in time"))?
        .with_context(|| format!("{place} is not reached"))
}

/// The lines that a question comes to.
pub async fn lines(client: &Client, sql: &str) -> Result<Vec<String>> {
    let rows = client.query(sql, &[]).await.map_err(|error| said(&error))?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The SQLSTATE and never the text: that may quote a row.
fn said(error: &tokio_postgres::Error) -> anyhow::Error {
    match error.code() {
        Some(code) => anyhow::anyhow!("Postgres refused with SQLSTATE {}", code.code()),
        None => anyhow::anyhow!("the connection to Postgres was lost"),
    }
}

/// Whose stamp is on the database: cluster and region.
pub async fn stamp(client: &Client) -> Result<(String, String)> {
    let row = client.query_one("SELECT cluster, region FROM region_stamp", &[]).await.map_err(|e| said(&e))?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The fence: every patient who lives or lived here, with the epoch and whether they still do.
pub async fn fence(client: &Client) -> Result<BTreeMap<Id, (i64, bool)>> {
    let sql = "SELECT patient_id, epoch, state = 'active' FROM patient_home";
    let none: [&str; 0] = [];
    let rows = client.query_raw(sql, none).await.map_err(|e| said(&e))?;
    let mut rows = std::pin::pin!(rows);
    let mut all = BTreeMap::new();
    while let Some(row) = rows.try_next().await.map_err(|e| said(&e))? {
        let id: uuid::Uuid = row.try_get(0)?;
        all.insert(id.into_bytes(), (row.try_get(1)?, row.try_get(2)?));
    }
    Ok(all)
}

/// Every table with rows of patients, and the column that says whose they are.
pub const TABLES: [(&str, &str); 16] = [
    ("patients", "id"),
    ("patients_history", "id"),
    ("patient_index", "patient_id"),
    ("encounters", "patient_id"),
    ("encounter_addenda", "patient_id"),
    ("appointments", "patient_id"),
    ("booking_handles", "patient_id"),
    ("booking_work", "patient_id"),
    ("waitlist", "patient_id"),
    ("consents", "patient_id"),
    ("break_glass_grants", "patient_id"),
    ("portal_invitations", "patient_id"),
    ("portal_accounts", "patient_id"),
    ("portal_sessions", "patient_id"),
    ("outbox", "patient_id"),
    ("idempotency_records", "patient_id"),
];

/// Whose rows are in a table.
pub async fn patients_in(client: &Client, (table, column): (&str, &str)) -> Result<Vec<Id>> {
    let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
    let rows = client.query(&sql, &[]).await.map_err(|error| said(&error))?;
    rows.iter().map(|row| Ok(row.try_get::<_, uuid::Uuid>(0)?.into_bytes())).collect()
}

/// Sealed columns: table and alias of it, column, whose, the category, and the row's name.
pub const SEALED: [(&str, &str, &str, &str, &str); 28] = [
    ("patients t", "mrn_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "given_name_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "family_name_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "birth_date_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "sex_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "email_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "phone_sealed", "t.id", "'general'", "t.id"),
    ("patients t", "address_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "mrn_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "given_name_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "family_name_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "birth_date_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "sex_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "email_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "phone_sealed", "t.id", "'general'", "t.id"),
    ("patients_history t", "address_sealed", "t.id", "'general'", "t.id"),
    ("encounters t", "reason_sealed", "t.patient_id", "t.category", "t.id"),
    ("encounters t", "note_sealed", "t.patient_id", "t.category", "t.id"),
    ("encounters t", "diagnoses_sealed", "t.patient_id", "t.category", "t.id"),
    (
        "encounter_addenda t JOIN encounters e ON e.id = t.encounter_id",
        "body_sealed",
        "t.patient_id",
        "e.category",
        "t.id",
    ),
    ("appointments t", "reason_sealed", "t.patient_id", "'general'", "t.id"),
    ("appointments t", "cancel_note_sealed", "t.patient_id", "'general'", "t.id"),
    ("consents t", "reference_sealed", "t.patient_id", "'general'", "t.id"),
    ("consents t", "revoked_reference_sealed", "t.patient_id", "'general'", "t.id"),
    ("break_glass_grants t", "review_sealed", "t.patient_id", "'general'", "t.id"),
    ("break_glass_grants t", "reason_sealed", "t.patient_id", "'general'", "t.id"),
    ("portal_accounts t", "email_sealed", "t.patient_id", "'general'", "t.patient_id"),
    ("idempotency_records t", "body_sealed", "t.patient_id", "t.category", "t.id"),
];

/// What is in the clear of one sealed cell.
#[derive(Debug, Clone)]
pub struct Header {
    /// The row.
    pub row: Id,
    /// Whose, if anybody's.
    pub patient: Option<Id>,
    /// The category's name.
    pub category: String,
    /// The layout and the name of the key: 17 bytes.
    pub named: Vec<u8>,
    /// The whole length, in bytes.
    pub length: i32,
}

/// Looks at every header of a column, as they come.
pub async fn headers(
    client: &Client,
    (from, column, patient, category, row): (&str, &str, &str, &str, &str),
    mut look: impl FnMut(Header),
) -> Result<u64> {
    let sql = format!(
        "SELECT {row}, {patient}, {category}::text, substring(t.{column} FROM 1 FOR 17), octet_length(t.{column})
         FROM {from} WHERE t.{column} IS NOT NULL"
    );
    let none: [&str; 0] = [];
    let rows = client.query_raw(&sql, none).await.map_err(|error| said(&error))?;
    let mut rows = std::pin::pin!(rows);
    let mut count = 0;
    while let Some(line) = rows.try_next().await.map_err(|error| said(&error))? {
        look(Header {
            row: line.try_get::<_, uuid::Uuid>(0)?.into_bytes(),
            patient: line.try_get::<_, Option<uuid::Uuid>>(1)?.map(uuid::Uuid::into_bytes),
            category: line.try_get(2)?,
            named: line.try_get(3)?,
            length: line.try_get(4)?,
        });
        count += 1;
    }
    Ok(count)
}

/// The epochs that rows were written at: none above the fence's, and none below that of an earlier version.
pub const EPOCHS: &str = "
    SELECT 'patient ' || p.id || ' was written at epoch ' || p.home_epoch || ', the fence is at ' || h.epoch
    FROM patients p JOIN patient_home h ON h.patient_id = p.id WHERE p.home_epoch > h.epoch
    UNION ALL
    SELECT 'version ' || v.version || ' of patient ' || v.id || ' was written at epoch ' || v.home_epoch
           || ', the next one at ' || v.next_epoch
    FROM (SELECT id, version, home_epoch,
                 coalesce(lead(home_epoch) OVER (PARTITION BY id ORDER BY version),
                          (SELECT p.home_epoch FROM patients p WHERE p.id = o.id)) AS next_epoch
          FROM patients_history o) v
    WHERE v.next_epoch < v.home_epoch
    ORDER BY 1 LIMIT 200";
