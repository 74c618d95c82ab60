//! What stands behind the router and its peers: a home that answers every request with 1 KiB, and the control plane's
//! only voter, whose directory holds a million patients. In a process of its own, so that it can have a core of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{KeyPair, SigningKey as _};
use residency_control::peer::{PeerKind, PeerPaths, PeerTls};
use residency_control::system::SystemEntropy;
use residency_control::{
    Command, Control, Endpoint, IdBatch, JurisdictionSet, KeyVerifier, Member, Organisation, Outcome,
    PolicyVersion, RegionEntry, Signature64, Standing, keys,
};
use residency_policy::{Ingress, NodeId, OrgId, OrgType, Role, Ruleset, ruleset};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::directory;
use super::super::member::{self, say, until_told};

/// The router's node id.
pub(super) const ROUTER: u64 = 10;
/// The home's node id.
pub(super) const VOTER: u64 = 1;
/// How long the member may take to lead, and any change to be made.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is answered: about what a patient is.
const BODY: &[u8; 1_024] = &[b'x'; 1_024];

/// What a home is told.
#[derive(Debug, Clone, Args)]
pub struct Ask {
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, and for what the member keeps.
    #[arg(long)]
    pub home: PathBuf,
    /// The port on which the router hears from the control plane.
    #[arg(long)]
    pub router: u16,
    /// The port on which the voter is reached.
    #[arg(long)]
    pub voter: u16,
    /// How many patients the directory holds.
    #[arg(long)]
    pub patients: u64,
}

/// What a home says when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// An API key that may read.
    pub(super) api_key: String,
    /// The public key of whoever put the rules in force, as 64 hexadecimal digits.
    pub(super) verify_key: String,
    /// Where members are answered, who must show a certificate: HTTP/2 and HTTP/1.1.
    pub(super) mutual: u16,
    /// Where everybody is answered.
    pub(super) open: u16,
}

/// Runs a home until its input ends.
pub fn run(ask: &Ask) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (control, ready) = runtime.block_on(start(ask))?;
    say(&serde_json::to_string(&ready)?)?;
    until_told()?;
    runtime.block_on(control.shutdown());
    Ok(true)
}

async fn start(ask: &Ask) -> anyhow::Result<(Control, Ready)> {
    let file = |name: &str| ask.home.join(name);
    let paths = PeerPaths { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") };
    let mutual = ServerConfig::clone(&*PeerTls::load(paths.clone())?.server_config());
    let open = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_file_iter(&paths.cert)?.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_file(&paths.key)?,
        )?;
    let (mutual, open) = (serve(mutual).await?, serve(open).await?);

    let id = format!("spiffe://domicile/region/us-tx/node/{VOTER}").parse().context("an identity")?;
    let seats = vec![(id, ask.voter)];
    let localhost =
        |port: u16| Ok::<_, anyhow::Error>(Endpoint::new("localhost".parse().context("a host")?, port));
    let california = Ingress("US-CA".parse().context("a jurisdiction")?);
    let router = Member::new(PeerKind::Router(california), localhost(ask.router)?);
    let learners = BTreeMap::from([(NodeId(ROUTER), router)]);
    let told = member::Ask { home: ask.home.clone(), id, members: seats.clone() };
    let control = member::start(&told, learners).await?;
    control.initialize(member::seats(&seats)?).await?;
    control.reader().wait(|reader| reader.status().standing == Standing::Leader, PATIENCE).await?;
    let (api_key, verify_key) = fill(&control, ask.patients, localhost(mutual)?).await?;
    Ok((control, Ready { api_key, verify_key, mutual, open }))
}

async fn put(control: &Control, command: Command) -> anyhow::Result<()> {
    let proposed = control.writer().propose(command).await?;
    ensure!(proposed.outcome == Outcome::Done, "{:?}", proposed.outcome);
    Ok(())
}

/// Patients, the region that they live in, the rules that the product ships with, and a provider's key.
async fn fill(control: &Control, patients: u64, at: Endpoint) -> anyhow::Result<(String, String)> {
    let region = directory::home()?.0;
    put(control, Command::AddRegion(RegionEntry { region, public: at.clone(), peer: at })).await?;
    for from in (0..patients).step_by(IdBatch::LEN_MAX) {
        let until = patients.min(from + IdBatch::LEN_MAX as u64);
        let ids = IdBatch::new((from..until).map(directory::id).collect()).context("a batch of ids")?;
        put(control, Command::ClaimIds { region, ids }).await?;
    }
    let org = OrgId::from_bytes([1; 16]);
    let everywhere = JurisdictionSet::all();
    put(
        control,
        Command::PutOrganisation(Organisation {
            id: org,
            name: "Lone Star Family Clinic".parse().context("a name")?,
            org_type: OrgType::Provider,
            serves: everywhere,
            active: true,
        }),
    )
    .await?;
    let minted = keys::mint(&SystemEntropy::new());
    let verifier = KeyVerifier {
        key: minted.key,
        org,
        role: Role::Provider,
        jurisdictions: everywhere,
        secret_sha256: minted.secret_sha256,
        revoked: false,
        expires: None,
    };
    put(control, Command::PutKey(verifier)).await?;
    let signer = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let rules = Ruleset::parse(ruleset::SHIPPED)?;
    let (version, digest) = (rules.version(), rules.digest());
    let signature = signer.sign(&ruleset::signed_bytes(version, digest))?;
    let signature: [u8; 64] = signature.try_into().ok().context("an Ed25519 signature has 64 bytes")?;
    let signature = Signature64::from_bytes(&signature);
    put(control, Command::PutPolicy(PolicyVersion { version, digest, signature })).await?;
    let mut verify_key = String::new();
    for byte in signer.public_key_raw() {
        write!(verify_key, "{byte:02x}")?;
    }
    Ok((minted.text.reveal().to_owned(), verify_key))
}

/// Answers everybody who comes in with this configuration, over HTTP/2 or HTTP/1.1.
async fn serve(mut tls: ServerConfig) -> anyhow::Result<u16> {
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = tcp.set_nodelay(true);
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                let service = service_fn(|_| async { Ok::<_, Infallible>(answer()) });
                let mut builder = auto::Builder::new(TokioExecutor::new());
                // As many as a peer likes: the home is not what is measured.
                builder.http2().max_concurrent_streams(1_024);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(port)
}

fn answer() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(Bytes::from_static(BODY)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
