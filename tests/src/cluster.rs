//! A whole cluster in real processes, started by the same command that people type.
//!
//! It runs in the foreground under a small shell that asks the kernel for a signal when the thread that started it
//! is gone, which is when this test process ends, in whatever way. The shell passes the signal on, waits until
//! nothing runs, and removes the folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::sync::Mutex as Turn;
pub use tokio::sync::MutexGuard as TurnGuard;

use crate::client::Client;
use crate::faults::{self, Signal, wait_blocking};
use crate::workspace::{built, environment};

/// How long a cluster may take to come up on a busy machine with two cores.
const UP_WITHIN: Duration = Duration::from_mins(4);

/// `cluster.json`: what its contract promises, and no more.
#[derive(Debug, Clone, Deserialize)]
pub struct Described {
    /// The authority to trust.
    pub ca_cert: PathBuf,
    /// The edge.
    pub router: RouterProcess,
    /// The regions.
    pub regions: Vec<RegionProcess>,
    /// Who may ask.
    pub credentials: Vec<Credential>,
}

/// The router's process.
#[derive(Debug, Clone, Deserialize)]
pub struct RouterProcess {
    /// Where callers reach it.
    pub url: String,
    /// Its process, 0 while it does not run.
    #[serde(deserialize_with = "pid")]
    pub pid: u32,
}

/// One region.
#[derive(Debug, Clone, Deserialize)]
pub struct RegionProcess {
    /// The short name, such as `tx`.
    pub name: String,
    /// The jurisdiction, such as `US-TX`.
    pub jurisdiction: String,
    /// Where callers reach its node.
    pub url: String,
    /// The node's process, 0 while it does not run.
    #[serde(deserialize_with = "pid")]
    pub pid: u32,
    /// Its database, for looking.
    pub postgres: Database,
    /// Where the database's files are.
    pub data_dir: PathBuf,
    /// The node's log.
    pub log: PathBuf,
}

/// Where a database is.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub dbname: String,
    /// Somebody who may look and not change.
    pub user: String,
}

/// An API key and what it is good for.
#[derive(Debug, Clone, Deserialize)]
pub struct Credential {
    /// The organisation.
    pub org: String,
    /// What kind it is.
    pub org_type: String,
    /// The role.
    pub role: String,
    /// Where it works.
    pub jurisdictions: Vec<String>,
    /// The key.
    pub api_key: String,
    /// Whose it is.
    #[serde(default)]
    pub user: Option<crate::clinic::Staff>,
    /// Which clinician of the directory works with it.
    #[serde(default)]
    pub provider: Option<crate::clinic::Clinician>,
}

fn pid<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Option::<u32>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    home: PathBuf,
    shell: Child,
    described: Described,
}

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct Wish {
    /// A word for the folder's name.
    pub name: &'static str,
    /// How many synthetic people.
    pub people: u32,
    /// More arguments for `dev up`.
    pub more: Vec<String>,
}

/// One fault test at a time: they starve each other on two cores.
pub async fn turn() -> TurnGuard<'static, ()> {
    static TURN: Turn<()> = Turn::const_new(());
    TURN.lock().await
}

/// The cluster that all benign tests share.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        Cluster::start(&Wish { name: "shared", people: 60, more: Vec::new() })
            .unwrap_or_else(|error| panic!("the shared cluster does not start: {error:#}"))
    })
}

/// The program under test, beside this test's own.
pub fn domicile() -> Result<PathBuf> {
    let path = environment("DOMICILE_BIN").map_or_else(|| built().join("domicile"), PathBuf::from);
    ensure!(
        path.is_file() && path.with_file_name("domicile-router").is_file(),
        "{} or domicile-router is not built: run `cargo build --workspace --all-targets`, or `./dev test`",
        path.display()
    );
    Ok(path)
}

/// A folder of this process that any user may pass through, which a Postgres that does not run as root needs.
pub fn folder(name: &str) -> Result<PathBuf> {
    sweep(&std::env::temp_dir());
    disks::folder(name)
}

/// Removes what a killed test run left, once none of its processes is there.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix("domicile-it-").and_then(|rest| rest.split('-').next()?.parse().ok())
        else {
            continue;
        };
        let path = entry.path();
        if !faults::lives(pid) && faults::processes_naming(&path.display().to_string()).is_empty() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

/// The one thread that starts shells: the kernel's signal comes when the thread that forked is gone.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static NURSERY: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (orders, taken) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in taken {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    nursery.send((command, reply)).map_err(|_| anyhow::anyhow!("the thread that starts shells is gone"))?;
    Ok(answer.recv()??)
}

/// Runs `domicile` to its end and returns what it printed.
pub fn run(args: &[&str]) -> Result<String> {
    let output = Command::new(domicile()?).args(args).stdin(Stdio::null()).output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "domicile {args:?}: {}\n{said}", output.status);
    Ok(said)
}

impl Cluster {
    /// Starts a cluster in a folder of its own and waits until it is ready.
    pub fn start(wish: &Wish) -> Result<Self> {
        Self::start_at(&folder(wish.name)?, wish)
    }

    /// Starts a cluster in this folder, where it may find an earlier one's data in `home`.
    pub fn start_at(folder: &Path, wish: &Wish) -> Result<Self> {
        Self::start_under(folder, wish, None)
    }

    /// Starts a cluster with this in the environment of every process.
    pub fn start_under(folder: &Path, wish: &Wish, environment: Option<(&str, &str)>) -> Result<Self> {
        // What an earlier cluster said of itself is not to be taken for this one's word.
        let _ = std::fs::remove_file(folder.join("home/supervisor.json"));
        let mut command = Self::command(folder, wish)?;
        command.envs(environment);
        let shell = spawn(command)?;
        let mut cluster =
            Self { folder: folder.to_owned(), home: folder.join("home"), shell, described: Described::none() };
        cluster.until_ready().with_context(|| format!("the cluster said:\n{}", cluster.said()))?;
        Ok(cluster)
    }

    fn command(folder: &Path, wish: &Wish) -> Result<Command> {
        // The second wait is for when the first was cut short by the signal.
        const SCRIPT: &str = r#"
            program=$1 folder=$2; shift 2
            "$program" dev up --home "$folder/home" "$@" &
            child=$!
            trap 'asked=yes; kill -TERM $child 2>/dev/null' TERM INT HUP
            wait $child; wait $child; status=$?
            # What ended by itself has left its reasons there.
            test -e "$folder/keep" || test -z "$asked" || rm -rf "$folder"
            exit $status
        "#;
        let log = std::fs::File::create(folder.join("up.log"))?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "TERM", "--", "sh", "-c", SCRIPT, "sh"])
            .arg(domicile()?)
            .arg(folder)
            .args(["--people", &wish.people.to_string()])
            .args(&wish.more)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    fn until_ready(&mut self) -> Result<()> {
        let home = self.home.clone();
        let shell = &mut self.shell;
        let described = wait_blocking("the cluster to be ready", UP_WITHIN, || {
            if let Ok(Some(status)) = shell.try_wait() {
                return Some(Err(anyhow::anyhow!("`dev up` ended: {status}")));
            }
            ready(&home).then(|| Described::read(&home))
        })??;
        self.described = described;
        Ok(())
    }

    /// What `dev up` printed.
    pub fn said(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("up.log")).unwrap_or_default();
        let from = text.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
        text[from..].to_owned()
    }

    /// Reads `cluster.json` again: a process that was started again has another id.
    pub fn now(&self) -> Result<Described> {
        Described::read(&self.home)
    }

    /// Where it lives.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What it was when it was started.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// A region by its short name.
    pub fn region(&self, name: &str) -> &RegionProcess {
        self.described.regions.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no region {name}"))
    }

    /// Somebody with no key at the router.
    pub fn nobody(&self) -> Client {
        Client::new(&self.described.ca_cert, &self.described.router.url)
            .unwrap_or_else(|error| panic!("the authority cannot be read: {error:#}"))
    }

    /// The first credential of this role that works in this jurisdiction.
    pub fn credential(&self, role: &str, jurisdiction: &str) -> &Credential {
        self.described
            .credentials
            .iter()
            .find(|c| c.role == role && c.jurisdictions.iter().any(|j| j == jurisdiction))
            .unwrap_or_else(|| panic!("no {role} in {jurisdiction}"))
    }

    /// Somebody of this role at the router.
    pub fn client(&self, role: &str, jurisdiction: &str) -> Client {
        self.nobody().key(&self.credential(role, jurisdiction).api_key)
    }

    /// Somebody of this role at a region's own node.
    pub fn client_at(&self, region: &str, role: &str, jurisdiction: &str) -> Client {
        self.client(role, jurisdiction).at(&self.region(region).url)
    }

    /// From now on its folder stays when it ends, in whatever way.
    pub fn keep(&self) -> Result<PathBuf> {
        std::fs::write(self.folder.join("keep"), "")?;
        Ok(self.folder.clone())
    }

    /// Stops it in good order and keeps its folder, in which it can be started again.
    pub fn stop_and_keep(mut self) -> Result<PathBuf> {
        self.keep()?;
        self.stop()?;
        let folder = std::mem::take(&mut self.folder);
        std::fs::remove_file(folder.join("keep"))?;
        Ok(folder)
    }

    /// Stops it and waits until none of its processes is left.
    fn stop(&mut self) -> Result<()> {
        if matches!(self.shell.try_wait(), Ok(None)) {
            faults::send(Signal::Terminate, self.shell.id())?;
            let shell = &mut self.shell;
            let ended =
                wait_blocking("the cluster to stop", faults::DEADLINE, || shell.try_wait().ok().flatten());
            if ended.is_err() {
                let _ = self.shell.kill();
                bail!("the cluster does not stop:\n{}", self.said());
            }
        }
        let name = self.folder.display().to_string();
        wait_blocking("every process to be gone", faults::DEADLINE, || {
            faults::processes_naming(&name).is_empty().then_some(())
        })
    }
}

/// Whether the cluster says that all of it is up and the people are there.
fn ready(home: &Path) -> bool {
    std::fs::read_to_string(home.join("supervisor.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
        .is_some_and(|state| state["phase"] == "ready")
}

impl Described {
    fn none() -> Self {
        Self {
            ca_cert: PathBuf::new(),
            router: RouterProcess { url: String::new(), pid: 0 },
            regions: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// Reads a home folder's `cluster.json`.
    pub fn read(home: &Path) -> Result<Self> {
        let path = home.join("cluster.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.as_os_str().is_empty() {
            return;
        }
        if std::thread::panicking() {
            // The logs say why; they go with the folder.
            eprintln_tail(&self.described);
        }
        let stopped = self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
        if let (Err(error), false) = (stopped, std::thread::panicking()) {
            panic!("{error:#}");
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test that failed shows what the processes said")]
fn eprintln_tail(described: &Described) {
    for region in &described.regions {
        let text = std::fs::read_to_string(&region.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(15);
        eprintln!("--- {} ---\n{}", region.log.display(), lines[from..].join("\n"));
    }
}
