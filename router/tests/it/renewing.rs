//! Certificates are replaced on disk while the process serves: at the callers' door, at the peers' door, and where it
//! calls its peers itself.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use jiff::civil::{Date, date};
use jiff::{ToSpan as _, tz::TimeZone};
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use residency_control::Endpoint;
use residency_control::peer::{PeerExpect, PeerPool, PeerTls, peer_of};
use residency_control::system::{SystemClock, SystemEntropy};
use residency_policy::{Clock as _, Region};
use router::certificates::Certificates;
use router::limits::Limits;
use router::listen::Listener;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::client::{Client, get};
use crate::support::{Rig, at, until};

const OWN: &str = "spiffe://domicile/router/us-ca/node/10";
const OTHER: &str = "spiffe://domicile/region/us-nv/node/4";

/// A listener for peers, and the certificate that its latest caller showed.
async fn peers(rig: &Rig, tls: PeerTls) -> (Endpoint, Arc<Mutex<Vec<u8>>>) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Limits::default()).await.unwrap();
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let peer = move |connection: &rustls::ServerConnection| {
        let leaf = connection.peer_certificates().and_then(|chain| chain.first());
        *note.lock().unwrap() = leaf.map(|leaf| leaf.to_vec()).unwrap_or_default();
        peer_of(connection)
    };
    let service =
        service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let source = Arc::new(move || tls.server_config());
    tokio::spawn(listener.serve(source, peer, service, Arc::new(SystemEntropy::new()), rig.drain.clone()));
    (endpoint, seen)
}

/// What new connections see: of callers, of peers who call, and of peers who are called.
struct Seen<'r> {
    rig: &'r Rig,
    peers: Endpoint,
    stranger: PeerTls,
    pool: PeerPool,
    called: Endpoint,
    caller: Arc<Mutex<Vec<u8>>>,
}

impl Seen<'_> {
    async fn now(&self) -> [Vec<u8>; 3] {
        let public = self.rig.h2().await.leaf.to_vec();
        let tcp = TcpStream::connect((self.peers.host.as_str(), self.peers.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(self.stranger.client_config()).connect(name, tcp).await.unwrap();
        let peer = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let expect = PeerExpect::Region(Region(at("US-NV")));
        // A pool that has no connection yet makes one with what it has now, as the old one does after a renewal.
        for pool in [&self.pool, &PeerPool::new(self.pool.tls().clone())] {
            let answer = pool.send(&self.called, expect, Request::new(Empty::<Bytes>::new())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
        [public, peer, self.caller.lock().unwrap().clone()]
    }
}

fn page(certificates: &Certificates) -> String {
    let (mut registry, mut page) = (Registry::default(), String::new());
    certificates.register(&mut registry);
    text::encode(&mut page, &registry).unwrap();
    page
}

/// How often a new certificate was refused: the callers' one, and the peers' one.
fn refused(certificates: &Certificates) -> [u64; 2] {
    let page = page(certificates);
    ["public", "peer"].map(|which| {
        let start = format!("certificates_refused_total{{certificate=\"{which}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap_or_default()
    })
}

async fn still_answers(old: &mut Client) {
    assert_eq!(old.send(get("/healthz")).await.status, StatusCode::OK, "a connection that stands goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_by_every_listener_and_caller_and_a_wrong_one_by_none() {
    let rig = Rig::start().await;
    // The rig's public certificate has this name; the peers' one gets it too.
    let own = rig.authority.peer(OWN, "router");
    let other = rig.authority.peer(OTHER, "other");
    let (listens, _) = peers(&rig, own.clone()).await;
    let (called, shown_there) = peers(&rig, other.clone()).await;
    let pool = PeerPool::new(own.clone());
    let seen = Seen { rig: &rig, peers: listens, stranger: other, pool, called, caller: shown_there };
    let certificates = Arc::new(Certificates::new(Arc::clone(&rig.tls), own, Arc::new(SystemClock)));
    tokio::spawn(Arc::clone(&certificates).watch(Duration::from_millis(5), rig.drain.clone()));

    let (first, mut old) = (seen.now().await, rig.h2().await);
    assert!(first.iter().all(|leaf| !leaf.is_empty()));
    assert_eq!((certificates.wrong(), refused(&certificates)), (None, [0, 0]));

    // One that has ended, and then one that is none.
    let renew = |until: Date| rig.authority.renew("router", OWN, until);
    let refused_again = async |before: [u64; 2]| {
        until("both are refused", || refused(&certificates).iter().zip(before).all(|(now, then)| *now > then))
            .await;
        assert!(certificates.wrong().is_some_and(|wrong| wrong.contains("not usable")));
        assert_eq!(seen.now().await, first, "the old ones are shown");
    };
    renew(date(2020, 1, 1));
    refused_again([0, 0]).await;
    let before = refused(&certificates);
    for name in ["router.pem", "router-peer.pem"] {
        std::fs::write(rig.authority.dir.path().join(name), "no certificate").unwrap();
    }
    refused_again(before).await;
    still_answers(&mut old).await;

    // One that holds is shown everywhere, also when it ends soon.
    let today = SystemClock.now().to_zoned(TimeZone::UTC).date();
    renew(today.saturating_add(2.days()));
    let says = |what: &str| certificates.wrong().is_some_and(|wrong| wrong.contains(what));
    until("both are read", || says("ends soon")).await;
    let second = seen.now().await;
    for (then, now) in first.iter().zip(&second) {
        assert_ne!(then, now);
    }
    still_answers(&mut old).await;
    renew(today.saturating_add(1.years()));
    until("nothing is wrong any more", || certificates.wrong().is_none()).await;
    for (then, now) in second.iter().zip(&seen.now().await) {
        assert_ne!(then, now);
    }
    still_answers(&mut old).await;
}
