//! A keyring in another Postgres server, for a region of several nodes.
//!
//! It must be another server than the PHI's, with backups of its own: `storage::RegionPool::open` compares the two
//! servers' identities and refuses one server for both. How long a destroyed key can be brought back is how long this
//! server's write-ahead log and backups are kept; keep them for days, not years.

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures::future::BoxFuture;
use residency_policy::{Category, PatientId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::connect::Server;
use crate::{DataKeyId, KeyOwner, KeyRecord, KeyUse, Keyring, KeyringError, Wrapped};

const CREATE: &str = "
CREATE TABLE IF NOT EXISTS data_keys (
    id       bytea   PRIMARY KEY CHECK (length(id) = 16),
    use      text    NOT NULL CHECK (use IN ('patient-data', 'region-data', 'blind-index')),
    patient  uuid,
    category text,
    version  integer NOT NULL CHECK (version >= 1),
    wrapped  bytea   NOT NULL,
    CONSTRAINT data_keys_owner CHECK ((use = 'patient-data') = (patient IS NOT NULL AND category IS NOT NULL)),
    CONSTRAINT data_keys_one_of_a_version UNIQUE NULLS NOT DISTINCT (patient, category, use, version)
);
COMMENT ON TABLE  data_keys          IS 'Data keys, wrapped by the region''s KMS key. Must not be in the server that holds the PHI.';
COMMENT ON COLUMN data_keys.id       IS 'The key''s name, as in the header of what it sealed.';
COMMENT ON COLUMN data_keys.use      IS 'What the key does.';
COMMENT ON COLUMN data_keys.patient  IS 'Whose cells it seals.';
COMMENT ON COLUMN data_keys.category IS 'Of which category.';
COMMENT ON COLUMN data_keys.version  IS 'First, second, ... of its owner.';
COMMENT ON COLUMN data_keys.wrapped  IS 'The key, wrapped.';
";
const NEWEST: &str = "SELECT id, use, patient, category, version, wrapped FROM data_keys
    WHERE use = $1 AND patient IS NOT DISTINCT FROM $2 AND category IS NOT DISTINCT FROM $3
    ORDER BY version DESC LIMIT 1";
const BY_ID: &str = "SELECT id, use, patient, category, version, wrapped FROM data_keys WHERE id = $1";
const INSERT: &str = "INSERT INTO data_keys (id, use, patient, category, version, wrapped)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const OF_VERSION: &str = "SELECT id, use, patient, category, version, wrapped FROM data_keys
    WHERE use = $1 AND patient IS NOT DISTINCT FROM $2 AND category IS NOT DISTINCT FROM $3 AND version = $4";
const DESTROY: &str = "DELETE FROM data_keys WHERE patient = $1 RETURNING id";
const AFTER: &str = "SELECT id, use, patient, category, version, wrapped FROM data_keys
    WHERE id > $1 ORDER BY id LIMIT $2";
const REPLACE: &str = "UPDATE data_keys SET wrapped = $3 WHERE id = $1 AND wrapped = $2 RETURNING id";
/// Goes into the write-ahead log, and is as durable as a new key when it returns.
const CHECK: &str = "SELECT pg_logical_emit_message(true, 'domicile-keyring', 'check')::text";

/// A keyring table on a server of its own.
pub struct PostgresKeyring {
    pool: Pool,
    server: Server,
    identity: i64,
}

impl PostgresKeyring {
    /// Connects, and makes the table when there is none.
    pub async fn connect(server: Server) -> Result<Self, KeyringError> {
        let unusable = |why: String| KeyringError::Unusable { keyring: server.place(), why };
        let tls = server.tls().map_err(|error| unusable(error.to_string()))?;
        // synchronous_commit: a key must be durable before anything is sealed under it.
        let options = "-c synchronous_commit=on -c statement_timeout=5000 -c lock_timeout=2000";
        let config = server.config("domicile-keyring", options);
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, tls, recycle))
            .max_size(4)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(server.connect_timeout))
            .create_timeout(Some(server.connect_timeout))
            .recycle_timeout(Some(server.connect_timeout))
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let first = server.connect("domicile-keyring", options).await;
        let first = first.map_err(|error| {
            if error.may_pass() {
                KeyringError::Unavailable { keyring: server.place(), why: error.to_string() }
            } else {
                unusable(error.to_string())
            }
        })?;
        let said = |error: tokio_postgres::Error| unusable(describe_error(&error));
        if first
            .query_opt("SELECT 1 FROM pg_class WHERE oid = to_regclass('data_keys')", &[])
            .await
            .map_err(said)?
            .is_none()
        {
            first.batch_execute(CREATE).await.map_err(said)?;
        }
        let row =
            first.query_one("SELECT system_identifier FROM pg_control_system()", &[]).await.map_err(said)?;
        let identity = row.try_get(0).map_err(said)?;
        Ok(Self { pool, server, identity })
    }

    async fn client(&self) -> Result<Object, KeyringError> {
        self.pool.get().await.map_err(|error| {
            let why = match error {
                deadpool_postgres::PoolError::Backend(error) => self.server.explain(&error).to_string(),
                other => other.to_string(),
            };
            KeyringError::Unavailable { keyring: self.server.place(), why }
        })
    }

    async fn rows(
        &self,
        sql: &str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, KeyringError> {
        let client = self.client().await?;
        let asked = async { client.query(&client.prepare_cached(sql).await?, params).await };
        // The server's own limits do not help when the server or the network stands still.
        let asked = tokio::time::timeout(std::time::Duration::from_secs(6), asked).await;
        let Ok(answer) = asked else {
            drop(Object::take(client));
            return Err(self.unavailable("it did not answer in time"));
        };
        answer.map_err(|error| self.unavailable(&describe_error(&error)))
    }

    fn unavailable(&self, why: &str) -> KeyringError {
        KeyringError::Unavailable { keyring: self.server.place(), why: why.to_owned() }
    }

    fn record(&self, row: &Row) -> Result<KeyRecord, KeyringError> {
        read_record(row).ok_or_else(|| KeyringError::Unusable {
            keyring: self.server.place(),
            why: "a row of data_keys is not as this program writes them".into(),
        })
    }

    async fn one(
        &self,
        sql: &str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Option<KeyRecord>, KeyringError> {
        self.rows(sql, params).await?.first().map(|row| self.record(row)).transpose()
    }
}

impl Keyring for PostgresKeyring {
    fn newest(&self, owner: KeyOwner) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        Box::pin(async move {
            let (use_, patient, category) = columns(owner);
            self.one(NEWEST, &[&use_, &patient, &category]).await
        })
    }

    fn by_id(&self, id: DataKeyId) -> BoxFuture<'_, Result<Option<KeyRecord>, KeyringError>> {
        Box::pin(async move { self.one(BY_ID, &[&id.0.as_slice()]).await })
    }

    fn insert(&self, new: KeyRecord) -> BoxFuture<'_, Result<KeyRecord, KeyringError>> {
        Box::pin(async move {
            let (use_, patient, category) = columns(new.owner);
            let version = i32::try_from(new.version).map_err(|_| self.unavailable("too many versions"))?;
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&new.id.0.as_slice(), &use_, &patient, &category, &version, &new.wrapped.0];
            self.rows(INSERT, &params).await?;
            let kept = self.one(OF_VERSION, &[&use_, &patient, &category, &version]).await?;
            kept.ok_or_else(|| self.unavailable("a new key was destroyed at once"))
        })
    }

    fn destroy(&self, patient: PatientId) -> BoxFuture<'_, Result<Vec<DataKeyId>, KeyringError>> {
        Box::pin(async move {
            let rows = self.rows(DESTROY, &[&patient.uuid()]).await?;
            let id =
                |row: &Row| row.try_get::<_, &[u8]>(0).ok().and_then(|id| id.try_into().ok()).map(DataKeyId);
            Ok(rows.iter().filter_map(id).collect())
        })
    }

    fn after(
        &self,
        after: Option<DataKeyId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeyRecord>, KeyringError>> {
        Box::pin(async move {
            let from = after.map_or_else(Vec::new, |id| id.0.to_vec());
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            self.rows(AFTER, &[&from, &limit]).await?.iter().map(|row| self.record(row)).collect()
        })
    }

    fn replace(&self, id: DataKeyId, from: Wrapped, to: Wrapped) -> BoxFuture<'_, Result<bool, KeyringError>> {
        Box::pin(async move { Ok(!self.rows(REPLACE, &[&id.0.as_slice(), &from.0, &to.0]).await?.is_empty()) })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), KeyringError>> {
        Box::pin(async move { self.rows(CHECK, &[]).await.map(drop) })
    }

    fn server_identity(&self) -> Option<i64> {
        Some(self.identity)
    }

    fn describe(&self) -> String {
        self.server.place()
    }
}

fn columns(owner: KeyOwner) -> (&'static str, Option<Uuid>, Option<&'static str>) {
    (owner.use_().name(), owner.patient().map(PatientId::uuid), owner.category().map(Category::name))
}

fn read_record(row: &Row) -> Option<KeyRecord> {
    let id = DataKeyId(row.try_get::<_, &[u8]>("id").ok()?.try_into().ok()?);
    let patient = row.try_get::<_, Option<Uuid>>("patient").ok()?.map(PatientId::from);
    let category =
        row.try_get::<_, Option<&str>>("category").ok()?.map(str::parse::<Category>).transpose().ok()?;
    let use_: &str = row.try_get("use").ok()?;
    let owner = match (patient, category) {
        (Some(patient), Some(category)) if use_ == KeyUse::PatientData.name() => {
            KeyOwner::Patient(patient, category)
        }
        (None, None) if use_ == KeyUse::RegionData.name() => KeyOwner::Region,
        (None, None) if use_ == KeyUse::BlindIndex.name() => KeyOwner::BlindIndex,
        _ => return None,
    };
    let version = u32::try_from(row.try_get::<_, i32>("version").ok()?).ok()?;
    Some(KeyRecord { id, owner, version, wrapped: Wrapped(row.try_get("wrapped").ok()?) })
}

/// The SQLSTATE or the kind of failure; never the server's DETAIL, which may quote a row.
fn describe_error(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(code) => format!("the server says SQLSTATE {}", code.code()),
        None if error.is_closed() => "the connection was lost".into(),
        None => "the answer could not be read".into(),
    }
}
