//! A member of the control plane and nothing else: Raft, its log on disk, mutual TLS. Benchmarks run one in their own
//! process and the others in processes of their own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use residency_control::peer::{PeerId, PeerPaths, PeerPool, PeerTls, peer_of};
use residency_control::system::SystemClock;
use residency_control::{Config, Control, Endpoint, Member, Timings};
use residency_policy::NodeId;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a member is told.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, and for what the member keeps.
    #[arg(long)]
    pub home: PathBuf,
    /// Who this is.
    #[arg(long)]
    pub id: PeerId,
    /// All members: an identity, `=`, and the port on this machine.
    #[arg(long = "member", value_parser = seat)]
    pub members: Vec<(PeerId, u16)>,
}

fn seat(text: &str) -> Result<(PeerId, u16), String> {
    let (id, port) = text.rsplit_once('=').ok_or("expected IDENTITY=PORT")?;
    let id = id.parse().map_err(|_| format!("{id} is no identity"))?;
    Ok((id, port.parse().map_err(|_| format!("{port} is no port"))?))
}

/// Runs a member until its input ends.
pub fn run(ask: &Ask) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let control = runtime.block_on(start(ask, BTreeMap::new()))?;
    say("ready")?;
    until_told()?;
    runtime.block_on(control.shutdown());
    Ok(true)
}

/// Says a line to the process that started this one.
pub(super) fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Waits until that process ends, or closes this one's input.
pub(super) fn until_told() -> anyhow::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The members by their ids, as a configuration has them.
pub(crate) fn seats(members: &[(PeerId, u16)]) -> anyhow::Result<BTreeMap<NodeId, Member>> {
    let host: residency_control::Host = "localhost".parse().context("a host")?;
    let seat = |(id, port): &(PeerId, u16)| (id.node, Member::new(id.kind, Endpoint::new(host.clone(), *port)));
    Ok(members.iter().map(seat).collect())
}

/// Starts a member and its listener. As leader it adds these learners.
pub(crate) async fn start(ask: &Ask, learners: BTreeMap<NodeId, Member>) -> anyhow::Result<Control> {
    let file = |name: &str| ask.home.join(name);
    let tls = PeerTls::load(PeerPaths { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") })?;
    let Some((_, port)) = ask.members.iter().find(|(id, _)| *id == ask.id) else {
        bail!("{} is not among the members", ask.id);
    };
    let listener = TcpListener::bind(("127.0.0.1", *port)).await.with_context(|| format!("port {port}"))?;
    let control = Control::start(Config {
        id: ask.id.node,
        dir: ask.home.join("control"),
        tls: tls.clone(),
        pool: PeerPool::new(tls.clone()),
        peers: seats(&ask.members)?,
        learners,
        timings: Timings::default(),
        clock: Arc::new(SystemClock),
    })
    .await?;
    tokio::spawn(listen(listener, tls, control.clone()));
    Ok(control)
}

async fn listen(listener: TcpListener, tls: PeerTls, control: Control) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, control) = (TlsAcceptor::from(tls.server_config()), control.clone());
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            let Ok(stream) = acceptor.accept(tcp).await else { return };
            let Ok(peer) = peer_of(stream.get_ref().1) else { return };
            let service = service_fn(move |request| {
                let control = control.clone();
                async move { Ok::<_, Infallible>(control.serve_peer(&peer, request).await) }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
