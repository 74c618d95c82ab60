//! A keyring's inventory: which keys live, and whose they are. The wrapped keys themselves are passed over.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use residency_policy::Category;

use crate::directory::Id;
use crate::postcard::{Misfit, Reader};

const KEYS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("data_keys_1");

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// One patient's, of one category.
    Patient(Id, Category),
    /// The region's own.
    Region,
    /// The blind indexes'.
    Index,
}

/// Every key by its name.
pub type Inventory = HashMap<[u8; 16], Owner>;

/// Reads an embedded keyring.
pub fn embedded(path: &Path) -> Result<Inventory> {
    super::with_copy(path, |database| {
        let mut all = Inventory::new();
        for line in database.begin_read()?.open_table(KEYS)?.iter()? {
            let (name, stored) = line?;
            let name = name.value();
            let owner = owner(stored.value());
            let owner = owner
                .map_err(|misfit| anyhow::anyhow!("key {}, byte {}: {}", text(&name), misfit.at, misfit.why))?;
            all.insert(name, owner);
        }
        Ok(all)
    })
}

fn owner(bytes: &[u8]) -> Result<Owner, Misfit> {
    let mut from = Reader::new(bytes);
    let patient = if from.perhaps()? { Some(from.id()?) } else { None };
    let category = if from.perhaps()? {
        let tag = usize::try_from(from.uint(32)?).unwrap_or(usize::MAX);
        Some(*Category::ALL.get(tag).ok_or_else(|| from.misfit("an unknown category"))?)
    } else {
        None
    };
    match (from.byte()?, patient, category) {
        (1, Some(patient), Some(category)) => Ok(Owner::Patient(patient, category)),
        (2, None, None) => Ok(Owner::Region),
        (3, None, None) => Ok(Owner::Index),
        (kind, ..) => Err(from.misfit(format!("a key of kind {kind} with this owner"))),
    }
}

/// Reads a keyring in another Postgres.
pub async fn in_postgres(client: &tokio_postgres::Client) -> Result<Inventory> {
    let rows = client.query("SELECT id, use, patient, category FROM data_keys", &[]).await;
    let rows = rows.context("the keyring's table cannot be read")?;
    let mut all = Inventory::with_capacity(rows.len());
    for row in &rows {
        let name: [u8; 16] =
            row.try_get::<_, &[u8]>(0)?.try_into().context("a key's name is not of 16 bytes")?;
        let (patient, category): (Option<uuid::Uuid>, Option<&str>) = (row.try_get(2)?, row.try_get(3)?);
        let owner = match (row.try_get::<_, &str>(1)?, patient, category) {
            ("patient-data", Some(patient), Some(category)) => {
                Owner::Patient(patient.into_bytes(), category.parse()?)
            }
            ("region-data", None, None) => Owner::Region,
            ("blind-index", None, None) => Owner::Index,
            _ => anyhow::bail!("key {} has an owner that is none", text(&name)),
        };
        ensure!(all.insert(name, owner).is_none(), "key {} is there twice", text(&name));
    }
    Ok(all)
}

/// A key's name for people.
pub fn text(name: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(name)
}
