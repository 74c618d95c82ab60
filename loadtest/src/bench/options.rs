//! What a benchmark is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use tempfile::TempDir;

use super::class::Class;
use super::series::Plan;

/// What is asked for on the command line.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// Which benchmarks; all of them when none is named.
    pub what: Vec<String>,
    /// Says what there is, and measures nothing.
    #[arg(long)]
    pub list: bool,
    /// How often subject and peer take turns.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How long each turn is, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    pub turn_ms: u64,
    /// How long both rest after each turn, in milliseconds.
    #[arg(long, default_value_t = 500)]
    pub pause_ms: u64,
    /// Leaves everything in the ordinary scheduling class, also where the real-time class is allowed.
    #[arg(long)]
    pub ordinary: bool,
    /// Small sizes and short turns: shows that a benchmark runs. Its figures say nothing.
    #[arg(long)]
    pub short: bool,
    /// A running cluster's home folder, for benchmarks that measure one. Without it they start one of their own.
    #[arg(long, env = "DOMICILE_BENCH_HOME")]
    pub home: Option<PathBuf>,
    /// Only contenders whose names contain this, such as for a profile of one of them.
    #[arg(long)]
    pub only: Option<String>,
    /// Writes the report here as well.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What a benchmark is told.
#[derive(Debug)]
pub struct Options {
    /// How turns are taken.
    pub plan: Plan,
    /// The scheduling class of everything that is measured, and of what loads it.
    pub class: Class,
    /// Whether only to show that the benchmark runs.
    pub short: bool,
    /// A running cluster's home folder.
    pub home: Option<PathBuf>,
    programs: PathBuf,
    work: TempDir,
}

impl Options {
    /// What was asked for, with a folder to work in that goes when the benchmarks end.
    pub fn new(ask: &Ask) -> anyhow::Result<Self> {
        ensure!(
            ask.rounds > 0 && ask.turn_ms > 0,
            "a series has at least one round of at least one millisecond"
        );
        let own = std::env::current_exe().context("where this program stands")?;
        let programs = own.parent().context("the folder of this program")?.to_owned();
        let work =
            tempfile::Builder::new().prefix("domicile-bench-").tempdir().context("a folder to work in")?;
        let only = ask.only.clone();
        let plan = if ask.short {
            Plan { rounds: 2, turn: Duration::from_millis(200), pause: Duration::from_millis(20), only }
        } else {
            Plan {
                rounds: ask.rounds,
                turn: Duration::from_millis(ask.turn_ms),
                pause: Duration::from_millis(ask.pause_ms),
                only,
            }
        };
        let class = if ask.ordinary { Class::Ordinary } else { Class::best() };
        Ok(Self { plan, class, short: ask.short, home: ask.home.clone(), programs, work })
    }

    /// A new folder of this name to work in. Peers that do not run as root may enter it.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        std::fs::set_permissions(self.work.path(), std::fs::Permissions::from_mode(0o755))?;
        let path = self.work.path().join(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&path)?;
        Ok(path)
    }

    /// One of our own programs, from the same build as this one.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        ensure!(path.is_file(), "{} is not built: run ./dev bench, which builds it", path.display());
        Ok(path)
    }

    /// The size for a real run, or the small one.
    pub fn size<T>(&self, real: T, small: T) -> T {
        if self.short { small } else { real }
    }

    /// The folder that everything of these benchmarks lies in.
    pub fn work(&self) -> &Path {
        self.work.path()
    }
}
