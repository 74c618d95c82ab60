//! One Postgres server in a temporary folder: TLS, SCRAM, a free port, gone when dropped.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use storage_keys::connect::{Secret, Server};

use super::process;

const PASSWORD: &str = "throw-away";
/// Quick to start and small; durability off, as nothing here outlives the test. A test of durability says otherwise.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("ssl", "on"),
    ("password_encryption", "scram-sha-256"),
    ("shared_buffers", "16MB"),
    ("max_connections", "120"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("autovacuum", "off"),
];

/// A running server.
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl PostgresServer {
    /// Starts a new server with these settings beside the usual ones. It is a copy: all servers that are started so
    /// have one system identifier.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(template()).arg(&folder);
        process::run(copy);
        Self::start_in(folder, settings)
    }

    /// Starts a server that has a system identifier of its own.
    pub fn start_unrelated(settings: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        initialise(&folder);
        Self::start_in(folder, settings)
    }

    fn start_in(folder: PathBuf, settings: &[(&str, &str)]) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = socket.local_addr().expect("an address").port();
        let server = Self { folder, port, process: Mutex::new(None) };
        server.write_settings(settings);
        drop(socket);
        server.start_again();
        server
    }

    /// One server that all tests of a process share, each with databases of its own. It ends with the process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Starts the server, after [`PostgresServer::stop`], on the same port and data.
    pub fn start_again(&self) {
        let log =
            OpenOptions::new().append(true).create(true).mode(0o644).open(self.log()).expect("a log file");
        let mut command = process::command(&process::binary("postgres"));
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = process::spawn(command).expect("postgres starts (setpriv is in util-linux)");
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        self.wait_until_ready();
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&self) {
        let Some(mut child) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut quit = process::command(&process::binary("pg_ctl"));
        quit.args(["kill", "QUIT", &child.id().to_string()]);
        if !quit.output().is_ok_and(|output| output.status.success()) {
            drop(child.kill());
        }
        drop(child.wait());
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a role connects to a database.
    pub fn server(&self, dbname: &str, user: &str) -> Server {
        Server {
            host: "127.0.0.1".into(),
            port: self.port,
            dbname: dbname.into(),
            user: user.into(),
            password: Secret::new(PASSWORD),
            ca_cert: self.folder.join("ca.pem"),
            connect_timeout: Duration::from_secs(5),
        }
    }

    /// A database's schema as `pg_dump` writes it.
    pub fn schema_of(&self, dbname: &str) -> String {
        let mut dump = Command::new(process::binary("pg_dump"));
        dump.args(["--schema-only", "--host=127.0.0.1", "--username=postgres"])
            .arg(format!("--port={}", self.port))
            .arg(dbname)
            .envs([("PGPASSWORD", PASSWORD), ("PGSSLMODE", "require")]);
        let output = dump.output().expect("pg_dump runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Later minor versions begin and end a dump with a random word.
        text.lines().filter(|line| !line.contains("restrict ")).flat_map(|line| [line, "\n"]).collect()
    }

    /// How the superuser connects to a database.
    pub fn superuser(&self, dbname: &str) -> Server {
        self.server(dbname, "postgres")
    }

    fn write_settings(&self, settings: &[(&str, &str)]) {
        let (cert, key) = (self.folder.join("server.pem"), self.folder.join("server.key"));
        let mut text = format!("port = {}\n", self.port);
        let files =
            [("ssl_cert_file", cert.display().to_string()), ("ssl_key_file", key.display().to_string())];
        let files = files.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(files).chain(settings.iter().copied()) {
            writeln!(text, "{name} = '{value}'").expect("a string takes text");
        }
        fs::write(self.data().join("postgresql.auto.conf"), text).expect("the settings are written");
        fs::write(self.data().join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n")
            .expect("the access rules are written");
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let pid_file = self.data().join("postmaster.pid");
        loop {
            // The eighth line says how far the server is.
            let text = fs::read_to_string(&pid_file).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return;
            }
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = process.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let late = Instant::now() > deadline;
            assert!(
                ended.is_none() && !late,
                "Postgres did not start:\n{}",
                fs::read_to_string(self.log()).unwrap_or_default()
            );
            drop(process);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// This process's own folder. A shared server is never dropped, so folders of processes that ended are removed here.
fn own_folder() -> &'static Path {
    static OWN: OnceLock<PathBuf> = OnceLock::new();
    OWN.get_or_init(|| {
        const PREFIX: &str = "domicile-test-postgres-";
        let temp = std::env::temp_dir();
        for entry in fs::read_dir(&temp).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        let own = temp.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&own).expect("a temporary folder");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).expect("own folder");
        process::give(&own);
        own
    })
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    own_folder().join(COUNT.fetch_add(1, Ordering::Relaxed).to_string())
}

/// A cluster that was initialised once and is copied for every server.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = own_folder().join("template");
        initialise(&folder);
        folder
    })
}

fn initialise(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    process::give(folder);
    let pem = super::tls::make();
    let files = [
        ("ca.pem", &*pem.ca, 0o644),
        ("server.pem", &pem.cert, 0o644),
        ("server.key", &pem.key, 0o600),
        ("password", PASSWORD, 0o600),
    ];
    for (name, text, mode) in files {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        process::give(&path);
    }
    let mut initdb = process::command(&process::binary("initdb"));
    initdb
        .args(["--no-sync", "--locale=C", "--encoding=UTF8", "--username=postgres", "--auth=scram-sha-256"])
        .args(["--wal-segsize=1", "--pwfile"])
        .arg(folder.join("password"))
        .arg("-D")
        .arg(folder.join("data"));
    process::run(initdb);
}
