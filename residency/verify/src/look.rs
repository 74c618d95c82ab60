//! One look at every store, the regions side by side.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use residency_policy::Jurisdiction;

use crate::directory::Id;
use crate::inventory::{Inventory, Region};
use crate::readers::control::{self, Control};
use crate::readers::database::{self, EPOCHS, SEALED, TABLES};
use crate::readers::keyring;

/// The key, whose cell, and of which category: with one row that has it.
pub type Sealed = HashMap<([u8; 16], Option<Id>, String), String>;

/// What a region's Postgres holds.
#[derive(Debug, Default)]
pub struct Held {
    /// Cluster and region.
    pub stamp: (String, String),
    /// Every patient of the fence: epoch, and whether active.
    pub fence: BTreeMap<Id, (i64, bool)>,
    /// Whose rows are in which table.
    pub rows: Vec<(&'static str, Vec<Id>)>,
    /// Which keys sealed what.
    pub sealed: Sealed,
    /// How many cells that is.
    pub cells: u64,
    /// Cells whose header is none.
    pub headless: Vec<String>,
    /// What [`EPOCHS`] found.
    pub epochs: Vec<String>,
    /// The catalogue.
    pub schema: Vec<String>,
    /// The guards.
    pub guards: Vec<String>,
    /// The ways out.
    pub copies_out: Vec<String>,
    /// Where the write-ahead log goes.
    pub archiving: Vec<String>,
    /// What could reach the log.
    pub loud: Vec<String>,
    /// What the auditor's role may not see.
    pub unseen: Vec<String>,
}

/// What was seen of one region.
#[derive(Debug)]
pub struct Seen {
    /// Which.
    pub place: Jurisdiction,
    /// What the operator says of archiving.
    pub archive: Option<String>,
    /// Its database, or why not.
    pub held: Result<Held, String>,
    /// Its keyring, or why not.
    pub keys: Result<keyring::Inventory, String>,
    /// Its member of the control plane, or why not.
    pub control: Result<Control, String>,
}

/// Looks at all of it.
pub async fn look(inventory: &Inventory) -> Vec<Seen> {
    let bar = ProgressBar::new(inventory.regions.len() as u64 * 3);
    if let Ok(style) = ProgressStyle::with_template("looking [{bar:30}] {pos}/{len} stores") {
        bar.set_style(style.progress_chars("=> "));
    }
    // Postgres first, then the keyrings, then the logs: a key is there before what it seals, and an id is claimed before
    // both, so that nobody who works meanwhile looks like a violation.
    let held = futures::future::join_all(inventory.regions.iter().map(|one| ticked(&bar, hold(one)))).await;
    let keys = futures::future::join_all(inventory.regions.iter().map(|one| ticked(&bar, keys(one)))).await;
    let controls =
        futures::future::join_all(inventory.regions.iter().map(|one| ticked(&bar, member(one)))).await;
    bar.finish_and_clear();
    let words = |error: anyhow::Error| format!("{error:#}");
    let stores = held.into_iter().zip(keys).zip(controls);
    let all = inventory.regions.iter().zip(stores).map(|(one, ((held, keys), control))| Seen {
        place: one.jurisdiction,
        archive: one.archive.clone(),
        held: held.map_err(words),
        keys: keys.map_err(words),
        control: control.map_err(words),
    });
    all.collect()
}

async fn ticked<T>(bar: &ProgressBar, looking: impl Future<Output = T>) -> T {
    let seen = looking.await;
    bar.inc(1);
    seen
}

/// Files are read on a thread of their own. Should reading panic over a damaged one, that is a verdict and no end.
async fn apart<T: Send + 'static>(path: PathBuf, read: fn(&std::path::Path) -> Result<T>) -> Result<T> {
    let place = path.display().to_string();
    tokio::task::spawn_blocking(move || read(&path)).await.map_err(|_| anyhow!("{place} is damaged"))?
}

async fn member(region: &Region) -> Result<Control> {
    let folder = region.control_dir.clone().ok_or_else(|| anyhow!("the inventory names no control_dir"))?;
    apart(folder, control::read).await
}

async fn keys(region: &Region) -> Result<keyring::Inventory> {
    match (&region.keyring_file, &region.keyring) {
        (Some(file), _) => apart(file.clone(), keyring::embedded).await,
        (None, Some(server)) => keyring::in_postgres(&database::connect(server).await?).await,
        (None, None) => Err(anyhow!("the inventory names no keyring")),
    }
}

async fn hold(region: &Region) -> Result<Held> {
    let client = database::connect(&region.postgres).await?;
    let unseen = database::lines(&client, include_str!("sql/unseen.sql")).await?;
    let mut held = Held {
        stamp: database::stamp(&client).await?,
        fence: database::fence(&client).await?,
        epochs: database::lines(&client, EPOCHS).await?,
        schema: database::lines(&client, include_str!("sql/schema.sql")).await?,
        guards: database::lines(&client, include_str!("sql/guards.sql")).await?,
        copies_out: database::lines(&client, include_str!("sql/copies_out.sql")).await?,
        archiving: database::lines(&client, include_str!("sql/archiving.sql")).await?,
        loud: database::lines(&client, include_str!("sql/quiet_logs.sql")).await?,
        unseen,
        ..Held::default()
    };
    for table in TABLES.into_iter().chain([("id_pool", "patient_id"), ("access_log", "patient_id")]) {
        held.rows.push((table.0, database::patients_in(&client, table).await?));
    }
    for column in SEALED {
        let place = format!("{}.{}", column.0.split(' ').next().unwrap_or_default(), column.1);
        let (sealed, headless) = (&mut held.sealed, &mut held.headless);
        held.cells += database::headers(&client, column, |header| {
            let row = || format!("{place} of row {}", uuid::Uuid::from_bytes(header.row));
            // A layout byte, the key's name, a nonce, whole blocks of 32 bytes, and a tag.
            let fits =
                header.named.first() == Some(&1) && header.length >= 77 && (header.length - 45) % 32 == 0;
            match header.named.get(1..).and_then(|name| <[u8; 16]>::try_from(name).ok()) {
                Some(name) if fits => {
                    let cell = (name, header.patient, header.category.clone());
                    sealed.entry(cell).or_insert_with(row);
                }
                _ => headless.push(row()),
            }
        })
        .await?;
    }
    Ok(held)
}
