//! What users would pick instead, started with temporary folders and free ports.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::Options;
use super::class::Core;
use super::series::{self, Sample, Spread};

/// How long a peer may take to listen.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// A running peer. It ends when this is dropped.
#[derive(Debug)]
pub struct Peer {
    /// What it is called in a table.
    pub name: &'static str,
    child: Child,
    log: PathBuf,
}

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("a free port")?.local_addr()?.port())
}

/// A program on the search path, or where Debian puts what only root is thought to need.
pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not installed: run ./dev bench, which installs it"))
}

impl Peer {
    /// Starts a program in the class of the benchmark on this core, with its output in a file of `folder`.
    pub fn start(
        name: &'static str,
        (options, core): (&Options, Core),
        folder: &Path,
        program: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = fs::File::create(&log).with_context(|| log.display().to_string())?;
        let child = options
            .class
            .command_on(core, program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Self { name, child, log })
    }

    /// Its process; what it started is below it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens there.
    pub fn until_listening(&mut self, port: u16) -> anyhow::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended: {status}\n{}", self.name, self.said());
            }
            ensure!(begun.elapsed() < UP_WITHIN, "{} does not listen on {port}\n{}", self.name, self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // In good order, because masters end their workers; then by force.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// HAProxy with this configuration, in the foreground, once it listens on `port`.
pub fn haproxy(on: (&Options, Core), folder: &Path, config: &str, port: u16) -> anyhow::Result<Peer> {
    let path = folder.join("haproxy.cfg");
    fs::write(&path, config)?;
    let arguments = ["-f", &path.display().to_string(), "-db"].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut peer = Peer::start("haproxy", on, folder, &find("haproxy")?, &arguments)?;
    peer.until_listening(port)?;
    Ok(peer)
}

/// nginx with this configuration, in the foreground, once it listens on `port`. Its folders are in `folder`; the
/// configuration says `daemon off;` itself.
pub fn nginx(on: (&Options, Core), folder: &Path, config: &str, port: u16) -> anyhow::Result<Peer> {
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    let (folder_text, path) = (folder.display().to_string(), path.display().to_string());
    let arguments = ["-p", &folder_text, "-c", &path, "-e", "stderr"];
    let mut peer = Peer::start("nginx", on, folder, &find("nginx")?, &arguments)?;
    peer.until_listening(port)?;
    Ok(peer)
}

/// Certificate, key and authority, as PEM files.
#[derive(Debug, Clone)]
pub struct Pem {
    /// The authority.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A cluster of etcd.
#[derive(Debug)]
pub struct Etcd {
    /// Its members.
    pub members: Vec<Peer>,
    /// Where clients connect, in the order of the members.
    pub ports: Vec<u16>,
}

impl Etcd {
    /// Three members on loopback with data in `folder`, fsync on. With certificates, members speak mutual TLS to
    /// one another and TLS to clients.
    pub fn start(options: &Options, folder: &Path, tls: Option<&Pem>) -> anyhow::Result<Self> {
        let program = find("etcd")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let ports = (0..6).map(|_| free_port()).collect::<anyhow::Result<Vec<_>>>()?;
        let url = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        let cluster: Vec<String> = (0..3).map(|at| format!("m{at}={}", url(ports[3 + at]))).collect();
        let mut members = Vec::new();
        for at in 0..3 {
            let home = folder.join(format!("m{at}"));
            fs::create_dir_all(&home)?;
            let mut flags = vec![
                format!("--name=m{at}"),
                format!("--data-dir={}", home.join("data").display()),
                format!("--listen-client-urls={}", url(ports[at])),
                format!("--advertise-client-urls={}", url(ports[at])),
                format!("--listen-peer-urls={}", url(ports[3 + at])),
                format!("--initial-advertise-peer-urls={}", url(ports[3 + at])),
                format!("--initial-cluster={}", cluster.join(",")),
                "--initial-cluster-state=new".to_owned(),
                "--log-level=warn".to_owned(),
                // What it recommends for a busy machine; the default makes it hold elections instead of working.
                "--heartbeat-interval=250".to_owned(),
                "--election-timeout=2500".to_owned(),
            ];
            if let Some(pem) = tls {
                for (flag, path) in [
                    ("cert-file", &pem.cert),
                    ("key-file", &pem.key),
                    ("peer-cert-file", &pem.cert),
                    ("peer-key-file", &pem.key),
                    ("peer-trusted-ca-file", &pem.ca),
                ] {
                    flags.push(format!("--{flag}={}", path.display()));
                }
                flags.push("--peer-client-cert-auth".to_owned());
            }
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            members.push(Peer::start("etcd", (options, Core::Any), &home, &program, &flags)?);
        }
        for (member, port) in members.iter_mut().zip(&ports) {
            member.until_listening(*port)?;
        }
        Ok(Self { members, ports: ports[..3].to_vec() })
    }

    /// The processes of all members.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().map(Peer::pid).collect()
    }
}

/// A database that pgbench connects to.
#[derive(Debug, Clone)]
pub struct Database {
    /// An address, or the folder of a socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
}

/// One turn of pgbench with this script, which stands in a file: its rate and latency.
pub fn pgbench(
    options: &Options,
    folder: &Path,
    database: &Database,
    script: &Path,
    clients: usize,
    turn: Duration,
) -> anyhow::Result<Sample> {
    let prefix = folder.join("pgbench");
    remove_logs(folder)?;
    let seconds = turn.as_secs().max(1).to_string();
    let output = options
        .class
        .command(find("pgbench")?)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=1", "--log", "--sampling-rate=0.1"])
        .arg(format!("--log-prefix={}", prefix.display()))
        .args(["--client", &clients.to_string(), "--time", &seconds])
        .args(["--host", &database.host, "--port", &database.port.to_string(), "--username", &database.user])
        .arg("--file")
        .arg(script)
        .arg(&database.dbname)
        .stdin(Stdio::null())
        .output()
        .context("pgbench")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "pgbench: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let rate = after(&said, "tps = ").with_context(|| format!("pgbench gave no rate:\n{said}"))?;
    let mut sample = Sample::new().with(series::RATE, rate);
    let mut latencies = read_logs(folder)?;
    latencies.sort_by(f64::total_cmp);
    for (name, hundredths) in [(series::P50, 50), (series::P95, 95), (series::P99, 99)] {
        if let Some(figure) = latencies.get(latencies.len() * hundredths / 100) {
            sample = sample.with(name, *figure);
        }
    }
    Ok(sample)
}

/// The number that follows the last place where `key` stands.
fn after(text: &str, key: &str) -> Option<f64> {
    text.rsplit_once(key)?.1.split_whitespace().next()?.parse().ok()
}

fn logs(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let named = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("pgbench."))
    };
    Ok(entries.into_iter().map(|entry| entry.path()).filter(named).collect())
}

fn remove_logs(folder: &Path) -> anyhow::Result<()> {
    logs(folder)?.iter().try_for_each(|path| Ok(fs::remove_file(path)?))
}

/// The third field of a line is what a transaction took, in microseconds.
fn read_logs(folder: &Path) -> anyhow::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for path in logs(folder)? {
        let text = fs::read_to_string(&path)?;
        latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    Ok(latencies)
}

/// Reads a program's version line, for the report.
pub fn version(program: &str, flag: &str) -> String {
    let output = find(program).ok().and_then(|path| Command::new(path).arg(flag).output().ok());
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("not installed").trim().to_owned()
}

/// A single figure as a spread, for what is measured once.
pub fn once(figure: f64) -> Option<Spread> {
    Spread::of(vec![figure])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_says() {
        let said = "latency average = 0.3 ms\ntps = 23371.5 (without initial connection time)\n";
        assert_eq!(after(said, "tps = "), Some(23_371.5));
        assert_eq!(after("nothing", "tps = "), None);
    }

    #[test]
    fn latencies_are_read_from_its_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("pgbench.77"), "0 1 513 0 17 5\n1 1 487 0 17 9\n").expect("writes");
        fs::write(folder.path().join("other"), "0 1 1 0 17 5\n").expect("writes");
        assert_eq!(read_logs(folder.path()).expect("reads"), [513.0, 487.0]);
        remove_logs(folder.path()).expect("removes");
        assert!(read_logs(folder.path()).expect("reads").is_empty());
    }
}
