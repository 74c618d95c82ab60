//! Certificates and their authority are replaced under live connections, and no change fails meanwhile.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use residency_control::Outcome;
use residency_control::peer::{PeerExpect, PeerPool};
use residency_control::system::SystemClock;
use residency_policy::Clock as _;
use tokio::sync::watch;

use crate::support::authority::Authority;
use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, TEXAS, TIMINGS, leader_of};
use crate::support::{PATIENCE, add_region, claim, region};

const URIS: [(u64, &str); 3] = [(1, TEXAS), (2, CALIFORNIA), (3, NEW_YORK)];

fn barrier() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/control/report".parse().expect("a path");
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_replaced_step_by_step_while_changes_go_on() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA, NEW_YORK]);
    let running = cluster.form().await;
    let first = running[&1].writer();
    assert_eq!(first.propose(add_region("US-TX")).await.expect("is proposed").outcome, Outcome::Done);
    let (stop, stopped) = watch::channel(false);
    let writing = tokio::spawn(async move {
        let mut made = 0;
        while !*stopped.borrow() {
            let proposed = first.propose(claim("US-TX", [made])).await;
            assert_eq!(proposed.map(|p| p.outcome), Ok(Outcome::Done), "claim {made}");
            made += 1;
        }
        made
    });
    let tls_of = |node: u64| cluster.dir.path().join(node.to_string()).join("tls");
    let reload = |node: u64| cluster.seats[&node].tls.reload(SystemClock.now()).expect("the files are good");
    // A little after each step, so that connections are made anew and used.
    let settle = async || {
        let before = running[&1].reader().placements_len();
        let more = running[&1].reader().wait(|r| r.placements_len() > before + 20, PATIENCE).await;
        assert!(more.is_ok(), "changes stand still");
        for member in running.values() {
            let fresh = member.reader().wait(|r| r.age() < Duration::from_secs(1), PATIENCE).await;
            assert!(fresh.is_ok(), "{:?}", member.reader().status());
        }
    };

    // Everybody trusts both authorities, then everybody has a certificate of the new one, then the old one is dropped.
    let old = fs::read_to_string(tls_of(1).join("ca.pem")).expect("reads");
    let new = Authority::new();
    let scratch = cluster.dir.path().join("scratch");
    let new_ca = fs::read_to_string(new.issue(&scratch, &[TEXAS]).ca).expect("reads");
    for (node, _) in URIS {
        fs::write(tls_of(node).join("ca.pem"), format!("{old}{new_ca}")).expect("writes");
        reload(node);
        settle().await;
    }
    let before = cluster.seats[&1].tls.own_validity();
    for (node, uri) in URIS {
        new.issue(&tls_of(node), &[uri]);
        fs::write(tls_of(node).join("ca.pem"), format!("{old}{new_ca}")).expect("writes");
        reload(node);
        settle().await;
    }
    assert_eq!(before, cluster.seats[&1].tls.own_validity(), "the throw-away certificates all end on one day");
    // The control: until the last step, whoever has a certificate of the old authority is let in.
    let texas = cluster.seats[&1].member.endpoint();
    let expect = PeerExpect::Region(region("US-TX"));
    let tls = cluster.authority.issue(&cluster.dir.path().join("stale"), &[CALIFORNIA]);
    fs::write(&tls.ca, &new_ca).expect("writes");
    let stale = residency_control::peer::PeerTls::load(tls).expect("loads");
    assert!(PeerPool::new(stale.clone()).send(&texas, expect, barrier()).await.is_ok(), "the control");
    for (node, _) in URIS {
        fs::write(tls_of(node).join("ca.pem"), &new_ca).expect("writes");
        reload(node);
        settle().await;
    }
    assert!(
        PeerPool::new(stale).send(&texas, expect, barrier()).await.is_err(),
        "the old authority is nobody's"
    );
    leader_of(&running).await;
    stop.send_replace(true);
    let made = writing.await.expect("no change failed");
    assert!(made > 100, "{made}");
}
