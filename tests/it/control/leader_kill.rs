//! The leader is killed: another leads, every acknowledged change is there, and registration never stopped.

use tests::cluster::turn;
use tests::faults::{Signal, send, wait_until};
use tests::{clinic, operate};

use super::{REGIONS, add_org, knows, leader, start};

#[tokio::test]
async fn another_member_leads_and_nothing_acknowledged_is_lost() {
    let _turn = turn().await;
    let cluster = start("leader-kill");
    let first = leader(&cluster, &REGIONS).await.expect("a leader");
    let others: Vec<&str> = REGIONS.into_iter().filter(|r| **r != *first).collect();
    let here = others[0];
    let home = cluster.region(here).jurisdiction.clone();
    let admin = cluster.client_at(here, "org_admin", &home);

    let mut acknowledged = Vec::new();
    for number in 0..5 {
        acknowledged.push(add_org(&admin, &format!("Before {number}")).await.expect("it is added"));
    }
    let term = operate::status(&cluster, here).await.expect("a status")["term"].as_u64();
    // Stopped first, so that the supervisor's new process is not the same leader again before anyone noticed.
    send(Signal::Stop, cluster.region(&first).pid).expect("a signal");

    // A region's registrations ask no quorum: they go on while nobody leads.
    let doctor = cluster.client_at(here, "provider", &home);
    let patient =
        clinic::register(&doctor, &home, &clinic::somebody(&home, 901)).await.expect("it is registered");

    let second = leader(&cluster, &others).await.expect("another leader");
    assert_ne!(first, second);
    let now = operate::status(&cluster, &second).await.expect("a status");
    assert!(now["term"].as_u64() > term, "{now} after term {term:?}");
    acknowledged.push(add_org(&admin, "After").await.expect("changes go on"));

    // The log indexes rise: no acknowledged change was overwritten by another.
    assert!(acknowledged.windows(2).all(|w| w[0].1 < w[1].1), "{acknowledged:?}");

    send(Signal::Kill, cluster.region(&first).pid).expect("a signal");
    let pid = wait_until("the killed node to be started again", async || {
        let now = cluster.now().ok()?.regions.into_iter().find(|r| r.name == first)?.pid;
        (now != 0 && now != cluster.region(&first).pid).then_some(now)
    })
    .await
    .expect("it is started again");
    assert!(tests::faults::lives(pid));
    for region in REGIONS {
        let home = &cluster.region(region).jurisdiction;
        let reader = cluster.client_at(region, "auditor", home);
        for (org, _) in &acknowledged {
            knows(&reader, org).await.unwrap_or_else(|e| panic!("{region} {org}: {e}"));
        }
    }
    clinic::read(&doctor, &patient.path).await.expect("what was registered meanwhile is there");
}
