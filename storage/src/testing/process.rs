//! Starts the processes of a Postgres server as an ordinary user.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

/// Where a Postgres server program is: on the search path, or where Debian puts it, newest first.
pub(super) fn binary(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(version, _)| *version >= 15)
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    folders.extend(debian.into_iter().map(|(_, folder)| folder));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{name} is missing: install Postgres 15 or later (apt-get install postgresql; `./dev test` does it)"
        )
    })
}

/// The user whom the server runs as, when we are root and it must not be.
pub(super) fn ordinary_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).or(Some((65534, 65534)))
}

/// A command that runs as the ordinary user and ends when we do, however we end.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((uid, gid)) = ordinary_user() {
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
    }
    // QUIT is Postgres' immediate shutdown.
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program).current_dir("/");
    command
}

type Wanted = (Command, mpsc::Sender<io::Result<Child>>);

/// The signal of `--pdeathsig` comes when the thread that started the process ends, not the process: so one thread
/// that never ends starts them all.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Wanted>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (send, wanted) = mpsc::channel::<Wanted>();
        std::thread::spawn(move || {
            for (mut command, answer) in wanted {
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(send)
    });
    let (answer, answered) = mpsc::channel();
    let sent = spawner.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer));
    sent.map_err(|_| io::Error::other("the spawning thread has ended"))?;
    answered.recv().map_err(io::Error::other)?
}

/// Runs to the end, and says what it said when it failed.
pub(super) fn run(mut command: Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (setpriv is in util-linux)"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
}

/// Makes a file or folder the ordinary user's.
pub(super) fn give(path: &Path) {
    if let Some((uid, gid)) = ordinary_user() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root may give files away");
    }
}
