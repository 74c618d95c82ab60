//! One member's copy of the control plane: its log and its snapshot.

use std::path::Path;

use anyhow::Result;
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};

use crate::directory::Directory;
use crate::postcard::Reader;
use crate::shapes::META;
use crate::snapshot;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const BESIDE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// What was read.
#[derive(Debug, Default)]
pub struct Control {
    /// Who lives where, at `applied`.
    pub directory: Directory,
    /// The last entry that is in the directory.
    pub applied: u64,
    /// How many entries of the log, and how many commands in them.
    pub entries: (u64, u64),
    /// Whatever does not have its shape, with the byte.
    pub misfits: Vec<String>,
    /// Why the directory is not whole, if it is not.
    pub gap: Option<String>,
}

struct Log {
    entries: Vec<(u64, Vec<u8>)>,
    beside: Vec<(String, Vec<u8>)>,
    tables: Vec<String>,
}

/// Reads a member's folder.
pub fn read(folder: &Path) -> Result<Control> {
    // The log first: what is purged from it meanwhile is in the snapshot by then.
    let log = super::with_copy(&folder.join("log.redb"), |database| {
        let read = database.begin_read()?;
        let tables = read.list_tables()?.map(|table| table.name().to_owned()).collect();
        let mut log = Log { entries: Vec::new(), beside: Vec::new(), tables };
        for line in read.open_table(LOG)?.iter()? {
            let (at, bytes) = line?;
            log.entries.push((at.value(), bytes.value().to_vec()));
        }
        for line in read.open_table(BESIDE)?.iter()? {
            let (name, bytes) = line?;
            log.beside.push((name.value().to_owned(), bytes.value().to_vec()));
        }
        Ok(log)
    })?;
    let mut control = Control::default();
    let mut snapshot_at = None;
    match std::fs::read(folder.join("snapshot")) {
        Ok(bytes) => match snapshot::snapshot(&bytes, &mut control.directory) {
            Ok(last) => snapshot_at = last,
            Err(misfit) => {
                control.misfits.push(format!("snapshot, byte {}: {}", misfit.at, misfit.why));
                control.gap = Some("the snapshot cannot be read".into());
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => control.gap = Some(format!("the snapshot cannot be read: {error}")),
    }
    control.applied = snapshot_at.unwrap_or(0);
    beside(&log, &mut control);
    entries(&log, snapshot_at, &mut control);
    Ok(control)
}

fn beside(log: &Log, control: &mut Control) {
    for table in log.tables.iter().filter(|table| *table != "log" && *table != "meta") {
        control.misfits.push(format!("the unknown table {} in the log's file", plain(table)));
    }
    for (name, bytes) in &log.beside {
        let Some((_, shape)) = META.iter().find(|(known, _)| known == name) else {
            control.misfits.push(format!("the unknown value {} beside the log", plain(name)));
            continue;
        };
        let mut from = Reader::new(bytes);
        if let Err(misfit) = from.pass(shape).and_then(|()| from.end()) {
            control.misfits.push(format!("{name} beside the log, byte {}: {}", misfit.at, misfit.why));
        }
    }
}

/// A name that nobody knows may be anything: only what looks like a name is repeated.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).take(40).collect()
}

fn committed(log: &Log) -> Option<u64> {
    let (_, bytes) = log.beside.iter().find(|(name, _)| name == "committed")?;
    let mut from = Reader::new(bytes);
    if !from.perhaps().ok()? {
        return None;
    }
    from.uint(64).ok()?;
    from.uint(64).ok()?;
    from.uint(64).ok()
}

fn entries(log: &Log, snapshot_at: Option<u64>, control: &mut Control) {
    let committed = committed(log).unwrap_or(0);
    let mut next = snapshot_at.map(|at| at + 1);
    for (at, bytes) in &log.entries {
        let fresh = snapshot_at.is_none_or(|last| *at > last);
        if fresh && control.gap.is_none() && next.unwrap_or(0) != *at {
            control.gap = Some(format!("entries before {at} are neither in the log nor in the snapshot"));
        }
        if fresh {
            next = Some(at + 1);
        }
        let applies = fresh && *at <= committed;
        match snapshot::entry(bytes, applies, &mut control.directory) {
            Ok(commands) => {
                control.entries = (control.entries.0 + 1, control.entries.1 + commands);
                if applies {
                    control.applied = *at;
                }
            }
            Err(misfit) => {
                control.misfits.push(format!("log entry {at}, byte {}: {}", misfit.at, misfit.why));
                control.gap = Some(format!("the log's entry {at} cannot be read"));
            }
        }
    }
}
