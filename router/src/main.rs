//! The edge process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::{Clock, Entropy};
use router::config::{Config, Level};
use router::telemetry;
use router::traces::{Decides, Traces};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// Takes requests at the edge and carries each to the home that it names.
///
/// The router ends TLS, finds the patient or region in the path and query, and then forwards over mutual TLS,
/// redirects, or refuses, as the rules in force say. It reads no body, holds no key and opens no database. It is a
/// learner of the control plane: a voter must name it before it knows any home.
#[derive(Debug, Parser)]
#[command(
    name = "domicile-router",
    version,
    after_help = "Examples:\n  \
        domicile-router --config router.toml --check     say what is wrong with a configuration\n  \
        domicile-router --config router.toml             serve\n\n\
        Signals:\n  \
        SIGTERM, SIGINT   take nothing new, finish what is in flight (timeouts.drain_ms), end\n  \
        SIGHUP            read certificates and rules again; also done when the files change\n\n\
        Pages:\n  \
        /healthz          200 while the process is alive\n  \
        /readyz           200 when it can route: fresh view, regions, rules in force\n  \
        /metrics          for Prometheus; with metrics.listen only there\n\n\
        A commented sample is in deploy/config/router.toml. Exit codes: 0 ended as told, 1 cannot run, 2 wrong usage."
)]
struct Asked {
    /// The configuration, TOML. Unknown keys are refused.
    #[arg(long, value_name = "FILE", env = "DOMICILE_ROUTER_CONFIG")]
    config: PathBuf,
    /// Read the configuration and every file that it names, say what is wrong, and end.
    #[arg(long)]
    check: bool,
}

/// Requests allocate much, and briefly: in the C library's allocator the router spent a sixth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    router::panics::say_only_where();
    match act(&Asked::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("domicile-router: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn act(asked: &Asked) -> Result<()> {
    // Every builder of ours names its provider; this is for what a library may build by itself.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());

    let config = Config::read(&asked.config)?;
    let read = router::read_files(&config, &*clock)?;
    if asked.check {
        say(&mut std::io::stdout(), &format!("{} is in order", asked.config.display()));
        return Ok(());
    }

    let runtime = runtime().context("cannot start the runtime")?;
    let place = config.ingress.0.code();
    let traces = Traces::begin(&config.traces, "domicile-router", place, Decides::Here, runtime.handle())?;
    let _flush =
        telemetry::start(filter(config.level), Arc::clone(&clock), traces.as_ref(), std::io::stdout())?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let told = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(router::run(config, read, clock, entropy, told).await?)
    });
    if let Some(traces) = traces {
        // The last batch is sent on the runtime, so that has to run meanwhile.
        let sent = runtime.block_on(tokio::task::spawn_blocking(move || traces.end()));
        sent.context("the last traces were not sent")?;
    }
    ended
}

/// As many threads as there are processors. On one processor there is nobody to share work with, and a runtime that
/// shares none costs less.
fn runtime() -> std::io::Result<Runtime> {
    let alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    let mut builder = if alone { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}

fn say(to: &mut impl std::io::Write, text: &str) {
    // If nobody listens any more, there is nobody to tell.
    let _ = writeln!(to, "{text}");
}
