//! Starts processes, keeps them running, and takes them along when the supervisor dies.
//!
//! Every child is forked by one thread that never ends, and asks the kernel to signal it when that thread is gone
//! (`PR_SET_PDEATHSIG` follows the forking *thread*, not the process). So nothing outlives a supervisor that was
//! killed with SIGKILL, without a process group that would also pass Ctrl-C on: children are in groups of their
//! own, so that they are stopped in order.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use links::Namespace;
use rustix::process::{Pid, Signal};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::postgres::RunAs;

/// The first pause before a process is started again; it doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A process that ran this long was well, and its next pause is the first one again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// A process to keep running.
#[derive(Debug, Clone)]
pub struct Program {
    /// What people call it, such as `node tx`.
    pub name: String,
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Where its output goes.
    pub log: PathBuf,
    /// The ordinary user it runs as when we are root.
    pub run_as: Option<RunAs>,
    /// What it is asked to stop with, by us and by the kernel when we are gone.
    pub stop_with: StopWith,
    /// How long it may take to stop before it is killed.
    pub stop_within: Duration,
}

/// How a process is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopWith {
    /// SIGTERM: finish what is under way.
    Term,
    /// SIGINT: Postgres's fast shutdown.
    Int,
}

impl StopWith {
    const fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
        }
    }
}

impl Program {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.run_as {
            command.args(user.setpriv_args());
        }
        command.args(["--pdeathsig", self.stop_with.name(), "--"]).args(&self.argv);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.log)
            .with_context(|| format!("cannot open the log {}", self.log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).current_dir("/");
        Ok(command)
    }
}

/// The one thread that forks.
#[derive(Clone)]
pub struct Nursery {
    orders: mpsc::Sender<(Command, oneshot::Sender<std::io::Result<Child>>)>,
}

impl Nursery {
    /// Starts the thread. It ends with the process and not before.
    pub fn open() -> Result<Self> {
        Self::open_after(|| Ok(()))
    }

    /// The same in a network namespace: whom it forks is inside.
    pub fn open_in(namespace: &Namespace) -> Result<Self> {
        let namespace = namespace.share()?;
        Self::open_after(move || namespace.enter())
    }

    fn open_after(prepare: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<Self> {
        let (prepared, ready) = mpsc::channel();
        let (orders, todo) = mpsc::channel::<(Command, oneshot::Sender<std::io::Result<Child>>)>();
        std::thread::Builder::new()
            .name("nursery".into())
            .spawn(move || {
                if prepared.send(prepare()).is_err() {
                    return;
                }
                for (mut command, reply) in todo {
                    // Whoever asked has gone only when the whole supervisor is ending.
                    let _ = reply.send(command.spawn());
                }
                // Every sender is gone, but children still live by this thread.
                loop {
                    std::thread::park();
                }
            })
            .context("cannot start the thread that starts processes")?;
        ready.recv().context("the thread that starts processes is gone")??;
        Ok(Self { orders })
    }

    async fn spawn(&self, program: &Program) -> Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || anyhow!("the thread that starts processes is gone");
        self.orders.send((program.command()?, reply)).map_err(|_| gone())?;
        answer
            .await
            .map_err(|_| gone())?
            .with_context(|| format!("cannot start {} (is `setpriv` of util-linux installed?)", program.name))
    }
}

/// What is known of a kept process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it was started.
    pub starts: u32,
    /// How it ended the last time.
    pub last_end: Option<String>,
}

/// A process that is kept running until it is told to stop.
#[derive(Debug)]
pub struct Kept {
    name: String,
    log: PathBuf,
    condition: watch::Receiver<Condition>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Kept {
    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    pub fn log(&self) -> &std::path::Path {
        &self.log
    }

    /// What is known of it now, and later.
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    /// Lets it go on if somebody halted it: others may wait for its answers.
    pub fn wake(&self) {
        if let Some(pid) = self.condition.borrow().pid {
            signal(pid, Signal::CONT);
        }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = self.task.await;
    }
}

/// Starts a process and keeps it running. Each end is told to `tell`.
pub fn keep(nursery: &Nursery, program: Program, tell: impl Fn(&str) + Send + 'static) -> Kept {
    let (publish, condition) = watch::channel(Condition::default());
    let (stop, stopped) = oneshot::channel();
    let nursery = nursery.clone();
    let (name, log) = (program.name.clone(), program.log.clone());
    let task = tokio::spawn(async move {
        let mut asked = stopped;
        let mut pause = PAUSE_MIN;
        loop {
            let started = Instant::now();
            match run_once(&nursery, &program, &publish, &mut asked).await {
                Ok(Ended::Asked) => return,
                Ok(Ended::Itself(status)) => note(&publish, describe(status)),
                Err(error) => note(&publish, format!("{error:#}")),
            }
            if started.elapsed() > WELL_AFTER {
                pause = PAUSE_MIN;
            }
            let end = publish.borrow().last_end.clone().unwrap_or_default();
            tell(&format!("{} {end}; it is started again in {} ms", program.name, pause.as_millis()));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = &mut asked => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    });
    Kept { name, log, condition, stop: Some(stop), task }
}

enum Ended {
    Asked,
    Itself(ExitStatus),
}

async fn run_once(
    nursery: &Nursery,
    program: &Program,
    publish: &watch::Sender<Condition>,
    asked: &mut oneshot::Receiver<()>,
) -> Result<Ended> {
    let mut child = nursery.spawn(program).await?;
    let pid = child.id();
    publish.send_modify(|c| {
        c.pid = Some(pid);
        c.starts += 1;
    });
    let mut wait = tokio::task::spawn_blocking(move || child.wait());
    tokio::select! {
        status = &mut wait => return Ok(Ended::Itself(status??)),
        _ = &mut *asked => {}
    }
    signal(pid, program.stop_with.signal());
    // A process that somebody stopped hears nothing until it goes on.
    signal(pid, Signal::CONT);
    if tokio::time::timeout(program.stop_within, &mut wait).await.is_err() {
        signal(pid, Signal::KILL);
        let _ = wait.await;
    }
    publish.send_modify(|c| c.pid = None);
    Ok(Ended::Asked)
}

fn note(publish: &watch::Sender<Condition>, end: String) {
    publish.send_modify(|c| {
        c.pid = None;
        c.last_end = Some(end);
    });
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Signals a process. That it may be gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn program(dir: &std::path::Path, script: &str) -> Program {
        Program {
            name: "a test".into(),
            argv: vec!["sh".into(), "-c".into(), script.into()],
            log: dir.join("log"),
            run_as: None,
            stop_with: StopWith::Term,
            stop_within: Duration::from_millis(200),
        }
    }

    #[tokio::test]
    async fn a_killed_process_is_started_again_and_a_stopped_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let nursery = Nursery::open().expect("opens");
        let kept = keep(&nursery, program(dir.path(), "exec sleep 1000"), |_| {});
        let mut condition = kept.condition();
        let first = tokio::time::timeout(DEADLINE, condition.wait_for(|c| c.pid.is_some()))
            .await
            .expect("in time")
            .expect("is watched")
            .clone();
        signal(first.pid.expect("runs"), Signal::KILL);
        let second = tokio::time::timeout(DEADLINE, condition.wait_for(|c| c.starts == 2))
            .await
            .expect("in time")
            .expect("is watched")
            .clone();
        assert_ne!(first.pid, second.pid);
        assert_eq!(second.last_end.as_deref(), Some("was ended by signal 9"));
        kept.stop().await;
        let pid = Pid::from_raw(i32::try_from(second.pid.expect("ran")).expect("fits")).expect("is one");
        assert!(rustix::process::test_kill_process(pid).is_err(), "nothing is left");
    }

    #[tokio::test]
    async fn a_process_that_was_halted_is_stopped_in_good_order() {
        let dir = tempfile::tempdir().expect("a folder");
        let nursery = Nursery::open().expect("opens");
        let mut program =
            program(dir.path(), "trap 'echo orderly; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        program.stop_within = DEADLINE;
        let kept = keep(&nursery, program, |_| {});
        let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let mut condition = kept.condition();
        let up = async {
            // The script may speak before its process was made known.
            let pid = condition.wait_for(|c| c.pid.is_some()).await.expect("is watched").pid.expect("runs");
            while !log().contains("up") {
                tokio::task::yield_now().await;
            }
            pid
        };
        let pid = tokio::time::timeout(DEADLINE, up).await.expect("in time");
        signal(pid, Signal::STOP);
        tokio::time::timeout(DEADLINE, kept.stop()).await.expect("in time");
        assert!(log().contains("orderly"), "{}", log());
    }

    #[tokio::test]
    async fn a_process_that_does_not_stop_is_killed() {
        let dir = tempfile::tempdir().expect("a folder");
        let nursery = Nursery::open().expect("opens");
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
        let kept = keep(&nursery, program(dir.path(), script), |_| {});
        let log = dir.path().join("log");
        let heard = async {
            while !std::fs::read_to_string(&log).unwrap_or_default().contains("deaf") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, heard).await.expect("in time");
        tokio::time::timeout(DEADLINE, kept.stop()).await.expect("is ended all the same");
    }
}
