//! What can go wrong, without a value in it.
//!
//! Postgres puts values into the DETAIL of its errors, and the driver prints it. So a driver's error never leaves
//! this crate: it is reduced to its SQLSTATE and the name of a constraint.

use std::fmt;
use std::sync::Arc;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use residency_policy::{Epoch, Label, PatientId, Region};
use storage_keys::connect::ConnectError;
use storage_keys::{DataKeyId, EnvelopeError};
use tokio_postgres::error::SqlState;

/// Why a transaction did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database or the keys cannot be asked now. Trying later may help; nothing was changed.
    #[error("unavailable: {0}")]
    Unavailable(Unavailable),
    /// The connection was lost while committing: it is unknown whether the change was made. An idempotency key makes
    /// trying again safe.
    #[error("the connection was lost while committing")]
    CommitUncertain,
    /// The patient's home is no longer here at the permit's epoch.
    #[error("the permit is of epoch {permit}, the home row says otherwise")]
    Fenced {
        /// Whose home.
        patient: PatientId,
        /// The permit's epoch.
        permit: Epoch,
        /// The epoch in the home row, if there is one and it is active.
        home: Option<Epoch>,
    },
    /// What the home knows of the patient's consent does not let it be done. It is recorded.
    #[error("the policies refuse it: {reason}")]
    NotAllowed {
        /// Why, as a stable word for programs.
        reason: &'static str,
    },
    /// The permit is for another region than this pool's.
    #[error("the permit is for {permit}, this pool is {pool}")]
    OtherRegion {
        /// The permit's region.
        permit: Region,
        /// The pool's region.
        pool: Region,
    },
    /// The transaction would change something under a permit to read, or for another patient than its permit's.
    #[error("the permit does not cover this: {0}")]
    NotPermitted(&'static str),
    /// Two transactions wanted the same thing; this one gave way and may be repeated.
    #[error("the transaction gave way to another")]
    GaveWay,
    /// Something with this identity exists.
    #[error("a row with this identity exists ({constraint})")]
    Exists {
        /// The constraint's name.
        constraint: String,
    },
    /// A constraint of the schema, or row-level security, refused it.
    #[error("the schema refused the change ({constraint})")]
    Constraint {
        /// The constraint's name, or what refused.
        constraint: String,
    },
    /// A sealed cell does not open: wrong key, wrong cell, wrong patient, or altered.
    #[error("a cell of {table}.{column} does not open")]
    DoesNotOpen {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        row: uuid::Uuid,
    },
    /// The data key of a sealed cell was destroyed.
    #[error("the data key {0} is not in the keyring")]
    KeyDestroyed(DataKeyId),
    /// The key services did not do it.
    #[error("no data key")]
    Keys(#[source] Arc<EnvelopeError>),
    /// A row does not have what the program expects.
    #[error("a row cannot be read: column {column}")]
    Row {
        /// The column.
        column: &'static str,
    },
    /// A query for one row found none or several.
    #[error("expected one row")]
    NotOneRow,
    /// A transaction that discloses or changes PHI must say so.
    #[error("a commit without an access record")]
    NoAccessRecorded,
    /// A program error: Postgres refused a statement.
    #[error("Postgres refused a statement of {act} with SQLSTATE {code}")]
    Sql {
        /// The transaction's name.
        act: &'static str,
        /// The SQLSTATE.
        code: String,
    },
}

/// Why the database cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// No connection could be made.
    Connect,
    /// All connections are taken.
    Busy,
    /// The database did not answer in time.
    Slow,
    /// The connection was lost.
    Lost,
    /// The disk is full, or the server is out of another resource.
    Full,
    /// The server is starting, stopping or read-only.
    NotServing,
    /// The KMS or the keyring cannot be reached.
    Keys,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection to the database can be made",
            Self::Busy => "all connections to the database are taken",
            Self::Slow => "the database did not answer in time",
            Self::Lost => "the connection to the database was lost",
            Self::Full => "the database has no room left",
            Self::NotServing => "the database is starting, stopping or read-only",
            Self::Keys => "the KMS or the keyring cannot be reached",
        })
    }
}

/// Whether an act may simply be repeated.
pub trait Retriable {
    /// True when the transaction gave way to another one.
    fn is_retriable(&self) -> bool;
}

impl Retriable for Error {
    fn is_retriable(&self) -> bool {
        matches!(self, Self::GaveWay)
    }
}

impl Error {
    /// Reduces a driver's error to what may be told.
    pub(crate) fn from_driver(error: &tokio_postgres::Error, act: &'static str) -> Self {
        let Some(db) = error.as_db_error() else {
            let io =
                std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            return if error.is_closed() || io {
                Self::Unavailable(Unavailable::Lost)
            } else {
                Self::misused(act)
            };
        };
        Self::of_code(db.code(), db.constraint(), act)
    }

    /// A parameter of another type than the statement's. Nothing was sent.
    pub(crate) fn misused(act: &'static str) -> Self {
        Self::Sql { act, code: "driver".into() }
    }

    /// Why no connection was lent.
    pub(crate) fn from_pool(error: &PoolError) -> Self {
        Self::Unavailable(match error {
            PoolError::Timeout(TimeoutType::Wait) => Unavailable::Busy,
            PoolError::Timeout(_) => Unavailable::Slow,
            PoolError::Closed => Unavailable::NotServing,
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                match Self::from_driver(error, "connect") {
                    Self::Unavailable(why) => why,
                    _ => Unavailable::Connect,
                }
            }
            _ => Unavailable::Connect,
        })
    }

    fn of_code(code: &SqlState, constraint: Option<&str>, act: &'static str) -> Self {
        let constraint = || constraint.unwrap_or("unnamed").to_owned();
        match *code {
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Self::GaveWay,
            SqlState::UNIQUE_VIOLATION => Self::Exists { constraint: constraint() },
            SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::Constraint { constraint: "row-level security or a missing grant".into() }
            }
            SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE => Self::Unavailable(Unavailable::Slow),
            SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW => Self::Unavailable(Unavailable::NotServing),
            SqlState::TOO_MANY_CONNECTIONS => Self::Unavailable(Unavailable::Busy),
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::Unavailable(Unavailable::Lost),
            ref code => match code.code().get(..2) {
                Some("23") => Self::Constraint { constraint: constraint() },
                Some("53" | "58") => Self::Unavailable(Unavailable::Full),
                Some("08") => Self::Unavailable(Unavailable::Lost),
                _ => Self::Sql { act, code: code.code().to_owned() },
            },
        }
    }

    pub(crate) fn from_envelope(error: Arc<EnvelopeError>) -> Self {
        use storage_keys::{KeyringError, KmsError};
        match &*error {
            EnvelopeError::NoSuchKey(id) => Self::KeyDestroyed(*id),
            EnvelopeError::Kms(KmsError::Unreachable { .. })
            | EnvelopeError::Keyring(KeyringError::Unavailable { .. }) => Self::Unavailable(Unavailable::Keys),
            _ => Self::Keys(error),
        }
    }
}

/// Why a pool was not opened: what is wrong, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The settings of the pool cannot be used.
    #[error("the settings of the pool cannot be used: {0}")]
    Settings(String),
    /// The schema was never made.
    #[error("the database has no schema yet: run `domicile migrate`")]
    NotMigrated,
    /// The schema is older than this program's.
    #[error("the schema is at version {found}, this program needs {needed}: run `domicile migrate`")]
    SchemaTooOld {
        /// The database's version.
        found: i64,
        /// This program's version.
        needed: i64,
    },
    /// The schema is newer than this program's.
    #[error("the schema is at version {found}, this program knows only {known}: use a newer program")]
    SchemaTooNew {
        /// The database's version.
        found: i64,
        /// This program's version.
        known: i64,
    },
    /// It is another region's database.
    #[error(
        "the database is stamped {found_cluster}/{found_region}, this node is {cluster}/{region}: \
             connect to this region's own database"
    )]
    WrongStamp {
        /// The stamp's cluster.
        found_cluster: String,
        /// The stamp's region.
        found_region: String,
        /// This node's cluster.
        cluster: Label,
        /// This node's region.
        region: Region,
    },
    /// The keys are another region's.
    #[error("the keys are of {keys}, this node is {region}")]
    WrongKeys {
        /// The envelope's region.
        keys: Region,
        /// This node's region.
        region: Region,
    },
    /// The database was written with another keyring.
    #[error(
        "the database was written with another keyring than {keyring}: what is sealed would not open. \
             Name the keyring that it was written with, or restore it"
    )]
    WrongKeyring {
        /// Where the keyring is.
        keyring: String,
    },
    /// The keyring is in the server that holds the PHI.
    #[error(
        "the keyring {keyring} is in the Postgres server that holds the PHI: backups of it would hold both. \
             Use another server"
    )]
    KeyringOnSameServer {
        /// Where the keyring is.
        keyring: String,
    },
    /// The role could see more than row-level security allows.
    #[error("the role {role} {why}: connect as domicile_app")]
    RoleTooPowerful {
        /// The role.
        role: String,
        /// What it may.
        why: &'static str,
    },
    /// The server would write values into its log.
    #[error("the server may write PHI into its log: set {setting} = {wanted} for this role (it is {found})")]
    LeakyLog {
        /// The setting.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The key services did not do it.
    #[error("the keys cannot be used: {0}")]
    Keys(Arc<EnvelopeError>),
    /// The database did not answer the questions that are asked first.
    #[error("the database cannot be examined: {0}")]
    Examine(Error),
}

impl OpenError {
    /// Whether trying again later may help without anyone changing a setting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_pass(),
            Self::Examine(Error::Unavailable(_)) => true,
            Self::Keys(error) => matches!(Error::from_envelope(Arc::clone(error)), Error::Unavailable(_)),
            _ => false,
        }
    }
}
