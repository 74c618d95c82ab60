//! A small file system in memory, to be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{folder, not_tested, run, text};

/// Tells a test that runs as somebody who may mount where its disk is.
const HERE: &str = "DOMICILE_SMALL_DISK";

/// A file system of a test's own, which it may fill. It is gone when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    root: PathBuf,
    at: PathBuf,
}

/// A small disk for a test of this name, as `module::function` in its binary. It is mounted on `below` in a new folder.
///
/// Who may not mount has the test run again as somebody who may, in a namespace of its own; `None` when that was done,
/// or could not be done and was said. Either way the caller has nothing left to do.
pub fn within(test: &str, name: &str, below: &str, mebibytes: u32) -> Option<SmallDisk> {
    if let Some(root) = std::env::var_os(HERE).map(PathBuf::from) {
        return Some(SmallDisk { at: root.join(below), root });
    }
    let root = folder(name).unwrap_or_else(|error| panic!("a folder: {error:#}"));
    let disk = SmallDisk { at: root.join(below), root };
    std::fs::create_dir_all(&disk.at).unwrap_or_else(|error| panic!("a folder: {error}"));
    match mount(&disk.at, mebibytes) {
        Ok(()) => Some(disk),
        Err(refused) => {
            match elsewhere(test, &disk, mebibytes) {
                Ok(()) => {}
                Err(Elsewhere::Cannot(why)) => not_tested(test, &format!("{refused:#}, and {why:#}")),
                Err(Elsewhere::Failed(said)) => panic!("in a namespace of its own:\n{said}"),
            }
            None
        }
    }
}

enum Elsewhere {
    Cannot(anyhow::Error),
    Failed(String),
}

/// Runs this one test as the root of a new user namespace for mounting, and as oneself again for all else.
fn elsewhere(test: &str, disk: &SmallDisk, mebibytes: u32) -> Result<(), Elsewhere> {
    const SCRIPT: &str = r#"
        at=$1 size=$2 user=$3 group=$4; shift 4
        mount -t tmpfs -o "size=$size,mode=0711" tmpfs "$at" || exit 99
        exec unshare --user --map-user="$user" --map-group="$group" "$@"
    "#;
    let cannot = |error: anyhow::Error| Elsewhere::Cannot(error.context("no namespace of its own can be made"));
    run("unshare", &["--user", "--map-root-user", "--mount", "true"]).map_err(cannot)?;
    let id = |flag| run("id", &[flag]).map(|id| id.trim().to_owned()).map_err(cannot);
    let exe = std::env::current_exe().context("this program").map_err(cannot)?;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
        .args([text(&disk.at), &format!("{mebibytes}m"), &id("-u")?, &id("-g")?])
        .arg(exe)
        .args(["--exact", test, "--nocapture"])
        .env(HERE, &disk.root)
        .output()
        .context("unshare")
        .map_err(cannot)?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(99) {
        return Err(cannot(anyhow::anyhow!("{said}")));
    }
    // A name that is no test's runs nothing, and succeeds.
    if output.status.success() && said.contains("1 passed") { Ok(()) } else { Err(Elsewhere::Failed(said)) }
}

fn mount(at: &Path, mebibytes: u32) -> Result<()> {
    run("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0711"), "tmpfs", text(at)]).map(drop)
}

impl SmallDisk {
    /// Mounts a disk of this size on `below` in a folder.
    pub(crate) fn mount(root: &Path, below: &str, mebibytes: u32) -> Result<Self> {
        let disk = Self { root: root.to_owned(), at: root.join(below) };
        std::fs::create_dir_all(&disk.at)?;
        mount(&disk.at, mebibytes)?;
        Ok(disk)
    }

    /// The folder of its own, in which it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.at.join("filler"))?;
        for block in [1 << 16, 1 << 12, 1] {
            let block = vec![0x5a; block];
            let full = loop {
                if let Err(error) = file.write_all(&block) {
                    break error;
                }
            };
            if full.kind() != std::io::ErrorKind::StorageFull {
                bail!("{} cannot be filled: {full}", self.at.display());
            }
        }
        Ok(())
    }

    /// Gives back what [`Self::fill`] took.
    pub fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.at.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // In a namespace of its own it goes with the last process there.
        let _ = run("umount", &["--lazy", text(&self.at)]);
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
