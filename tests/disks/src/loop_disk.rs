//! An ext4 file system on a loop device, whose power can be cut, or whose store can run dry beneath it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::small_disk::SmallDisk;
use crate::{folder, not_tested, run, text};

/// A disk that is not in memory. Gone when it is dropped.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    root: PathBuf,
    at: PathBuf,
}

/// A disk for the test of this name; `None` where this user may not have one, which was said then.
pub fn with_power(test: &str, name: &str, mebibytes: u64) -> Option<LoopDisk> {
    let made = folder(name).and_then(|root| LoopDisk::make(&root, &root.join("image"), mebibytes));
    said(test, made)
}

/// A disk that promises more than it has, for the test of this name: when its store is full, writes to it that the
/// kernel took fail later, as they do on a disk that breaks.
pub fn thin(test: &str, name: &str, has: u32, promises: u64) -> Option<ThinDisk> {
    let made = folder(name).and_then(|root| {
        let store = SmallDisk::mount(&root, "store", has)?;
        let disk = LoopDisk::make(&root, &store.path().join("image"), promises)?;
        Ok(ThinDisk { disk, store })
    });
    said(test, made)
}

fn said<T>(test: &str, made: Result<T>) -> Option<T> {
    made.inspect_err(|error| not_tested(test, &format!("it needs root, loop devices and xfs_io: {error:#}")))
        .ok()
}

/// A disk that promises more than it has.
#[derive(Debug)]
pub struct ThinDisk {
    // Dropped first: it lies on the other.
    disk: LoopDisk,
    store: SmallDisk,
}

impl ThinDisk {
    /// The folder of its own, in which it is mounted.
    pub fn root(&self) -> &Path {
        self.store.root()
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.disk.path()
    }

    /// From now on it has no more than was written.
    pub fn run_dry(&self) -> Result<()> {
        self.store.fill()
    }

    /// How many bytes its file system takes for free. What fails while there are some fails on its way to the disk.
    pub fn promised(&self) -> Result<u64> {
        let said = run("df", &["--output=avail", "--block-size=1", text(self.path())])?;
        said.lines().nth(1).context("df says nothing")?.trim().parse().context("df says no number")
    }

    /// Gives it the room that it promised.
    pub fn make_room(&self) -> Result<()> {
        self.store.make_room()
    }

    /// Takes it away, has its file system checked and mounts it again, as an operator would. Nobody may have a file
    /// of it open.
    pub fn mend(&self) -> Result<()> {
        self.disk.unplug()?;
        // 1 says that there were errors and all are mended.
        let check = Command::new("fsck.ext4")
            .args(["-f", "-y", text(&self.disk.image)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("fsck.ext4")?;
        anyhow::ensure!(matches!(check.code(), Some(0 | 1)), "fsck.ext4: {check}");
        self.disk.plug_in()
    }
}

impl LoopDisk {
    /// Makes a disk of this size in an image file and mounts it in a folder.
    fn make(root: &Path, image: &Path, mebibytes: u64) -> Result<Self> {
        let disk = Self { image: image.to_owned(), root: root.to_owned(), at: root.join("disk") };
        run("xfs_io", &["-V"])?;
        File::create(image)?.set_len(mebibytes << 20)?;
        std::fs::create_dir_all(&disk.at)?;
        // An error of the disk makes it read-only, as installers have it.
        run("mkfs.ext4", &["-q", "-m", "0", "-e", "remount-ro", "-F", text(image)])?;
        disk.plug_in()?;
        std::fs::remove_dir(disk.at.join("lost+found")).context("a new file system")?;
        crate::pass_through(&disk.at)?;
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

    /// Makes all that was written so far last.
    pub fn sync(&self) -> Result<()> {
        run("sync", &["--file-system", text(&self.at)]).map(drop)
    }

    /// Cuts the power: what was not synced is lost, and nothing can be read or written until it is plugged in again.
    pub fn cut_power(&self) -> Result<()> {
        // Without -f: the file system's own log is not flushed either.
        run("xfs_io", &["-x", "-c", "shutdown", text(&self.at)]).map(drop)
    }

    /// Takes it away. Nobody may have a file of it open.
    pub fn unplug(&self) -> Result<()> {
        run("umount", &[text(&self.at)]).map(drop)
    }

    /// Mounts it, which replays its log.
    pub fn plug_in(&self) -> Result<()> {
        run("mount", &["-o", "loop", text(&self.image), text(&self.at)]).map(drop)
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", text(&self.at)]);
        let _ = std::fs::remove_file(&self.image);
        let _ = std::fs::remove_dir(&self.at);
        let _ = std::fs::remove_dir(&self.root);
    }
}
