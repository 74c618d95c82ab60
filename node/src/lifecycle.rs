//! The life of a node: proven, listening, ready, drained, ended.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use residency_control::FatalReason;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::{Clock, Entropy};
use router::listen::{Drain, Drained};
use router::traces::{Decides, Traces};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::exit::{Cause, Stop};
use crate::{hardening, listeners, tasks, telemetry, wiring};

/// Threads for what blocks: the control plane's store and the embedded keyring, and no crowd.
const BLOCKING_THREADS_MAX: usize = 16;

/// How long peers have to finish what they ask, once callers were served.
const PEERS_FINISH_WITHIN: Duration = Duration::from_secs(5);

/// Reads a configuration.
pub fn load(file: &Path) -> Result<Config, Stop> {
    Config::load(file).map_err(|e| {
        Stop::new(Cause::Config, e.to_string(), "deploy/config/node.toml is a commented sample of every key")
    })
}

/// A runtime with this many threads.
pub fn runtime(threads: usize) -> Result<Runtime, Stop> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(|e| {
            Stop::new(Cause::Other, format!("no threads can be started: {e}"), "see the limits of the process")
        })
}

/// Serves the region that a configuration names, until told to stop.
pub fn node(file: &Path) -> Result<ExitCode, Stop> {
    hardening::never_dump()?;
    let config = load(file)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtime = runtime(config.limits.worker_threads)?;
    let place = config.region.region().0.code();
    let traces = Traces::begin(&config.traces, "domicile-node", place, Decides::Sender, runtime.handle())
        .map_err(|e| Stop::new(Cause::Config, e.to_string(), "see [traces]"))?;
    // To the end: what still waits then is written.
    let _flush = telemetry::begin(&config.log.level, Arc::clone(&clock), traces.as_ref())
        .map_err(|e| Stop::new(Cause::Config, e.to_string(), "see [log] level"))?;
    let served = runtime.block_on(serve(config, clock, Arc::new(SystemEntropy::new())));
    if let Err(stop) = &served {
        tracing::error!(error = stop.what, mend = stop.mend, exit_code = stop.cause.code(), "the node ends");
    }
    if let Some(traces) = traces {
        traces.end();
    }
    // What still blocks is either on disk already or was never acknowledged.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<(), Stop> {
    let stopped = stop_signal()?;
    tokio::pin!(stopped);
    let node = tokio::select! {
        node = wiring::join(config, clock, entropy) => node?,
        () = &mut stopped => return Ok(()),
    };
    let (region, id) = (node.config.region.region(), node.config.region.node);
    let doors = listeners::bind(&node).await.map_err(|e| {
        Stop::new(Cause::Listen, e.to_string(), "see [listen]; another process may have the port")
    })?;
    let app = node_clinical::router(node.here.clone(), Arc::clone(&node.desk));
    // Peers are heard until callers were served: what a caller changes is only known here when a peer has told.
    let (drain, peers) = (Drain::new(), Drain::new());
    listeners::watch(&node, &drain);
    let tasks = tasks::start(&node, &drain);
    tracing::info!(%region, node = %id, public = %node.config.listen.public, "the node listens");

    let serving = doors.serve(&node, app, &drain, &peers);
    tokio::pin!(serving);
    let ended = tokio::select! {
        () = &mut serving => Ok(()),
        () = &mut stopped => Ok(()),
        reason = node.control.fatal() => Err(no_member_any_more(&reason)),
    };
    if ended.is_ok() {
        // While another takes the lead, everybody is served as before.
        let handed = tokio::select! {
            handed = node.control.retire() => handed,
            () = &mut serving => true,
        };
        tracing::info!(%region, node = %id, handed, "the node takes no lead in the control plane any more");
    }
    tracing::info!(%region, node = %id, "the node finishes what is under way");
    for (drain, within) in [(&drain, node.config.limits.drain()), (&peers, PEERS_FINISH_WITHIN)] {
        if let Drained::Cut(open) = drain.finish(within).await {
            tracing::warn!(open, "connections were cut when the time to finish was over");
        }
    }
    tasks.wait().await;
    node.control.shutdown().await;
    tracing::info!(%region, node = %id, "the node has ended");
    ended
}

fn no_member_any_more(reason: &FatalReason) -> Stop {
    let (cause, mend) = match reason {
        FatalReason::Stopped(_) => (
            Cause::Latched,
            "see that the disk of [control] dir has room and is sound, then start the node again; it goes on from \
             what it had on disk, and nothing that it acknowledged is lost",
        ),
        FatalReason::Removed(_) | FatalReason::OtherDisk(_) => (
            Cause::NoMember,
            "give the node a new id in [region] node, an empty [control] dir and a certificate for that id, then \
             add it with `domicile cluster add`; deploy/runbooks/membership.md shows each step",
        ),
    };
    Stop::new(cause, reason.to_string(), mend)
}

/// Resolves on SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Stop> {
    let listen = |kind| {
        signal(kind)
            .map_err(|e| Stop::new(Cause::Other, format!("signals cannot be received: {e}"), "see the sandbox"))
    };
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
