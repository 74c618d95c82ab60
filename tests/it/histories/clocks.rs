//! A clock of its own for each node of a real cluster, by libfaketime: it looks into a file and answers every question
//! for the time of day with what is written there. The monotonic clock stays true, as it does when somebody sets a
//! machine's clock.
//!
//! The supervisor starts each process with `setpriv`, which is looked for on its path. There the cluster finds a script
//! of that name, which gives a node its clock and goes on as the real one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use residency_control::system::SystemClock;
use residency_policy::Clock as _;
use serde_json::Value;
use tests::cluster::{Cluster, Wish, folder};
use tests::faults::wait_until;
use tests::workspace::environment;

/// The clocks of a cluster's nodes.
pub(super) struct Clocks(PathBuf);

impl Clocks {
    /// Starts a cluster whose nodes have clocks of their own, which are right at first.
    pub(super) fn start(wish: &Wish, regions: &[&str]) -> Result<(Self, Cluster)> {
        let (library, setpriv) = (library()?, real_setpriv()?);
        let folder = folder(wish.name)?;
        let (clocks, bin) = (Self(folder.join("clocks")), folder.join("bin"));
        for dir in [&clocks.0, &bin] {
            std::fs::create_dir_all(dir)?;
            open_to(dir, 0o755)?;
        }
        for region in regions {
            clocks.write(region, 0)?;
        }
        let script = format!(
            "#!/bin/sh\n\
             for argument; do\n\
             case $argument in */regions/*/node.toml)\n\
             region=${{argument%/node.toml}}\n\
             export LD_PRELOAD='{}' FAKETIME_TIMESTAMP_FILE='{}'/${{region##*/}}\n\
             export FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_CACHE_DURATION=1 ;;\n\
             esac\n\
             done\n\
             exec '{}' \"$@\"\n",
            library.display(),
            clocks.0.display(),
            setpriv.display(),
        );
        std::fs::write(bin.join("setpriv"), script)?;
        open_to(&bin.join("setpriv"), 0o755)?;
        let path = format!("{}:{}", bin.display(), environment("PATH").unwrap_or_default());
        let cluster = Cluster::start_under(&folder, wish, Some(("PATH", &path)))?;
        Ok((clocks, cluster))
    }

    /// Steps a node's clock to so many seconds from the right time, and waits until the node shows that one: a step that
    /// did not happen would prove nothing.
    pub(super) async fn step(&self, cluster: &Cluster, region: &str, by: i64) {
        self.write(region, by).expect("a file");
        let node = cluster.nobody().at(&cluster.region(region).url);
        // Its log tells, and not the date of an answer: that stands still where a clock goes back.
        let log = &cluster.region(region).log;
        let shows = async || {
            node.get("/healthz").await.ok()?;
            let lines = std::fs::read_to_string(log).ok()?;
            let line: Value = serde_json::from_str(lines.lines().last()?).ok()?;
            let shown: Timestamp = line["ts"].as_str()?.parse().ok()?;
            let meant = SystemClock.now().checked_add(by.seconds()).ok()?;
            (shown.duration_since(meant).abs() < SignedDuration::from_secs(60)).then_some(())
        };
        wait_until("a node's clock to be stepped", shows).await.expect("it is stepped");
    }

    fn write(&self, region: &str, by: i64) -> Result<()> {
        let (file, beside) = (self.0.join(region), self.0.join(format!("{region}.new")));
        std::fs::write(&beside, format!("{by:+}\n"))?;
        open_to(&beside, 0o644)?;
        Ok(std::fs::rename(beside, file)?)
    }
}

/// A node may run as another user than this test.
fn open_to(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

fn library() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = folders.chain(["/usr/lib64".into(), "/usr/local/lib".into()]);
    let found = places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file());
    found.context("libfaketime is not installed: `./dev test` installs it, or `apt-get install libfaketime`")
}

fn real_setpriv() -> Result<PathBuf> {
    let path = environment("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("setpriv")).find(|file| file.is_file());
    let found = found.context("setpriv of util-linux is not installed")?;
    ensure!(found.is_absolute(), "{} is not absolute", found.display());
    Ok(found)
}
