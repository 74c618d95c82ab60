//! The pool of connections to this region's database.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use residency_policy::{Clock, Entropy, Label, Region};
use ring::hmac;
use storage_keys::connect::Server;
use storage_keys::{Envelope, OpenKey};
use tokio_postgres::types::{ToSql, Type};
use zeroize::Zeroizing;

use crate::ask::Answered;
use crate::error::Unavailable;
use crate::lanes::Lanes;
use crate::lend::{APPLICATION, Connections, Terms};
use crate::record::Recorder;
use crate::{Error, OpenError, ids, lanes, record, stamp, tx};

/// What a pool needs.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// The database and the app's credentials.
    pub server: Server,
    /// The deployment: the database must be stamped with it.
    pub cluster: Label,
    /// The region: the database must be stamped with it.
    pub region: Region,
    /// The most connections of transactions. Reads and the access log have a few of their own beside them: one for
    /// access records, one for their log, and one in eight of this number, but not more than eight, for reads.
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
    /// All of a read, from its beginning to the proof that its access records are durable.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(1500),
            begin: Duration::from_millis(1900),
            statement: Duration::from_secs(5),
            lock: Duration::from_millis(1500),
            idle_in_transaction: Duration::from_secs(30),
            read: Duration::from_secs(8),
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
    /// Reads waiting for their turn to ask.
    pub reads_waiting: usize,
    /// Access records of reads waiting to be written.
    pub records_waiting: usize,
}

/// Where a statement's text is, and how long it is: as good a name as the text, and sooner looked up.
type At = (usize, usize);

fn at(sql: &'static str) -> At {
    (sql.as_ptr().addr(), sql.len())
}

/// Connections to the database of one region. Cheap to clone.
#[derive(Clone)]
pub struct RegionPool(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) connections: Connections,
    /// What the statements of reads take: the same on every connection, so it is asked for once.
    types: RwLock<HashMap<At, Arc<[Type]>>>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) recorder: Arc<Recorder>,
    /// One, of the log's own: what makes leaves waits for no caller.
    pub(crate) sequencer: Connections,
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
        let first = config.server.connect(APPLICATION, &options).await?;
        let whose = (config.cluster, config.region);
        let examined = tokio::time::timeout(Duration::from_secs(20), async {
            stamp::examine(&first, config.cluster, config.region).await?;
            let index = stamp::examine_keyring(&first, &envelope).await?;
            let settings = first.prepare(lanes::SETTINGS).await;
            let settings = settings.map_err(|e| OpenError::Examine(Error::from_driver(&e, "open")))?;
            Ok((index, Arc::from(settings.params())))
        });
        let examined = examined.await.unwrap_or(Err(OpenError::Examine(Error::Unavailable(Unavailable::Slow))));
        let (index, settings) = examined?;
        let connections = |options: &str, ahead, most| {
            let terms = Terms { server: &config.server, options, whose, wait: config.timeouts.wait, ahead };
            Connections::new(&terms, most)
        };
        let count = (config.connections_max / 8).clamp(1, 8);
        let of_lanes = connections(&format!("{options} {}", lanes::OPTIONS), lanes::AHEAD, count)?;
        let of_recorder = connections(&options, record::AHEAD, 1)?;
        let sequencer = connections(&options, &[], 1)?;
        let connections = connections(&options, tx::AHEAD, config.connections_max)?;
        let limit = config.timeouts.statement + config.timeouts.wait;
        let lanes = Lanes::open(&of_lanes, count, limit);
        let recorder = Recorder::open(of_recorder, limit);
        let types = RwLock::new(HashMap::from([(at(lanes::SETTINGS), settings)]));
        let taken = ids::Taken::default();
        let inner = Inner {
            connections,
            types,
            lanes,
            recorder,
            sequencer,
            config,
            envelope,
            clock,
            entropy,
            index,
            taken,
        };
        Ok(Self(Arc::new(inner)))
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
        let asked = self.ask("ping", stamp::STAMP, &[]).await?;
        let stamp = asked.rows.first().map(|row| Ok::<_, Error>((row.get("cluster")?, row.get("region")?)));
        let stamp = stamp.transpose()?;
        let ours =
            stamp.is_some_and(|stamp| stamp::matches(&stamp, self.0.config.cluster, self.0.config.region));
        if ours { Ok(()) } else { Err(Error::Unavailable(Unavailable::NotServing)) }
    }

    /// How the pool is doing.
    pub fn status(&self) -> PoolStatus {
        let status = self.0.connections.status();
        PoolStatus {
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
            reads_waiting: self.0.lanes.waiting(),
            records_waiting: self.0.recorder.waiting(),
        }
    }

    /// The keyed fingerprint of a request's bytes. Keyed, because an unkeyed hash of a short body can be guessed.
    pub fn fingerprint(&self, request: &[u8]) -> [u8; 32] {
        self.mac("fingerprint", &[request])
    }

    /// What the region's log signs with, or with which it cosigns others': 32 bytes that are the same on every node of the
    /// region and after a restart, from the key that the region's keyring keeps for blind indexes.
    pub fn audit_seed(&self, witness: bool) -> Zeroizing<[u8; 32]> {
        let purpose = if witness { "audit witness key/1" } else { "audit log key/1" };
        Zeroizing::new(self.mac(purpose, &[]))
    }

    /// Lets go of all connections. Transactions in progress end as they would.
    pub fn close(&self) {
        self.0.close();
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

    /// What a statement takes.
    pub(crate) async fn types(&self, act: &'static str, sql: &'static str) -> Result<Arc<[Type]>, Error> {
        let known = self.0.types.read().unwrap_or_else(PoisonError::into_inner).get(&at(sql)).cloned();
        if let Some(types) = known {
            return Ok(types);
        }
        let asked = tokio::time::timeout(self.0.config.timeouts.begin, async {
            let lease = self.0.connections.lease().await?;
            let prepared = lease.client().prepare_cached(sql).await;
            lease.give_back();
            prepared.map_err(|error| Error::from_driver(&error, act))
        });
        let statement = asked.await.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))?;
        let types = Arc::from(statement.params());
        self.0.types.write().unwrap_or_else(PoisonError::into_inner).insert(at(sql), Arc::clone(&types));
        Ok(types)
    }

    /// One statement of this crate's own, about no patient's PHI, outside a [`crate::RegionTx`].
    pub(crate) async fn ask(
        &self,
        act: &'static str,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Answered, Error> {
        let lease = self.0.connections.lease().await?;
        // A statement that may still be running there goes with its connection: the next one must not wait behind it.
        let asked = tokio::time::timeout(self.0.config.timeouts.begin, lease.ask(sql, params)).await;
        let asked = asked.map_err(|_| Error::Unavailable(Unavailable::Slow))?;
        lease.give_back();
        asked.map_err(|error| Error::from_driver(&error, act))
    }
}

impl Inner {
    fn close(&self) {
        self.connections.close();
        self.lanes.close();
        self.recorder.close();
        self.sequencer.close();
    }
}

/// What waits on lanes and for the log ends with the pool.
impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
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
/// enable_seqscan: what a request looks up, and what a foreign key points to, has an index. A plan that was made while
/// a table was small would read all of it, and is kept until the table is analysed: registrations became three times
/// as dear within a minute of a new region's life. jit: what must read a table all the same then seems so dear that
/// Postgres compiles it, which takes far longer than a few rows.
fn options(timeouts: &Timeouts) -> String {
    format!(
        "-c search_path=public -c enable_seqscan=off -c jit=off -c synchronous_commit=on -c timezone=UTC \
         -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        timeouts.statement.as_millis(),
        timeouts.lock.as_millis(),
        timeouts.idle_in_transaction.as_millis()
    )
}

/// What a transaction or a read is in a trace, from its beginning to its end. Nothing, if nobody collects traces.
pub(crate) fn span_of(act: &'static str) -> tracing::Span {
    tracing::info_span!(
        target: "trace",
        "database",
        otel.kind = "client",
        otel.name = %format_args!("database {act}"),
        db.system.name = "postgresql",
    )
}
