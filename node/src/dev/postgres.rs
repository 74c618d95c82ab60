//! A region's Postgres as a process of an ordinary user: where it lies, how it is made, how it is started.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use residency_policy::Label;

use super::keep::{self, Readers};
use super::layout::Home;
use super::plan::PlannedRegion;
use super::supervise::{Program, StopWith};

/// The oldest version whose settings and behaviour are relied on.
pub const VERSION_MIN: u32 = 15;

/// An ordinary user, for what refuses to run as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// The user's number.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
}

impl RunAs {
    /// `None` when we are an ordinary user ourselves.
    pub fn find() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let user = |name: &str| {
            passwd.lines().find_map(|line| {
                let fields: Vec<_> = line.split(':').collect();
                let [this, _, uid, gid, ..] = fields[..] else { return None };
                (this == name).then_some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            })
        };
        user("postgres")
            .or_else(|| user("nobody"))
            .map(Some)
            .context("Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`")
    }

    /// What `setpriv` is told.
    pub fn setpriv_args(&self) -> [String; 3] {
        [format!("--reuid={}", self.uid), format!("--regid={}", self.gid), "--clear-groups".into()]
    }

    fn may_pass(&self, folder: &Path) -> bool {
        folder.ancestors().filter(|f| f.exists()).all(|f| {
            fs::metadata(f).is_ok_and(|m| {
                let bit = if m.uid() == self.uid {
                    0o100
                } else if m.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                m.mode() & bit != 0
            })
        })
    }
}

/// Where one region's server lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its data.
    pub data_dir: PathBuf,
    /// The folder of its socket, by which alone the superuser comes in. Closed to everybody but its user and root.
    pub socket_dir: PathBuf,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// Where the server's programs are, and as whom they run.
#[derive(Debug, Clone)]
pub struct Postgres {
    bin: PathBuf,
    run_as: Option<RunAs>,
}

impl Postgres {
    /// The newest server that is installed.
    pub fn find() -> Result<Self> {
        let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(_, bin)| bin.join("postgres").exists() && bin.join("initdb").exists())
            .collect();
        found.extend(super::visit::search_path("postgres").filter_map(|bin| Some((version(&bin)?, bin))));
        found.sort();
        let Some((newest, bin)) = found.pop() else {
            bail!(
                "no Postgres server is installed: run `./dev up`, which installs it, or `apt install postgresql`"
            );
        };
        ensure!(newest >= VERSION_MIN, "Postgres {newest} is too old: at least {VERSION_MIN} is needed");
        Ok(Self { bin, run_as: RunAs::find()? })
    }

    /// Where a region's data lies: in the home folder, or, where an ordinary user cannot come there (root's own
    /// folder, mostly), under `/var/tmp` with the cluster's name.
    pub fn place(&self, home: &Home, cluster: Label, planned: &PlannedRegion) -> Server {
        let region = planned.region;
        let inside = home.region(region).postgres();
        let reachable = self.run_as.as_ref().is_none_or(|user| user.may_pass(home.region(region).root()));
        let data_dir = if reachable { inside } else { outside(cluster).join(region.name().as_str()) };
        let socket_dir = if fits_a_socket(&data_dir) {
            data_dir.clone()
        } else {
            outside(cluster).join(format!("{}-socket", region.name()))
        };
        Server { data_dir, socket_dir, port: planned.postgres }
    }

    /// Makes the data folders that do not exist yet: `initdb` once, then copies of it.
    pub fn create(&self, missing: &[PathBuf]) -> Result<()> {
        let Some(first) = missing.first() else { return Ok(()) };
        for dir in missing {
            // Half of a copy that was interrupted: PG_VERSION is the last thing to arrive.
            if dir.exists() {
                fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
            }
            let parent = dir.parent().context("a data folder has a parent")?;
            if !parent.exists() {
                keep::folder(parent, Readers::All)?;
            }
        }
        let template = first.with_extension("template");
        if template.exists() {
            fs::remove_dir_all(&template)?;
        }
        self.own_folder(&template)?;
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(&template).args([
            "--username=postgres",
            "--locale=C",
            "--encoding=UTF8",
            // Until our own pg_hba.conf is in place nobody comes in at all.
            "--auth=reject",
            "--data-checksums",
            "--no-sync",
            "--no-instructions",
        ]);
        run(initdb)?;
        std::thread::scope(|scope| {
            let copies: Vec<_> = missing.iter().map(|dir| scope.spawn(|| Self::copy(&template, dir))).collect();
            copies.into_iter().try_for_each(|copy| copy.join().unwrap_or_else(|_| bail!("a copy failed")))
        })?;
        fs::remove_dir_all(&template)?;
        Ok(())
    }

    fn copy(template: &Path, dir: &Path) -> Result<()> {
        let partial = dir.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(template).arg(&partial);
        run(copy)?;
        // initdb did not sync; a machine that stops now must not leave half a database that looks whole.
        let mut sync = Command::new("sync");
        sync.arg("-f").arg(&partial);
        run(sync)?;
        fs::rename(&partial, dir)?;
        Ok(())
    }

    /// Writes the configuration that is the same each time, and the server's certificate.
    pub fn configure(&self, server: &Server, certificate: &[u8], key: &[u8]) -> Result<()> {
        if !server.socket_dir.exists() {
            let parent = server.socket_dir.parent().context("a socket's folder has a parent")?;
            keep::folder(parent, Readers::All)?;
            self.own_folder(&server.socket_dir)?;
        }
        for (name, bytes) in [
            ("postgresql.conf", settings(server).as_bytes()),
            ("pg_hba.conf", HBA.as_bytes()),
            ("server.crt", certificate),
            ("server.key", key),
        ] {
            let path = server.data_dir.join(name);
            keep::write(&path, Readers::Owner, bytes)?;
            self.give(&path)?;
        }
        Ok(())
    }

    /// The server as a process to keep running.
    pub fn program(&self, home: &Home, planned: &PlannedRegion, server: &Server) -> Program {
        let name = format!("postgres {}", planned.region.name());
        let argv: Vec<OsString> =
            vec![self.bin.join("postgres").into(), "-D".into(), server.data_dir.clone().into()];
        Program {
            name,
            argv,
            log: home.region(planned.region).postgres_log(),
            run_as: self.run_as.clone(),
            stop_with: StopWith::Int,
            stop_within: Duration::from_secs(30),
        }
    }

    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let mut command = match &self.run_as {
            None => Command::new(path),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(user.setpriv_args()).arg("--").arg(path);
                command
            }
        };
        // Not the caller's: the ordinary user may not be able to stand there.
        command.current_dir("/").env("TZ", "UTC").env("LC_ALL", "C");
        command
    }

    fn own_folder(&self, path: &Path) -> Result<()> {
        keep::folder(path, Readers::Owner)?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> Result<()> {
        let Some(user) = &self.run_as else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
            .with_context(|| format!("cannot give {} to the user that Postgres runs as", path.display()))
    }
}

/// Whether the server with this process id has come up. The eighth line of its own file says so.
pub fn is_ready(dir: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(dir.join("postmaster.pid")) else { return false };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.first().is_some_and(|first| first.parse() == Ok(pid)) && lines.get(7) == Some(&"ready")
}

/// The folder beside the home folder for a cluster whose home an ordinary user cannot reach.
pub fn outside(cluster: Label) -> PathBuf {
    Path::new("/var/tmp").join(format!("domicile-{cluster}"))
}

/// A socket's address has 107 bytes, and Postgres reads its folder from a list with quoting of its own.
fn fits_a_socket(dir: &Path) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    dir.to_str().is_some_and(|text| text.len() <= 85 && text.bytes().all(plain))
}

fn version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

fn run(mut command: Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{name} failed ({}): {}", output.status, said.trim());
    Ok(())
}

/// Who may come in. What no line names is refused: the superuser, for one.
const HBA: &str = "\
# Written by `domicile dev`. Each line is tried in turn; who fits none is refused.
# The socket lies in a folder that only the server's own user and root can enter.
local   all      postgres                         trust
hostssl domicile domicile_owner   127.0.0.1/32 scram-sha-256
hostssl domicile domicile_app     127.0.0.1/32 scram-sha-256
# Reads everything and changes nothing: for tests and for people who look. Sealed columns stay sealed.
host    domicile domicile_inspect 127.0.0.1/32 trust
";

fn settings(server: &Server) -> String {
    let Server { socket_dir, port, .. } = server;
    let socket_dir = socket_dir.display();
    format!(
        "\
# Written by `domicile dev` at each start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 60
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_min_protocol_version = 'TLSv1.2'
password_encryption = 'scram-sha-256'
timezone = 'UTC'

shared_buffers = '64MB'
max_wal_size = '512MB'
min_wal_size = '64MB'
fsync = on
synchronous_commit = on
full_page_writes = on
idle_in_transaction_session_timeout = '60s'

# No value of a row or a parameter may reach the log.
log_destination = 'stderr'
logging_collector = off
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_error_verbosity = terse
log_min_error_statement = panic
log_statement = none
log_duration = off
log_min_duration_statement = -1
log_min_duration_sample = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_temp_files = -1
log_lock_waits = off
debug_print_parse = off
debug_print_rewritten = off
debug_print_plan = off
track_activity_query_size = 100
"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_user_may_pass_only_where_the_bits_let_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).expect("makes");
        let stranger = RunAs { uid: 64_999, gid: 64_999 };
        let set = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("sets");
        set(0o711);
        assert!(stranger.may_pass(&inner));
        set(0o700);
        assert!(!stranger.may_pass(&inner));
    }

    #[test]
    fn a_long_or_odd_path_has_its_socket_elsewhere() {
        assert!(fits_a_socket(Path::new("/home/ana/domicile/.domicile/regions/tx/postgres")));
        assert!(!fits_a_socket(Path::new("/home/ana/with a space/postgres")));
        assert!(!fits_a_socket(&Path::new("/").join("long".repeat(30))));
    }

    #[test]
    fn ready_is_said_by_the_server_with_this_pid_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |text: &str| fs::write(dir.path().join("postmaster.pid"), text).expect("writes");
        write("77\n/d\n1\n5432\n\n127.0.0.1\n1\nready   \n");
        assert!(is_ready(dir.path(), 77));
        assert!(!is_ready(dir.path(), 78), "a file that another server left");
        write("77\n/d\n1\n5432\n\n127.0.0.1\n1\nstarting\n");
        assert!(!is_ready(dir.path(), 77));
    }

    #[test]
    fn the_settings_keep_values_out_of_the_log() {
        let text = settings(&Server { data_dir: "/d".into(), socket_dir: "/s".into(), port: 5432 });
        for line in
            ["log_error_verbosity = terse", "log_parameter_max_length_on_error = 0", "log_statement = none"]
        {
            assert!(text.contains(line), "{line}");
        }
    }
}
