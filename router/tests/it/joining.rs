//! The program itself, as a learner of a real control plane.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use residency_control::peer::{PeerId, PeerKind, PeerPool, peer_of};
use residency_control::system::{SystemClock, SystemEntropy};
use residency_control::{
    Command, Control, Endpoint, IdBatch, JurisdictionSet, KeyVerifier, Member, Organisation, Outcome,
    PolicyVersion, RegionEntry, Signature64, Timings, keys,
};
use residency_policy::{Ingress, NodeId, OrgId, OrgType, PatientId, Region, Role, Ruleset, ruleset};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use router::limits::Limits;
use router::listen::{Drain, Listener};

use crate::support::certificates::Authority;
use crate::support::client::{Client, Http, get};
use crate::support::{RULES, at};

/// A voter in Texas: the control plane's only one, and a home that answers whatever a router forwards.
struct Voter {
    control: Control,
    endpoint: Endpoint,
    signer: Ed25519KeyPair,
}

/// A port that is free until the program takes it. Not one of those that the kernel gives to whoever asks for any: the
/// other tests ask all the time, and one of them would have it before the program has started.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 500 * 20;
    let mut ports = std::iter::repeat_with(|| {
        let next = first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(20_000 + next % 10_000).unwrap()
    });
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

impl Voter {
    async fn start(authority: &Authority, router: Member) -> Self {
        let tls = authority.peer("spiffe://domicile/region/us-tx/node/1", "voter");
        let limits = Limits { body_bytes: 1 << 30, ..Limits::default() };
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
        let endpoint: Endpoint =
            format!("localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let me = Member::new(PeerKind::Region(Region(at("US-TX"))), endpoint.clone());
        let control = Control::start(residency_control::Config {
            id: NodeId(1),
            dir: authority.dir.path().join("voter"),
            tls: tls.clone(),
            pool: PeerPool::new(tls.clone()),
            peers: BTreeMap::from([(NodeId(1), me.clone())]),
            learners: BTreeMap::from([(NodeId(10), router)]),
            timings: Timings::default(),
            clock: Arc::new(SystemClock),
        })
        .await
        .unwrap();
        let service = service_fn({
            let control = control.clone();
            move |request: Request<Incoming>| {
                let control = control.clone();
                async move {
                    let peer = *request.extensions().get::<PeerId>().unwrap();
                    Ok::<_, std::convert::Infallible>(match request.uri().path() {
                        path if path.starts_with("/v1/") => Response::new(Full::from("at home")),
                        _ => control.serve_peer(&peer, request).await,
                    })
                }
            }
        });
        let source = Arc::new(move || tls.server_config());
        tokio::spawn(listener.serve(source, peer_of, service, Arc::new(SystemEntropy::new()), Drain::new()));
        control.initialize(BTreeMap::from([(NodeId(1), me)])).await.unwrap();
        Self { control, endpoint, signer: Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap() }
    }

    async fn put(&self, command: Command) {
        assert_eq!(self.control.writer().propose(command).await.unwrap().outcome, Outcome::Done);
    }

    async fn put_policy(&self, version: u64, rules: &str) {
        let digest = Ruleset::parse(rules).unwrap().digest();
        let signature = self.signer.sign(&ruleset::signed_bytes(version, digest));
        let signature = Signature64::from_bytes(signature.as_ref().try_into().unwrap());
        self.put(Command::PutPolicy(PolicyVersion { version, digest, signature })).await;
    }
}

/// The program, ended when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Process {
    let mut program = Process::new(env!("CARGO_BIN_EXE_domicile-router"));
    program.args(arguments).env_remove("DOMICILE_ROUTER_CONFIG");
    program
}

fn write_config(authority: &Authority, voter: &Endpoint, listen: u16, peers: u16) -> String {
    let dir = authority.dir.path();
    std::fs::write(dir.join("rules.toml"), RULES).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:{listen}\"\ningress = \"US-CA\"\n\
         [tls]\ncert = \"router.pem\"\nkey = \"router.key\"\n\
         [peer]\nlisten = \"127.0.0.1:{peers}\"\nca = \"ca.pem\"\ncert = \"router-peer.pem\"\nkey = \"router-peer.key\"\n\
         [rules]\nfile = \"rules.toml\"\nverify_key = \"policy.pub\"\n\
         [control]\nid = 10\ndir = \"control\"\n\
         [[control.peers]]\nid = 1\nregion = \"US-TX\"\nat = \"{voter}\"\n"
    );
    let path = dir.join("router.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn status_of(
    router: SocketAddr,
    authority: &Authority,
    path: &str,
    key: Option<&str>,
) -> Option<(u16, String)> {
    tokio::net::TcpStream::connect(router).await.ok()?;
    let mut client = Client::connect(router, authority, Http::Two).await;
    let mut request = get(path);
    request.headers_mut().remove("authorization");
    if let Some(key) = key {
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    let answer = client.send(request).await;
    Some((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_learns_the_directory_routes_and_ends_in_order() {
    let authority = Authority::new();
    authority.peer("spiffe://domicile/router/us-ca/node/10", "router");
    authority.public("router");
    let (listen, peers) = (free_port(), free_port());
    let member =
        Member::new(PeerKind::Router(Ingress(at("US-CA"))), format!("localhost:{peers}").parse().unwrap());
    let voter = Voter::start(&authority, member).await;
    std::fs::write(authority.dir.path().join("policy.pub"), hex(voter.signer.public_key().as_ref())).unwrap();
    let config = write_config(&authority, &voter.endpoint, listen, peers);

    let checked = program(&["--config", &config, "--check"]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let key = authority.dir.path().join("router-peer.key");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let checked = program(&["--config", &config, "--check"]).output().unwrap();
    assert!(!checked.status.success(), "a key that everybody may read");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("chmod 600"));
    mode(0o600);

    let (known, unknown) = (PatientId::random(&SystemEntropy::new()), PatientId::random(&SystemEntropy::new()));
    let texas = Region(at("US-TX"));
    let public = "tx.clinic.example:443".parse().unwrap();
    voter.put(Command::AddRegion(RegionEntry { region: texas, public, peer: voter.endpoint.clone() })).await;
    voter.put(Command::ClaimIds { region: texas, ids: IdBatch::new(vec![known]).unwrap() }).await;
    let org = OrgId::random(&SystemEntropy::new());
    let serves = JurisdictionSet::all();
    let name = "Clinic".parse().unwrap();
    voter
        .put(Command::PutOrganisation(Organisation {
            id: org,
            name,
            org_type: OrgType::Provider,
            serves,
            active: true,
        }))
        .await;
    let minted = keys::mint(&SystemEntropy::new());
    let verifier = KeyVerifier {
        key: minted.key,
        org,
        role: Role::Provider,
        jurisdictions: serves,
        secret_sha256: minted.secret_sha256,
        revoked: false,
        expires: None,
    };
    voter.put(Command::PutKey(verifier)).await;

    let mut child = Program(program(&["--config", &config]).stdout(Stdio::piped()).spawn().unwrap());
    let router = SocketAddr::from(([127, 0, 0, 1], listen));
    let (known, unknown) = (format!("/v1/patients/{known}"), format!("/v1/patients/{unknown}"));
    let key = Some(minted.text.reveal());
    let answered = std::cell::Cell::new(0);
    let reaches = async |path: &str, key: Option<&str>, status: u16| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let found = status_of(router, &authority, path, key).await;
            answered.set(answered.get() + usize::from(found.is_some()));
            if found.as_ref().is_some_and(|(found, _)| *found == status) {
                return found.unwrap().1;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} is {found:?} and not {status}");
            tokio::task::yield_now().await;
        }
    };

    // Until a signed version names the rules that it has, it lets nothing through.
    assert!(reaches(&unknown, key, 503).await.contains("view-unproven"));
    assert!(reaches(&known, key, 503).await.contains("view-unproven"));
    assert!(reaches("/readyz", None, 503).await.contains("rules"));
    voter.put_policy(1, RULES).await;
    reaches("/readyz", None, 200).await;
    assert_eq!(reaches(&known, key, 200).await, "at home");
    assert_eq!(reaches(&unknown, key, 200).await, "at home", "a home says what is not there, not the router");
    reaches(&unknown, None, 401).await;
    // A revoked key is no key.
    voter.put(Command::RevokeKey(minted.key)).await;
    reaches(&unknown, key, 401).await;

    // A new certificate is shown after SIGHUP, without a restart.
    let pid = child.0.id().to_string();
    let before = Client::connect(router, &authority, Http::One).await.leaf;
    authority.public("router");
    assert!(Process::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    while Client::connect(router, &authority, Http::One).await.leaf == before {
        assert!(status_of(router, &authority, "/healthz", None).await.is_some());
    }

    assert!(Process::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut log = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(child.0.wait().unwrap().success(), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "request").collect();
    assert!(requests.len() >= answered.get(), "{} lines for {} answers", requests.len(), answered.get());
    let forwarded = requests.iter().find(|line| line["outcome"] == "forwarded").unwrap();
    assert_eq!(forwarded["route"], "/v1/patients/{patient}");
    assert_eq!((&forwarded["home"], &forwarded["status"]), (&"US-TX".into(), &200.into()));
    assert_eq!(forwarded["ingress"], "US-CA");
    assert!(forwarded["micros"].is_u64() && forwarded["ts"].is_string() && forwarded["request_id"].is_string());
    for secret in [known.rsplit('/').next().unwrap(), unknown.rsplit('/').next().unwrap(), minted.text.reveal()]
    {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
    voter.control.shutdown().await;
}

#[test]
fn a_wrong_configuration_is_told_in_words_and_nothing_is_started() {
    let authority = Authority::new();
    authority.peer("spiffe://domicile/router/us-ca/node/11", "router");
    authority.public("router");
    let config = write_config(&authority, &"localhost:1".parse().unwrap(), 0, 0);
    let policy = authority.dir.path().join("policy.pub");
    let told = || {
        let output = program(&["--config", &config, "--check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let error = told();
    assert!(error.contains("node/11") && error.contains("node/10"), "{error}");
    authority.peer("spiffe://domicile/router/us-ca/node/10", "router");
    assert!(told().contains("rules.verify_key: cannot read"), "{}", told());
    std::fs::write(&policy, "not hexadecimal").unwrap();
    assert!(told().contains("expected 64 hexadecimal digits"), "{}", told());
    std::fs::write(&policy, "ab".repeat(32)).unwrap();
    std::fs::write(authority.dir.path().join("rules.toml"), RULES.replace("'test'", "' '")).unwrap();
    assert!(told().contains("transit rule 1: citation is empty"), "{}", told());
    // The control: nothing else was wrong.
    std::fs::write(authority.dir.path().join("rules.toml"), RULES).unwrap();
    assert!(program(&["--config", &config, "--check"]).status().unwrap().success());

    let help = program(&["--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("SIGHUP") && help.contains("--check") && help.contains("deploy/config/router.toml"));
}
