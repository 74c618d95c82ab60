//! Who may call whom: certificates, identities, routes and their bounds.

use std::fs;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use openraft::raft::VoteRequest;
use residency_control::audit_log::LogChange;
use residency_control::peer::{NotAPeer, PeerError, PeerExpect, PeerId, PeerPool, PeerTls, TlsError};
use residency_control::system::SystemClock;
use residency_control::{Command, Control, Endpoint, Outcome, ProposeError, StartError};
use residency_policy::{Clock as _, Epoch};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::audit_log::keys;
use crate::support::authority::Authority;
use crate::support::cluster::{CALIFORNIA, Cluster, ROUTER, TEXAS, TIMINGS, leader_of};
use crate::support::{add_region, claim, home, organisation, patient, region};

/// A node of Texas that is no member.
const STRANGER: &str = "spiffe://domicile/region/us-tx/node/99";

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.into()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().expect("a path");
    request
}

fn vote_of(node: u64) -> Vec<u8> {
    let request = VoteRequest::<u64>::new(openraft::Vote::new(0, node), None);
    postcard::to_allocvec(&request).expect("encodes")
}

async fn status(pool: &PeerPool, to: &Endpoint, request: Request<Full<Bytes>>) -> StatusCode {
    let response = pool.send(to, PeerExpect::Region(region("US-TX")), request).await.expect("is answered");
    response.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_members_speak_raft_and_only_in_their_own_name() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    // Added after the cluster was formed: a seat with a certificate, a place in the configuration, no member yet.
    let texas = cluster.seats[&1].member.endpoint();
    let dir = cluster.dir.path().to_owned();
    let pool = |uri: &str, folder: &str| PeerPool::new(cluster.authority.tls(&dir.join(folder), uri));
    let own = pool(TEXAS, "own");
    let router = pool(ROUTER, "router");
    let stranger = pool(STRANGER, "stranger");
    let other_kind = pool("spiffe://domicile/region/us-ca/node/1", "kind");

    assert_eq!(status(&own, &texas, post("/raft/vote", vote_of(1))).await, StatusCode::OK, "the control");
    for (who, pool) in [("router", &router), ("stranger", &stranger), ("another kind", &other_kind)] {
        for path in ["/raft/vote", "/raft/append", "/raft/snapshot", "/control/propose"] {
            assert_eq!(
                status(pool, &texas, post(path, vote_of(1))).await,
                StatusCode::FORBIDDEN,
                "{who} {path}"
            );
        }
        assert_eq!(status(pool, &texas, post("/control/barrier", "")).await, StatusCode::FORBIDDEN, "{who}");
    }
    assert_eq!(
        status(&own, &texas, post("/raft/vote", vote_of(2))).await,
        StatusCode::FORBIDDEN,
        "a vote in another's name"
    );
    assert_eq!(status(&own, &texas, post("/raft/vote", "")).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(&own, &texas, post("/raft/vote", vec![0; 1 << 20])).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(status(&own, &texas, post("/raft/other", "")).await, StatusCode::NOT_FOUND);
    let mut get = post("/raft/vote", vote_of(1));
    *get.method_mut() = Method::GET;
    assert_eq!(status(&own, &texas, get).await, StatusCode::METHOD_NOT_ALLOWED);
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_is_a_learner_reads_and_nothing_more() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let router = cluster.add(ROUTER);
    let (id, tls, member) = (router.id.node, router.tls.clone(), router.member.clone());
    cluster.learners.insert(id, member);
    let running = cluster.form().await;
    let texas = cluster.seats[&1].member.endpoint();
    let pool = PeerPool::new(tls);
    assert_eq!(status(&pool, &texas, post("/control/barrier", "")).await, StatusCode::OK, "the control");
    assert_eq!(status(&pool, &texas, post("/raft/vote", vote_of(10))).await, StatusCode::FORBIDDEN);
    let command = postcard::to_allocvec(&vec![claim("US-TX", [1])]).expect("encodes");
    assert_eq!(status(&pool, &texas, post("/control/propose", command)).await, StatusCode::FORBIDDEN);
    drop(running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_speaks_for_no_region_but_its_own() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA]);
    let running = cluster.form().await;
    let leader = leader_of(&running).await;
    let (own, other) = if leader == 1 { ("US-TX", "US-CA") } else { ("US-CA", "US-TX") };
    let writer = running[&leader].writer();
    let retire = |n| Command::Retire { patient: patient(n), expected: Epoch::FIRST };

    // Proposed at a node itself.
    let log = |of| Command::AuditLog(LogChange::Register(keys(of)));
    for foreign in [add_region(other), claim(other, [1]), log(other)] {
        assert_eq!(writer.propose(foreign).await, Err(ProposeError::NotAllowed));
    }
    for allowed in [add_region(own), claim(own, [1]), log(own), Command::PutOrganisation(organisation(1))] {
        assert_eq!(writer.propose(allowed).await.expect("the control").outcome, Outcome::Done);
    }
    let follower = &running[&(3 - leader)];
    assert_eq!(follower.writer().propose(add_region(other)).await.expect("its own").outcome, Outcome::Done);
    assert!(follower.reader().placement(patient(1)).is_some(), "it has read what was claimed");
    assert_eq!(follower.writer().propose(retire(1)).await, Err(ProposeError::NotAllowed));

    // Forwarded by a member whose own check was broken: the leader asks the certificate.
    let (uri, expect) = match leader {
        1 => (CALIFORNIA, PeerExpect::Region(region("US-TX"))),
        _ => (TEXAS, PeerExpect::Region(region("US-CA"))),
    };
    let pool = PeerPool::new(cluster.authority.tls(&cluster.dir.path().join("forwards"), uri));
    let to = cluster.seats[&leader].member.endpoint();
    let forward = async |batch: &[Command]| {
        let body = postcard::to_allocvec(&batch.to_vec()).expect("encodes");
        pool.send(&to, expect, post("/control/propose", body)).await.expect("is answered").status()
    };
    for foreign in [add_region(own), claim(own, [2]), retire(1)] {
        assert_eq!(forward(&[claim(other, [3]), foreign]).await, StatusCode::FORBIDDEN);
    }
    assert_eq!(running[&leader].reader().placement(patient(3)), None, "a batch is refused whole");
    assert_eq!(forward(&[claim(other, [3])]).await, StatusCode::OK, "the control");
    let reader = running[&leader].reader();
    assert_eq!(reader.placement(patient(3)).map(|p| p.home), Some(home(other)));
    assert_eq!(reader.placement(patient(1)).map(|p| p.epoch), Some(Epoch::FIRST));
    assert_eq!(forward(&[retire(3)]).await, StatusCode::OK, "its own patient may be retired");
    assert_eq!(reader.placement(patient(3)).map(|p| p.epoch), Some(Epoch(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_who_its_certificate_says() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let seat = &cluster.seats[&1];
    let (texas, kind, node) = (seat.member.endpoint(), seat.id.kind, seat.id.node);
    let pool = PeerPool::new(cluster.authority.tls(&cluster.dir.path().join("a"), TEXAS));
    let send = async |pool: &PeerPool, expect| pool.send(&texas, expect, post("/raft/vote", vote_of(1))).await;

    assert!(send(&pool, PeerExpect::Member(kind, node)).await.is_ok(), "the control");
    let wrong = send(&pool, PeerExpect::Region(region("US-CA"))).await.expect_err("Texas answered");
    assert!(matches!(&wrong, PeerError::WrongPeer { found, .. } if found.to_string() == TEXAS), "{wrong}");
    assert!(wrong.not_sent());
    let california: PeerId = CALIFORNIA.parse().expect("an id");
    let wrong = send(&pool, PeerExpect::Member(california.kind, california.node)).await;
    assert!(matches!(wrong, Err(PeerError::WrongPeer { .. })));

    // Another authority: neither does this side trust the member, nor the member this side.
    let forged = Authority::new();
    let pool = PeerPool::new(forged.tls(&cluster.dir.path().join("b"), TEXAS));
    let refused = send(&pool, PeerExpect::Region(region("US-TX"))).await.expect_err("is refused");
    assert!(matches!(refused, PeerError::Unreachable { .. }), "{refused}");
    let mut paths = forged.issue(&cluster.dir.path().join("c"), &[TEXAS]);
    paths.ca = cluster.dir.path().join("a/ca.pem");
    let pool = PeerPool::new(PeerTls::load(paths).expect("loads"));
    let refused = send(&pool, PeerExpect::Region(region("US-TX"))).await.expect_err("is refused");
    assert!(!matches!(refused, PeerError::WrongPeer { .. }), "{refused}");

    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody =
        Endpoint::new("127.0.0.1".parse().expect("a host"), socket.local_addr().expect("bound").port());
    drop(socket);
    let expect = PeerExpect::Region(region("US-TX"));
    let down = pool.send(&nobody, expect, post("/raft/vote", "")).await.expect_err("nobody is there");
    assert!(down.not_sent(), "{down}");
    drop(running);
}

#[test]
fn a_certificate_must_hold_exactly_one_uri() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let of = |uris: &[&str]| {
        let paths = authority.issue(dir.path(), uris);
        let leaf = CertificateDer::from_pem_file(&paths.cert).expect("reads");
        assert_eq!(PeerTls::load(paths).is_ok(), PeerId::from_certificate(&leaf).is_ok());
        PeerId::from_certificate(&leaf)
    };
    assert_eq!(of(&[TEXAS]).map(|id| id.to_string()), Ok(TEXAS.to_owned()), "the control");
    assert_eq!(of(&[]), Err(NotAPeer::NotOneUri));
    assert_eq!(of(&[TEXAS, CALIFORNIA]), Err(NotAPeer::NotOneUri));
    assert_eq!(of(&[TEXAS, TEXAS]), Err(NotAPeer::NotOneUri));
    assert_eq!(of(&["spiffe://elsewhere/region/us-tx/node/1"]), Err(NotAPeer::NotSpiffe));
    assert_eq!(PeerId::from_certificate(b"nonsense"), Err(NotAPeer::Malformed));
    assert_eq!(PeerId::from_chain(None), Err(NotAPeer::NoCertificate));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_while_running() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    let texas = cluster.seats[&1].member.endpoint();
    let dir = cluster.dir.path().join("client");
    let tls = cluster.authority.tls(&dir, TEXAS);
    let pool = PeerPool::new(tls.clone());
    assert_eq!(status(&pool, &texas, post("/raft/vote", vote_of(1))).await, StatusCode::OK);

    // A new authority for everybody: the client first, which is then refused, then the member.
    let new = Authority::new();
    new.issue(&dir, &[TEXAS]);
    tls.reload(SystemClock.now()).expect("reloads");
    let expect = PeerExpect::Region(region("US-TX"));
    pool.send(&texas, expect, post("/raft/vote", vote_of(1)))
        .await
        .expect_err("old connections are not used on");
    new.issue(&cluster.dir.path().join("1/tls"), &[TEXAS]);
    cluster.seats[&1].tls.reload(SystemClock.now()).expect("reloads");
    let deadline = tokio::time::Instant::now() + crate::support::PATIENCE;
    while pool.send(&texas, expect, post("/raft/vote", vote_of(1))).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificates are not taken");
        let _ = running[&1].reader().wait(|_| false, std::time::Duration::from_millis(20)).await;
    }

    // What is wrong is refused, and what was right stays in use.
    new.issue(&dir, &[CALIFORNIA]);
    assert!(matches!(tls.reload(SystemClock.now()), Err(TlsError::OtherIdentity { .. })));
    fs::write(dir.join("cert.pem"), "nonsense").expect("writes");
    tls.reload(SystemClock.now()).expect_err("is refused");
    assert_eq!(status(&pool, &texas, post("/raft/vote", vote_of(1))).await, StatusCode::OK);
    drop(running);
}

#[tokio::test]
async fn a_member_does_not_start_with_anothers_certificate() {
    let cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA]);
    let mut config = cluster.config(1);
    config.tls = cluster.seats[&2].tls.clone();
    assert!(matches!(Control::start(config).await.err(), Some(StartError::Certificate { .. })));
    let mut config = cluster.config(1);
    config.tls = cluster.authority.tls(&cluster.dir.path().join("x"), "spiffe://domicile/region/us-ny/node/1");
    assert!(matches!(Control::start(config).await.err(), Some(StartError::Kind { .. })));
    let mut config = cluster.config(1);
    config.timings.election_ms_min = config.timings.heartbeat_ms;
    assert!(matches!(Control::start(config).await.err(), Some(StartError::Timings(_))));
}
