//! Sealed cells: AES-256-GCM under a data key of (patient, category), bound to the cell.
//!
//! ```text
//! 1 byte   layout, 1
//! 16 bytes name of the data key
//! 12 bytes nonce
//! n bytes  ciphertext of the JSON, padded with spaces to a multiple of 32, and the 16-byte tag
//! ```
//!
//! The associated data is the header before the nonce, region, patient, category, table, row and column. A ciphertext
//! that is moved to another cell, patient or region does not open. Padding, because the length of a short text (a sex,
//! a state) tells what it is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use residency_policy::{Category, PatientId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use storage_keys::cipher::{self, NonceBytes, TAG_LEN};
use storage_keys::{DataKeyId, Envelope, EnvelopeError, KeyOwner, OpenKey};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Error, Phi, Reading, RegionPool, RegionTx};

const LAYOUT: u8 = 1;
const NAMED_LEN: usize = 1 + 16;
const HEADER_LEN: usize = NAMED_LEN + 12;
const PADDED_TO: usize = 32;

/// One cell of the database: what a ciphertext is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
    /// The category of what is in it, which chooses the data key.
    pub category: Category,
}

impl Cell {
    /// A cell of the general category.
    pub const fn general(table: &'static str, row: Uuid, column: &'static str) -> Self {
        Self { table, row, column, category: Category::General }
    }

    /// A cell of any category.
    pub const fn of(table: &'static str, row: Uuid, column: &'static str, category: Category) -> Self {
        Self { table, row, column, category }
    }
}

/// The bytes of a sealed cell, as they rest in Postgres.
#[derive(Clone)]
pub struct Sealed(pub(crate) Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl ToSql for Sealed {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.as_slice().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

impl FromSql<'_> for Sealed {
    fn from_sql(ty: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        <&[u8]>::from_sql(ty, raw).map(|bytes| Self(bytes.to_vec()))
    }

    fn accepts(ty: &Type) -> bool {
        <&[u8] as FromSql>::accepts(ty)
    }
}

impl RegionTx {
    /// Seals a value for one cell, under the key of this transaction's patient (or the region's, if it has none).
    pub async fn seal<T: Serialize>(&self, cell: Cell, value: &Phi<T>) -> Result<Sealed, Error> {
        seal(&self.pool, &self.last_keys, self.patient(), cell, value).await
    }

    /// Opens a sealed cell of a patient. A transaction on a patient opens that patient's cells only.
    pub async fn unseal<T: DeserializeOwned>(
        &self,
        cell: Cell,
        patient: PatientId,
        sealed: &Sealed,
    ) -> Result<Phi<T>, Error> {
        unseal_of(self, cell, patient, sealed).await
    }
}

/// Opens a sealed cell of a patient, if it is the one whom the transaction is about.
pub(crate) async fn unseal_of<T: DeserializeOwned>(
    tx: &impl Reading,
    cell: Cell,
    patient: PatientId,
    sealed: &Sealed,
) -> Result<Phi<T>, Error> {
    if tx.patient().is_some_and(|own| own != patient) {
        return Err(Error::NotPermitted("a cell of another patient than the permit's"));
    }
    unseal(tx.pool(), tx.last_keys(), Some(patient), cell, sealed).await
}

/// The data keys that a transaction or a read used last. The cells of one row are sealed under one key, and to look for it
/// in the caches for each of them costs more than to open it.
#[derive(Default)]
pub struct LastKeys {
    opening: Mutex<Option<Last>>,
    sealing: Mutex<Option<Last>>,
}

struct Last {
    key: Arc<OpenKey>,
    /// As of [`Envelope::destructions`]: a key that may have been destroyed since is looked for again.
    as_of: u64,
}

impl LastKeys {
    async fn opening(&self, from: &Envelope, id: DataKeyId, owner: KeyOwner) -> Found {
        let as_of = from.destructions();
        if let Some(key) = known(&self.opening, as_of, |key| key.id == id && key.owner == owner) {
            return Ok(key);
        }
        // In a box: what looks for a key is large, and would be moved about with every cell.
        let key = Box::pin(from.opening_key(id, owner)).await?;
        keep(&self.opening, as_of, &key);
        Ok(key)
    }

    async fn sealing(&self, from: &Envelope, owner: KeyOwner) -> Found {
        let as_of = from.destructions();
        if let Some(key) = known(&self.sealing, as_of, |key| key.owner == owner) {
            return Ok(key);
        }
        let key = Box::pin(from.sealing_key(owner)).await?;
        keep(&self.sealing, as_of, &key);
        Ok(key)
    }
}

type Found = Result<Arc<OpenKey>, Arc<EnvelopeError>>;

fn known(last: &Mutex<Option<Last>>, as_of: u64, same: impl Fn(&OpenKey) -> bool) -> Option<Arc<OpenKey>> {
    let last = last.lock().unwrap_or_else(PoisonError::into_inner);
    last.as_ref().filter(|last| last.as_of == as_of && same(&last.key)).map(|last| Arc::clone(&last.key))
}

fn keep(last: &Mutex<Option<Last>>, as_of: u64, key: &Arc<OpenKey>) {
    let key = Arc::clone(key);
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Last { key, as_of });
}

impl RegionPool {
    /// Makes the key under which a patient's first cells will be sealed, so that no transaction waits for it.
    pub async fn make_key_ready(&self, patient: PatientId) -> Result<(), Error> {
        let owner = KeyOwner::Patient(patient, Category::General);
        self.0.envelope.sealing_key(owner).await.map(drop).map_err(Error::from_envelope)
    }
}

pub(crate) async fn seal<T: Serialize>(
    pool: &RegionPool,
    last: &LastKeys,
    patient: Option<PatientId>,
    cell: Cell,
    value: &Phi<T>,
) -> Result<Sealed, Error> {
    let key = last.sealing(&pool.0.envelope, owner(patient, cell)).await.map_err(Error::from_envelope)?;
    let mut nonce: NonceBytes = [0; 12];
    pool.0.entropy.fill(&mut nonce);
    let plain = padded(value.inside()).ok_or(does_not_open(cell))?;
    let mut header = Vec::with_capacity(HEADER_LEN + plain.len() + TAG_LEN);
    header.push(LAYOUT);
    header.extend_from_slice(&key.id.0);
    let bound_to = bound_to(pool, patient, cell, &header);
    header.extend_from_slice(&nonce);
    Ok(Sealed(cipher::seal(&key.key, nonce, &bound_to, plain, header)))
}

pub(crate) async fn unseal<T: DeserializeOwned>(
    pool: &RegionPool,
    last: &LastKeys,
    patient: Option<PatientId>,
    cell: Cell,
    sealed: &Sealed,
) -> Result<Phi<T>, Error> {
    let refused = || does_not_open(cell);
    let (named, rest) = sealed.0.split_at_checked(NAMED_LEN).ok_or_else(refused)?;
    let (nonce, body) = rest.split_at_checked(12).ok_or_else(refused)?;
    let (layout, id) = named.split_at(1);
    if layout != [LAYOUT] {
        return Err(refused());
    }
    let id = DataKeyId(id.try_into().map_err(|_| refused())?);
    let nonce: NonceBytes = nonce.try_into().map_err(|_| refused())?;
    let key = match last.opening(&pool.0.envelope, id, owner(patient, cell)).await {
        Ok(key) => key,
        Err(error) => {
            return Err(match &*error {
                // Another patient's or category's key: said like any other cell that does not open.
                EnvelopeError::NotTheirs(_) => refused(),
                _ => Error::from_envelope(error),
            });
        }
    };
    let plain =
        cipher::open(&key.key, nonce, &bound_to(pool, patient, cell, named), body).map_err(|_| refused())?;
    // serde's message may quote the value, so it is dropped.
    serde_json::from_slice(&plain).map(Phi::new).map_err(|_| refused())
}

fn owner(patient: Option<PatientId>, cell: Cell) -> KeyOwner {
    patient.map_or(KeyOwner::Region, |patient| KeyOwner::Patient(patient, cell.category))
}

fn does_not_open(cell: Cell) -> Error {
    Error::DoesNotOpen { table: cell.table, column: cell.column, row: cell.row }
}

/// JSON takes spaces at its end, so padding needs no length of its own.
fn padded<T: Serialize>(value: &T) -> Option<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(8 * PADDED_TO));
    serde_json::to_writer(&mut *plain, value).ok()?;
    let length = plain.len().next_multiple_of(PADDED_TO);
    plain.resize(length, b' ');
    Some(plain)
}

/// Every part is preceded by its length, so that no two cells have the same bytes.
fn bound_to(pool: &RegionPool, patient: Option<PatientId>, cell: Cell, named: &[u8]) -> Vec<u8> {
    let patient = patient.map(PatientId::to_bytes);
    let parts: [&[u8]; 9] = [
        b"domicile/cell/1",
        named,
        pool.0.config.cluster.as_str().as_bytes(),
        pool.region().0.code().as_bytes(),
        patient.as_ref().map_or(&[], |patient| patient.as_slice()),
        cell.category.name().as_bytes(),
        cell.table.as_bytes(),
        cell.row.as_bytes(),
        cell.column.as_bytes(),
    ];
    let mut bytes = Vec::with_capacity(256);
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
