//! The pool of connections to this region's database.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use residency_policy::{Clock, Entropy, Label, Region};
use ring::hmac;
use storage_keys::connect::Server;
use storage_keys::{Envelope, OpenKey};
use zeroize::Zeroizing;

use crate::error::Unavailable;
use crate::{Error, OpenError, ids, stamp, tx};

/// What a pool needs.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// The database and the app's credentials.
    pub server: Server,
    /// The deployment: the database must be stamped with it.
    pub cluster: Label,
    /// The region: the database must be stamped with it.
    pub region: Region,
    /// The most connections.
    pub connections_max: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Waiting for a free connection, and making one.
    pub wait: Duration,
    /// All of a transaction's beginning: connection, settings and fence.
    pub begin: Duration,
    /// One statement, and a commit.
    pub statement: Duration,
    /// Waiting for a lock.
    pub lock: Duration,
    /// A transaction in which nothing happens.
    pub idle_in_transaction: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(1500),
            begin: Duration::from_millis(1900),
            statement: Duration::from_secs(5),
            lock: Duration::from_millis(1500),
            idle_in_transaction: Duration::from_secs(30),
        }
    }
}

/// How the pool is doing, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct PoolStatus {
    /// Connections open.
    pub open: usize,
    /// Connections free.
    pub idle: usize,
    /// Callers waiting for one.
    pub waiting: usize,
}

/// Connections to the database of one region. Cheap to clone.
#[derive(Clone)]
pub struct RegionPool(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) connections: Pool,
    pub(crate) config: PoolConfig,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Open for as long as the pool is: every search, cursor and idempotency key needs it at once.
    pub(crate) index: Arc<OpenKey>,
    pub(crate) taken: ids::Taken,
}

impl RegionPool {
    /// Connects, and refuses a database that is not this region's or not at a schema version that this program knows.
    pub async fn open(
        config: PoolConfig,
        envelope: Arc<Envelope>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        if envelope.region() != config.region || envelope.cluster() != config.cluster {
            return Err(OpenError::WrongKeys { keys: envelope.region(), region: config.region });
        }
        let options = options(&config.timeouts);
        let first = config.server.connect("domicile-node", &options).await?;
        let index = tokio::time::timeout(Duration::from_secs(20), async {
            stamp::examine(&first, config.cluster, config.region).await?;
            stamp::examine_keyring(&first, &envelope).await
        });
        let index = index.await.map_err(|_| OpenError::Examine(Error::Unavailable(Unavailable::Slow)))??;
        let connections = pool(&config, &options)?;
        let taken = ids::Taken::default();
        Ok(Self(Arc::new(Inner { connections, config, envelope, clock, entropy, index, taken })))
    }

    /// Which region's database it is.
    pub fn region(&self) -> Region {
        self.0.config.region
    }

    /// The keys that the pool seals with.
    pub fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// Whether the database answers, and is still this region's.
    pub async fn ping(&self) -> Result<(), Error> {
        self.run("ping", async |client| {
            let stamp = client.query_opt(&client.prepare_cached(stamp::STAMP).await?, &[]).await?;
            let stamp = stamp
                .map(|row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?)))
                .transpose()?;
            Ok(stamp.is_some_and(|stamp| stamp::matches(&stamp, self.0.config.cluster, self.0.config.region)))
        })
        .await
        .and_then(|ours| if ours { Ok(()) } else { Err(Error::Unavailable(Unavailable::NotServing)) })
    }

    /// How the pool is doing.
    pub fn status(&self) -> PoolStatus {
        let status = self.0.connections.status();
        PoolStatus { open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// The keyed fingerprint of a request's bytes. Keyed, because an unkeyed hash of a short body can be guessed.
    pub fn fingerprint(&self, request: &[u8]) -> [u8; 32] {
        self.mac("fingerprint", &[request])
    }

    /// Lets go of all connections. Transactions in progress end as they would.
    pub fn close(&self) {
        self.0.connections.close();
    }

    /// A keyed hash of the parts, for one purpose.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.mac_key(), &one_reading(purpose, parts)).as_ref());
        mac
    }

    fn mac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.index.key.bytes())
    }

    /// A connection.
    pub(crate) async fn connection(&self) -> Result<Object, Error> {
        self.0.connections.get().await.map_err(|error| Error::from_pool(&error))
    }

    /// One statement of this crate's own, about no patient's PHI, outside a [`crate::RegionTx`].
    pub(crate) async fn run<T>(
        &self,
        act: &'static str,
        ask: impl AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Error> {
        let client = self.connection().await?;
        let Ok(answer) = tokio::time::timeout(self.0.config.timeouts.begin, ask(&client)).await else {
            // The statement may still be running there: the next one must not wait behind it.
            drop(Object::take(client));
            return Err(Error::Unavailable(Unavailable::Slow));
        };
        answer.map_err(|error| Error::from_driver(&error, act))
    }
}

impl std::fmt::Debug for RegionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionPool({})", self.region())
    }
}

/// The parts as bytes with one reading only: each is preceded by its length.
fn one_reading(purpose: &str, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(b"domicile/mac/1".to_vec());
    for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// synchronous_commit: an acknowledged write survives a crash. search_path: no table of another schema shadows ours.
fn options(timeouts: &Timeouts) -> String {
    format!(
        "-c search_path=public -c synchronous_commit=on -c timezone=UTC \
         -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        timeouts.statement.as_millis(),
        timeouts.lock.as_millis(),
        timeouts.idle_in_transaction.as_millis()
    )
}

fn pool(config: &PoolConfig, options: &str) -> Result<Pool, OpenError> {
    let manager = Manager::from_config(
        config.server.config("domicile-node", options),
        config.server.tls()?,
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    let (cluster, region) = (config.cluster, config.region);
    Pool::builder(manager)
        .max_size(config.connections_max)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(config.timeouts.wait))
        .create_timeout(Some(config.timeouts.wait))
        .recycle_timeout(Some(config.timeouts.wait))
        .post_create(Hook::async_fn(move |client, _| {
            Box::pin(async move {
                // A name may lead to another server after a failover: each connection is looked at, not only the first.
                let stamp = stamp::read_stamp(client).await.map_err(HookError::Backend)?;
                if !stamp.is_some_and(|stamp| stamp::matches(&stamp, cluster, region)) {
                    return Err(HookError::message("the database is not stamped as this region's"));
                }
                for sql in tx::PREPARED_AHEAD {
                    client.prepare_cached(sql).await.map_err(HookError::Backend)?;
                }
                Ok(())
            })
        }))
        .build()
        .map_err(|error| OpenError::Settings(error.to_string()))
}
