//! `domicile dev up`: starts a cluster, loads its people, and supervises it until told to stop.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jiff::tz::TimeZone;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::{Clock as _, Role};
use tokio::signal::unix::{SignalKind, signal};

use super::banner::count;
use super::cluster_json::Cluster;
use super::hold::{self, Hold, Phase};
use super::layout::Home;
use super::plan::{self, Plan, Wish};
use super::run::{Keeper, Started};
use super::visit::Visitor;
use super::{admit, banner, down, keep, people, run, supervise, wan};
use crate::cli::Up;
use crate::exit::{Cause, Stop};
use crate::{lifecycle, tell};

const DETACH_POLL: Duration = Duration::from_millis(100);

/// Starts the cluster that was asked for.
pub fn run(up: &Up) -> Result<ExitCode, Stop> {
    let home = Home::at(up.home.home.as_deref()).map_err(|e| stop(&e, "give another `--home`"))?;
    admit::may_start(&home).map_err(|e| stop(&e, "give a new or an empty folder with `--home`"))?;
    if up.wan.is_some() {
        wan::may(up.in_user_namespace)?;
    }
    start(up, &home)
}

fn stop(error: &anyhow::Error, mend: &str) -> Stop {
    Stop::new(Cause::Other, format!("{error:#}"), mend)
}

/// Nothing was started, so that no log says more.
fn unstarted(error: &anyhow::Error) -> Stop {
    stop(error, "nothing was started; mend it and run `./dev up` again")
}

fn start(up: &Up, home: &Home) -> Result<ExitCode, Stop> {
    if let Some(supervisor) = hold::holder(home) {
        return join(up, home, supervisor);
    }
    if up.detach && !up.in_background {
        // What does not fit is said here, and not by a child that must be started first.
        if let Some(plan) = keep::read_json::<Plan>(&home.plan()).map_err(|e| unstarted(&e))? {
            plan::fits(home, &plan, &wish(up)).map_err(|e| contradicts(&e))?;
        }
        return detach(home).map_err(|e| unstarted(&e));
    }
    let Some(_hold) = Hold::take(home).map_err(|e| unstarted(&e))? else {
        let supervisor = hold::holder(home).unwrap_or_default();
        return join(up, home, supervisor);
    };
    hold::tell_phase(home, &Phase::Starting).map_err(|e| unstarted(&e))?;
    await_leftovers(home).map_err(|e| unstarted(&e))?;
    let runtime = lifecycle::runtime(2)?;
    let supervised = runtime.block_on(supervise(up, home));
    if let Err(stop) = &supervised {
        hold::tell_phase(home, &Phase::Failed { why: stop.what.clone() }).map_err(|e| unstarted(&e))?;
    }
    runtime.shutdown_background();
    supervised.map(|()| ExitCode::SUCCESS)
}

fn contradicts(error: &anyhow::Error) -> Stop {
    stop(error, "leave the option out, or give another folder with `--home`")
}

/// Another `up` has this home: waits until what it starts is ready, unless something else is wanted.
fn join(up: &Up, home: &Home, supervisor: u32) -> Result<ExitCode, Stop> {
    let mut said = false;
    loop {
        let read = |e: anyhow::Error| stop(&e, "see `./dev status`");
        let plan = keep::read_json::<Plan>(&home.plan()).map_err(read)?;
        if let Some(plan) = &plan {
            plan::fits(home, plan, &wish(up)).map_err(|e| contradicts(&e))?;
            if let Some(port) = up.router_port.filter(|port| *port != plan.router.public) {
                let what = format!("the router runs on port {}, not {port}", plan.router.public);
                return Err(Stop::new(Cause::Other, what, "`./dev down` first: a port changes at a start"));
            }
        }
        let root = home.root().display();
        match hold::phase(home) {
            _ if hold::holder(home).is_none() => {
                let what = format!("the `up` that was starting a cluster in {root} has ended");
                return Err(Stop::new(Cause::Other, what, "run `./dev up` again"));
            }
            Some(Phase::Ready) => {
                wan::fits(home, up.wan)?;
                tell::line(&format!("a cluster runs in {root} already (supervisor {supervisor})\n"));
                if let Some(cluster) = Cluster::read(home).map_err(read)? {
                    tell::line(&banner::endpoints(&cluster));
                }
                return Ok(ExitCode::SUCCESS);
            }
            Some(Phase::Stopping) => {
                let what = format!("the cluster in {root} is being stopped");
                return Err(Stop::new(Cause::Other, what, "run `./dev up` again when it has stopped"));
            }
            _ if !said => {
                said = true;
                tell::line(&format!(
                    "supervisor {supervisor} is starting the cluster in {root}; waiting for it"
                ));
            }
            _ => {}
        }
        std::thread::sleep(DETACH_POLL);
    }
}

/// A supervisor that was killed leaves children that the kernel has told to end. They must be gone first: two
/// servers on one data folder is what must never be.
fn await_leftovers(home: &Home) -> Result<()> {
    let Some(cluster) = Cluster::read(home)? else { return Ok(()) };
    let until = Instant::now() + Duration::from_secs(40);
    while let Some(pid) = down::leftovers(&cluster, home).next() {
        if Instant::now() > until {
            bail!("process {pid} of an earlier cluster still runs: end it with `./dev down`");
        }
        // One that was halted has not heard the kernel yet.
        supervise::signal(pid, rustix::process::Signal::CONT);
        std::thread::sleep(DETACH_POLL);
    }
    Ok(())
}

async fn supervise(up: &Up, home: &Home) -> Result<(), Stop> {
    let began = Instant::now();
    let mut interrupt = Interrupt::listen().map_err(|e| unstarted(&e))?;
    let (clock, entropy) = (SystemClock, Arc::new(SystemEntropy::new()));
    let plan = plan::settle(home, &wish(up), &*entropy).map_err(|e| contradicts(&e))?;
    let mut keeper = Keeper::open(home.clone(), plan.clone(), up.wan).map_err(|e| unstarted(&e))?;

    let outcome = tokio::select! {
        outcome = bring_up(up, home, &plan, &mut keeper, clock, &entropy, began) => outcome,
        () = interrupt.asked() => Ok(Reached::Interrupted),
    };
    let logs = |e: anyhow::Error| stop(&e, "the logs are shown by `./dev logs`");
    match outcome {
        Ok(Reached::Ready) => {
            interrupt.asked().await;
        }
        Ok(Reached::Interrupted) => {}
        Err(error) => {
            let said = if keeper.keeps_anything() { logs(error) } else { unstarted(&error) };
            keeper.stop().await.map_err(logs)?;
            return Err(said);
        }
    }
    tell::line("\nstopping: router, nodes, databases");
    hold::tell_phase(home, &Phase::Stopping).map_err(logs)?;
    keeper.stop().await.map_err(logs)?;
    tell::line(&format!("stopped; the data stays in {}", home.root().display()));
    Ok(())
}

enum Reached {
    Ready,
    Interrupted,
}

fn wish(up: &Up) -> Wish {
    Wish {
        states: up.states.clone(),
        seed: up.seed,
        ingress: up.router_ingress,
        router_port: up.router_port,
        port_base: up.port_base,
    }
}

async fn bring_up(
    up: &Up,
    home: &Home,
    plan: &Plan,
    keeper: &mut Keeper,
    clock: SystemClock,
    entropy: &Arc<SystemEntropy>,
    began: Instant,
) -> Result<Reached> {
    let Started { cluster, new_credentials } =
        run::start(home, plan, keeper, clock, entropy, up.traces.as_deref()).await?;
    let seconds = began.elapsed().as_secs_f64();
    let regions = count(plan.regions.len(), "region", "regions");
    tell::line(&format!("{regions} and a router are ready after {seconds:.1} s\n"));

    let states: Vec<_> = plan.regions.iter().map(|r| r.region.0).collect();
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    let loaded = people::Loaded::read(home, plan.seed, today)?;
    let staff = cluster.credential(Role::ProviderStaff).context("there is no key that registers patients")?;
    let visitor = Visitor::trusting(&home.ca_cert())?;
    let intake = people::Intake { visitor: &visitor, url: &cluster.router.url, api_key: &staff.api_key };
    let total = usize::try_from(up.people)?;
    let loaded = people::load(home, &intake, &states, total, loaded).await?;

    let people = count(loaded.total(), "synthetic patient is", "synthetic patients are");
    tell::line(&format!("{people} registered\n"));
    tell::line(&banner::endpoints(&cluster));
    // In the background this goes to a log, where no key may be; the parent shows them.
    tell::line(&banner::credentials(&cluster, home, new_credentials && !up.in_background));
    tell::line(&banner::what_next(&cluster, home, up.in_background));
    keeper.be_as_asked();
    hold::tell_phase(home, &Phase::Ready)?;
    Ok(Reached::Ready)
}

/// SIGINT, SIGTERM and a terminal that went away.
struct Interrupt {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Interrupt {
    fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            signals: [on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?],
        })
    }

    async fn asked(&mut self) {
        let [int, term, hup] = &mut self.signals;
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    }
}

/// Starts the supervisor in the background, shows what it says until everything is ready, and leaves it there.
fn detach(home: &Home) -> Result<ExitCode> {
    let had_credentials = Cluster::read(home)?.is_some();
    keep::folder(home.root(), keep::Readers::All)?;
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(home.supervisor_log())
        .context("the supervisor's log cannot be opened")?;
    let from = log.seek(SeekFrom::End(0))?;
    // What an earlier supervisor said must not be taken for this one's word.
    hold::tell_phase(home, &Phase::Starting)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).arg("--in-background");
    // A group of its own: Ctrl-C in the terminal, and the terminal's end, are none of its business.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    let mut child = command.spawn().context("the supervisor cannot be started")?;
    let mut said = Said::from(home, from)?;
    loop {
        let ended = child.try_wait()?;
        said.show()?;
        match (hold::phase(home), ended) {
            // Unless another `up` was faster, which the child then waits for.
            (Some(Phase::Ready), None) if hold::holder(home) == Some(child.id()) => {
                if let Some(cluster) = Cluster::read(home)?.filter(|_| !had_credentials) {
                    tell::line(&banner::credentials(&cluster, home, true));
                }
                tell::line(&format!(
                    "the cluster runs in the background; its supervisor is process {}",
                    child.id()
                ));
                return Ok(ExitCode::SUCCESS);
            }
            // What was wrong has been shown with the log.
            (_, Some(status)) => {
                return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            _ => std::thread::sleep(DETACH_POLL),
        }
    }
}

/// What the supervisor has written since it began.
struct Said(std::fs::File);

impl Said {
    fn from(home: &Home, at: u64) -> Result<Self> {
        let mut file = std::fs::File::open(home.supervisor_log())?;
        file.seek(SeekFrom::Start(at))?;
        Ok(Self(file))
    }

    fn show(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes)?;
        let mut out = std::io::stdout().lock();
        // A reader that went away is no reason to give up on the cluster.
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
        Ok(())
    }
}
