//! Brings a cluster's processes up in order, keeps them, and keeps `cluster.json` true.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use jiff::tz::TimeZone;
use links::Profile;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::Clock as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::authority::{Authority, Leaf, Subject};
use super::banner::count;
use super::cluster_json::{Cluster, Credential, PostgresEntry, RegionEntry, RouterEntry};
use super::keep::{self, Readers};
use super::layout::Home;
use super::logs::tail;
use super::plan::{Plan, PlannedRegion};
use super::postgres::{self, Postgres, Server};
use super::rulebook::Rulebook;
use super::supervise::{Condition, Kept, Program, StopWith};
use super::visit::Visitor;
use super::wan::Nurseries;
use super::{
    calendars, clinicians, credentials, govern, inspect, provision, sealing_key, sheets, stale_lock, supervise,
};
use crate::tell;

/// How long one step of a start may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one look at a page may take.
const LOOK: Duration = Duration::from_secs(5);
/// How long a node or the router may take to finish what is under way, on a machine where nobody waits for it.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);
/// A process that ended this often before it was ready will not become ready.
const STARTS_MAX: u32 = 4;
/// Logs are opened for appending, so that a restart keeps what came before; this keeps them from growing for ever.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// A cluster that is ready.
pub struct Started {
    /// What runs.
    pub cluster: Cluster,
    /// Whether the keys were made now, so that they are shown once.
    pub new_credentials: bool,
}

/// Everything that runs, and what it is stopped by.
pub struct Keeper {
    home: Home,
    plan: Plan,
    nurseries: Nurseries,
    databases: Vec<Kept>,
    nodes: Vec<Kept>,
    router: Option<Kept>,
    scribe: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Keeps nothing yet.
    pub fn open(home: Home, plan: Plan, profile: Option<Profile>) -> Result<Self> {
        let nurseries = Nurseries::open(&home, &plan, profile)?;
        Ok(Self { home, plan, nurseries, databases: Vec::new(), nodes: Vec::new(), router: None, scribe: None })
    }

    fn keep(&self, side: usize, program: Program) -> Result<Kept> {
        if std::fs::metadata(&program.log).is_ok_and(|m| m.len() > LOG_BYTES_MAX) {
            std::fs::rename(&program.log, program.log.with_extension("log.1"))
                .with_context(|| format!("cannot put {} aside", program.log.display()))?;
        }
        Ok(supervise::keep(self.nurseries.of(side), program, tell::aside))
    }

    /// Makes the links between the sides as they were asked for.
    pub fn be_as_asked(&self) {
        self.nurseries.be_as_asked();
    }

    /// Whether any process was started.
    pub fn keeps_anything(&self) -> bool {
        !self.databases.is_empty()
    }

    /// Stops everything, in the order in which nothing asks for what is gone, and writes that nothing runs.
    pub async fn stop(&mut self) -> Result<()> {
        self.databases.iter().chain(&self.nodes).chain(&self.router).for_each(Kept::wake);
        if let Some(router) = self.router.take() {
            router.stop().await;
        }
        futures::future::join_all(self.nodes.drain(..).map(Kept::stop)).await;
        futures::future::join_all(self.databases.drain(..).map(Kept::stop)).await;
        if let Some(scribe) = self.scribe.take() {
            scribe.abort();
            let _ = scribe.await;
        }
        if let Some(mut cluster) = Cluster::read(&self.home)? {
            cluster.forget_pids();
            cluster.write(&self.home)?;
        }
        Ok(())
    }

    /// Writes `cluster.json` now, and again whenever a process is another one.
    fn write_and_follow(&mut self, servers: &[Server], credentials: Vec<Credential>) -> Result<Cluster> {
        let sheet = Sheet {
            home: self.home.clone(),
            plan: self.plan.clone(),
            data_dirs: servers.iter().map(|s| s.data_dir.clone()).collect(),
            credentials,
            databases: self.databases.iter().map(Kept::condition).collect(),
            nodes: self.nodes.iter().map(Kept::condition).collect(),
            router: self.router.as_ref().map(Kept::condition),
        };
        let cluster = sheet.cluster();
        cluster.write(&self.home)?;
        self.scribe = Some(tokio::spawn(sheet.follow()));
        Ok(cluster)
    }
}

/// What `cluster.json` is written from.
struct Sheet {
    home: Home,
    plan: Plan,
    data_dirs: Vec<PathBuf>,
    credentials: Vec<Credential>,
    databases: Vec<watch::Receiver<Condition>>,
    nodes: Vec<watch::Receiver<Condition>>,
    router: Option<watch::Receiver<Condition>>,
}

impl Sheet {
    fn cluster(&self) -> Cluster {
        let pid = |condition: Option<&watch::Receiver<Condition>>| condition.and_then(|c| c.borrow().pid);
        let regions = self.plan.regions.iter().enumerate().map(|(i, planned)| {
            let files = self.home.region(planned.region);
            RegionEntry {
                name: planned.region.name(),
                jurisdiction: planned.region.0,
                url: format!("https://localhost:{}", planned.public),
                pid: pid(self.nodes.get(i)),
                postgres: PostgresEntry {
                    host: "127.0.0.1".into(),
                    port: planned.postgres,
                    dbname: provision::DBNAME.into(),
                    user: provision::INSPECT.into(),
                    pid: pid(self.databases.get(i)),
                    log: files.postgres_log(),
                },
                data_dir: self.data_dirs[i].clone(),
                log: files.node_log(),
            }
        });
        Cluster {
            ca_cert: self.home.ca_cert(),
            router: RouterEntry {
                url: format!("https://localhost:{}", self.plan.router.public),
                pid: pid(self.router.as_ref()),
                log: self.home.router_log(),
            },
            regions: regions.collect(),
            credentials: self.credentials.clone(),
        }
    }

    async fn follow(mut self) {
        loop {
            let all = self.databases.iter_mut().chain(&mut self.nodes).chain(self.router.as_mut());
            let changes: Vec<_> = all.map(|c| Box::pin(c.changed())).collect();
            if changes.is_empty() {
                return;
            }
            let (seen, ..) = futures::future::select_all(changes).await;
            if seen.is_err() {
                return;
            }
            if let Err(error) = self.cluster().write(&self.home) {
                tell::aside(&format!("cluster.json is out of date: {error:#}"));
            }
        }
    }
}

/// Starts everything that a plan names and waits until all of it is ready.
pub async fn start(
    home: &Home,
    plan: &Plan,
    keeper: &mut Keeper,
    clock: SystemClock,
    entropy: &Arc<SystemEntropy>,
    collector: Option<&str>,
) -> Result<Started> {
    let router_program = beside_us("domicile-router")?;
    let postgres = Postgres::find()?;
    let rules = Rulebook::open_or_create(home)?;
    let leaves = lay_out(home, plan, clock)?;
    sheets::write(home, plan, &rules, collector, keeper.nurseries.reach())?;
    sealing_key::share(home, plan, &**entropy)?;

    let servers: Vec<Server> =
        plan.regions.iter().map(|planned| postgres.place(home, plan.cluster, planned)).collect();
    let missing: Vec<PathBuf> =
        servers.iter().map(|s| s.data_dir.clone()).filter(|dir| !dir.join("PG_VERSION").exists()).collect();
    if !missing.is_empty() {
        tell::line(&format!("making {}", count(missing.len(), "database", "databases")));
        postgres.create(&missing)?;
    }
    for (side, ((planned, server), leaf)) in plan.regions.iter().zip(&servers).zip(&leaves).enumerate() {
        postgres.configure(server, &std::fs::read(&leaf.certificate)?, &std::fs::read(&leaf.key)?)?;
        stale_lock::clear(server).await?;
        keeper.databases.push(keeper.keep(side, postgres.program(home, planned, server))?);
    }
    try_join_all(plan.regions.iter().zip(&servers).zip(&keeper.databases).map(
        async |((planned, server), kept)| {
            ready(kept, async |pid| postgres::is_ready(&server.data_dir, pid)).await?;
            provision::provision(home, planned.region, server, &**entropy).await?;
            provision::migrate(home, planned.region).await
        },
    ))
    .await?;

    let own = std::env::current_exe().context("this program does not know where it lies")?;
    for (side, planned) in plan.regions.iter().enumerate() {
        keeper.nodes.push(keeper.keep(side, node_program(home, planned, &own))?);
    }
    keeper.router = Some(keeper.keep(plan.regions.len(), router_process(home, &router_program))?);

    // Kept before they are put anywhere: a key that is known to the cluster and to nobody else is lost.
    let states: Vec<_> = plan.regions.iter().map(|r| r.region.0).collect();
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let (mut credentials, new_credentials) = match Cluster::read(home)? {
        Some(cluster) if !cluster.credentials.is_empty() => (cluster.credentials, false),
        _ => (credentials::mint(&states, &**entropy), true),
    };
    clinicians::bind(&mut credentials, plan.seed, &states, today);
    let cluster = keeper.write_and_follow(&servers, credentials)?;
    let mut commands = vec![rules.command()?];
    commands.extend(credentials::commands(&cluster.credentials, &**entropy)?);
    commands.extend(clinicians::commands(&cluster.credentials, plan.seed, &states, today)?);
    commands.extend(clinicians::bindings(&cluster.credentials));
    commands.extend(calendars::commands(plan.seed, &states, today)?);

    let visitor = Visitor::trusting(&home.ca_cert())?;
    let urls = cluster.regions.iter().map(|r| r.url.clone()).chain([cluster.router.url.clone()]);
    let kept: Vec<&Kept> = keeper.nodes.iter().chain(&keeper.router).collect();
    // The first voter is there when the control plane is; every node forwards to whoever leads.
    ready(kept[0], async |_| visitor.get(&format!("{}/healthz", cluster.regions[0].url), LOOK).await.is_ok())
        .await?;
    govern::put(&govern::operator(home, &plan.regions[0])?, &commands, PATIENCE).await?;
    try_join_all(kept.into_iter().zip(urls).map(async |(kept, url)| {
        let page = format!("{url}/readyz");
        ready(kept, async |_| visitor.get(&page, LOOK).await.is_ok_and(|a| a.status.is_success())).await
    }))
    .await?;
    // A region without ids registers nobody: whoever is told that all is ready may register at once.
    try_join_all(keeper.nodes.iter().zip(&cluster.regions).map(async |(kept, entry)| {
        let sql = "SELECT count(*) FROM id_pool";
        ready(kept, async |_| inspect::count(&entry.postgres, sql, LOOK).await.is_ok_and(|ids| ids > 0)).await
    }))
    .await?;
    // The processes' ids may have changed while everything was coming up.
    let cluster = Cluster::read(home)?.unwrap_or(cluster);
    Ok(Started { cluster, new_credentials })
}

/// Makes folders and certificates. Gives each region's database certificate.
fn lay_out(home: &Home, plan: &Plan, clock: SystemClock) -> Result<Vec<Leaf>> {
    let authority = Authority::open_or_create(&home.ca(), clock.now())?;
    let mut leaves = Vec::new();
    for planned in &plan.regions {
        let files = home.region(planned.region);
        let regions = files.root().parent().context("a region's folder has a parent")?;
        keep::folder(regions, Readers::All)?;
        keep::folder(files.root(), Readers::All)?;
        keep::folder(&files.keys(), Readers::Owner)?;
        authority.leaf(&files.tls(), "public", &Subject::Server)?;
        authority.leaf(&files.tls(), "peer", &Subject::Peer(sheets::region_identity(planned)))?;
        leaves.push(authority.leaf(&files.tls(), "postgres", &Subject::Server)?);
    }
    keep::folder(&home.router(), Readers::Owner)?;
    let tls = home.router().join("tls");
    authority.leaf(&tls, "public", &Subject::Server)?;
    authority.leaf(&tls, "peer", &Subject::Peer(sheets::router_identity(plan)))?;
    Ok(leaves)
}

fn node_program(home: &Home, planned: &PlannedRegion, own: &std::path::Path) -> Program {
    let files = home.region(planned.region);
    Program {
        name: format!("node {}", planned.region.name()),
        argv: vec![own.into(), "node".into(), "--config".into(), files.node_toml().into()],
        log: files.node_log(),
        run_as: None,
        stop_with: StopWith::Term,
        stop_within: STOP_WITHIN,
    }
}

fn router_process(home: &Home, program: &std::path::Path) -> Program {
    Program {
        name: "router".into(),
        argv: vec![program.into(), "--config".into(), home.router_toml().into()],
        log: home.router_log(),
        run_as: None,
        stop_with: StopWith::Term,
        stop_within: STOP_WITHIN,
    }
}

fn beside_us(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it lies")?;
    let program = own.with_file_name(name);
    ensure!(
        program.exists(),
        "{} is not built: run `cargo build --workspace --all-targets`",
        program.display()
    );
    Ok(program)
}

/// Waits until a kept process is ready, and says why not when it cannot become so.
async fn ready(kept: &Kept, is_ready: impl AsyncFn(u32) -> bool) -> Result<()> {
    let mut condition = kept.condition();
    let until = Instant::now() + PATIENCE;
    loop {
        let Condition { pid, starts, last_end } = condition.borrow_and_update().clone();
        if let Some(pid) = pid
            && is_ready(pid).await
        {
            return Ok(());
        }
        if starts >= STARTS_MAX || Instant::now() > until {
            let end = last_end.unwrap_or_else(|| "runs".into());
            bail!(
                "{} did not become ready; it {end}. The end of {}:\n{}",
                kept.name(),
                kept.log().display(),
                tail(kept.log(), 8)
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}
