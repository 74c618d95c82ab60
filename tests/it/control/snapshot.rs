//! A member that was away while the log was cut comes back by a snapshot, and one that restarts begins from its own.

use residency_control::{Command, Organisation};
use residency_policy::{OrgId, OrgType};
use serde_json::Value;
use tests::cluster::{Cluster, turn};
use tests::faults::{Signal, send, wait_until};
use tests::{clinic, operate};

use super::{REGIONS, knows, leader, start};

/// More commands than the log keeps between two snapshots.
pub(super) async fn fill(cluster: &Cluster, region: &str, until: impl Fn(&Value) -> bool) -> OrgId {
    let serves = serde_json::from_value(serde_json::json!(["US-TX"]));
    let mut last = OrgId::from_bytes([0; 16]);
    for round in 0..400 {
        let commands: Vec<Command> = (0..50)
            .map(|_| {
                last = OrgId::from(clinic::fresh());
                let name = format!("Filler {round}").parse().expect("a public name");
                let serves = serves.as_ref().copied().unwrap_or_default();
                Command::PutOrganisation(Organisation {
                    id: last,
                    name,
                    org_type: OrgType::Lab,
                    serves,
                    active: true,
                })
            })
            .collect();
        operate::commands(cluster, region, &commands).await.expect("they are proposed");
        if until(&operate::status(cluster, region).await.expect("a status")) {
            return last;
        }
    }
    panic!("no snapshot was made");
}

#[tokio::test]
async fn a_member_that_missed_the_log_is_brought_back_by_a_snapshot() {
    let _turn = turn().await;
    let cluster = start("snapshot");
    let lead = leader(&cluster, &REGIONS).await.expect("a leader");
    let away = REGIONS.into_iter().find(|r| **r != *lead).expect("a follower");
    let before = operate::status(&cluster, away).await.expect("a status")["applied"].as_u64();
    send(Signal::Stop, cluster.region(away).pid).expect("a signal");

    let last = fill(&cluster, &lead, |status| status["purged"].as_u64() > before).await;

    // What it missed is not in anybody's log any more: killed and started again, it needs the snapshot.
    send(Signal::Kill, cluster.region(away).pid).expect("a signal");
    let home = cluster.region(away).jurisdiction.clone();
    knows(&cluster.client_at(away, "auditor", &home), &last.to_string()).await.expect("it has caught up");
    let status = operate::status(&cluster, away).await.expect("a status");
    assert!(status["snapshot"].as_u64() > before, "{status}");
    let doctor = cluster.client("provider", &home);
    wait_until("it to serve again", async || {
        clinic::register(&doctor, &home, &clinic::somebody(&home, 55)).await.ok()
    })
    .await
    .expect("it serves");

    // From its own snapshot: killed once more, it comes back with everything.
    let pid =
        cluster.now().expect("cluster.json").regions.into_iter().find(|r| r.name == away).expect("it").pid;
    send(Signal::Kill, pid).expect("a signal");
    wait_until("the node to be started again", async || {
        let now = cluster.now().ok()?.regions.into_iter().find(|r| r.name == away)?.pid;
        (now != 0 && now != pid).then_some(())
    })
    .await
    .expect("it is started again");
    knows(&cluster.client_at(away, "auditor", &home), &last.to_string()).await.expect("it is there");
}
