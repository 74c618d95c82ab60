//! `domicile dev down`: stops everything and waits until no process is left.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::admit;
use super::cluster_json::{Cluster, is_ours};
use super::hold::{self, Hold};
use super::layout::Home;
use super::supervise::signal;
use crate::cli::HomeFolder;
use crate::exit::{Cause, Stop};
use crate::tell;

/// The supervisor stops the router, the nodes and the databases in this order, each within a time of its own.
const SUPERVISOR: Duration = Duration::from_mins(1);
/// What a dead supervisor left gets a signal from the kernel and ends by itself.
const LEFTOVERS: Duration = Duration::from_secs(10);
/// Whoever waits for longer is told what for.
const QUIET: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Stops the cluster of a home folder.
pub fn run(folder: &HomeFolder) -> Result<ExitCode, Stop> {
    let stop = |e: anyhow::Error, mend: &str| Stop::new(Cause::Other, format!("{e:#}"), mend);
    let home = Home::at(folder.home.as_deref()).map_err(|e| stop(e, "give another `--home`"))?;
    let root = home.root().display();
    if !is_there(&home) {
        tell::line(&format!("there is no cluster in {root}"));
        return Ok(ExitCode::SUCCESS);
    }
    admit::is_ours(&home).map_err(|e| stop(e, "its owner may stop it"))?;
    let was_running = halt(&home).map_err(|e| stop(e, "see the processes with `ps`"))?;
    let what = if was_running { "stopped; the data stays in" } else { "nothing runs in" };
    tell::line(&format!("{what} {root}"));
    Ok(ExitCode::SUCCESS)
}

/// A cluster, or a start that has not come to its plan yet. In any other folder nothing may be touched.
fn is_there(home: &Home) -> bool {
    admit::is_cluster(home) || hold::holder(home).is_some()
}

/// Stops everything of a home folder and waits for it. Says whether anything ran.
pub fn halt(home: &Home) -> Result<bool> {
    let mut ran = false;
    if let Some(supervisor) = hold::holder(home) {
        ran = true;
        end(supervisor, Signal::TERM);
        let gone = || hold::holder(home).is_none();
        let whom = || format!("the supervisor {supervisor}, which stops {}", named(home));
        if !wait(SUPERVISOR, whom, gone) {
            tell::aside(&format!("the supervisor {supervisor} does not stop and is killed"));
            // The kernel asks its children to end when it is gone.
            signal(supervisor, Signal::KILL);
            ensure!(
                wait(LEFTOVERS, || format!("the supervisor {supervisor}"), gone),
                "the supervisor {supervisor} cannot be ended"
            );
        }
    }
    if !admit::is_cluster(home) {
        return Ok(ran);
    }
    // Held from here on, so that no `up` starts beside this.
    let Some(_hold) = Hold::take(home)? else { return Ok(ran) };
    let Some(mut cluster) = Cluster::read(home)? else { return Ok(ran) };
    ran |= leftovers(&cluster, home).next().is_some();
    // What somebody halted hears no signal until it goes on.
    leftovers(&cluster, home).for_each(|pid| signal(pid, Signal::CONT));
    let gone = || leftovers(&cluster, home).next().is_none();
    if !wait(LEFTOVERS, || named(home), gone) {
        tell::aside(&format!("killing {}", named(home)));
        for pid in leftovers(&cluster, home) {
            signal(pid, Signal::KILL);
        }
        ensure!(wait(LEFTOVERS, || named(home), gone), "{} cannot be ended", named(home));
    }
    cluster.forget_pids();
    cluster.write(home)?;
    Ok(ran)
}

/// Asks a process to end, also one that was halted.
fn end(pid: u32, with: Signal) {
    signal(pid, with);
    signal(pid, Signal::CONT);
}

/// The processes of this cluster that still run.
pub fn leftovers<'c>(cluster: &'c Cluster, home: &'c Home) -> impl Iterator<Item = u32> + 'c {
    running(cluster, home).map(|(pid, _)| pid)
}

fn running<'c>(cluster: &'c Cluster, home: &'c Home) -> impl Iterator<Item = (u32, String)> + 'c {
    let ours = |(pid, _): &(u32, String)| {
        let data_dirs = cluster.regions.iter().map(|r| r.data_dir.as_path());
        let folders: Vec<&Path> = data_dirs.chain([home.root()]).collect();
        is_ours(*pid, &folders)
    };
    cluster.processes().filter(ours)
}

/// What still runs, in words.
fn named(home: &Home) -> String {
    let Ok(Some(cluster)) = Cluster::read(home) else { return "what it started".to_owned() };
    let names: Vec<String> =
        running(&cluster, home).map(|(pid, name)| format!("{name} (process {pid})")).collect();
    if names.is_empty() { "nothing more".to_owned() } else { names.join(", ") }
}

fn wait(within: Duration, whom: impl Fn() -> String, mut until: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    let mut said = false;
    loop {
        if until() {
            return true;
        }
        if began.elapsed() > within {
            return false;
        }
        if !said && began.elapsed() > QUIET {
            said = true;
            tell::line(&format!("waiting for {}", whom()));
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_cluster_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("letters.txt"), "dear").expect("writes");
        let folder = |path: &Path| HomeFolder { home: Some(path.to_owned()) };
        let absent = dir.path().join("absent");
        for path in [dir.path(), &absent] {
            assert!(run(&folder(path)).is_ok());
        }
        assert!(!absent.exists());
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing was made");
    }
}
