//! Disks of a test's own: a small one to be filled, and one whose power can be cut. Both need the right to mount;
//! where that is missing a test says what it did not check, on a stream that no test runner hides.

mod lies;
mod loop_disk;
mod small_disk;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

pub use lies::Lies;
pub use loop_disk::{LoopDisk, ThinDisk, thin, with_power};
pub use small_disk::{SmallDisk, within};

/// Says that something was not checked on this machine, and why. Not through `eprintln!`, which a runner hides.
pub fn not_tested(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED on this machine: {what}\n  because {why}");
}

/// A folder of this process, through which any user may pass.
pub fn folder(name: &str) -> Result<PathBuf> {
    let base = std::env::temp_dir();
    let_go(&base);
    let path = base.join(format!("domicile-it-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    pass_through(&path)?;
    Ok(path)
}

/// What makes every fsync of a program an empty promise, to be put into its environment: the control of a power-cut
/// test. `None` where it is not installed, which is said then.
pub fn empty_promises(test: &str) -> Option<(&'static str, &'static str)> {
    const PRELOAD: (&str, &str) = ("LD_PRELOAD", "libeatmydata.so");
    // The loader goes on without a library that it does not find, and says so.
    let tried = Command::new("true").env(PRELOAD.0, PRELOAD.1).output();
    if tried.is_ok_and(|output| output.status.success() && output.stderr.is_empty()) {
        return Some(PRELOAD);
    }
    not_tested(test, "libeatmydata.so is not installed (package libeatmydata1)");
    None
}

/// Moves a folder onto a disk. A link stays in its place.
pub fn move_onto(disk: &Path, moved: &Path) -> Result<()> {
    let to = disk.join(moved.file_name().context("a folder has a name")?);
    run("cp", &["--archive", text(moved), text(&to)])?;
    // What was on disk where it comes from is so here, too, before anything happens to this disk.
    run("sync", &["--file-system", text(&to)])?;
    std::fs::remove_dir_all(moved)?;
    Ok(std::os::unix::fs::symlink(&to, moved)?)
}

/// Lets any user pass through a folder, which a Postgres that does not run as root needs.
fn pass_through(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))?)
}

/// Unmounts what a killed test run left.
fn let_go(base: &Path) {
    let prefix = format!("{}/domicile-it-", base.display());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for place in places.filter(|place| place.starts_with(&prefix)) {
        let pid: Option<u32> = place[prefix.len()..].split('-').next().and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = run("umount", &["--lazy", place]);
        }
    }
}

/// Runs a program to its end and returns what it printed.
fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {} {}", args.join(" "), output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is needed of a path's text: these are of our own making.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
