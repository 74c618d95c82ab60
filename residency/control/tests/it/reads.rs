//! Linearizable reads: those of the same moment share a round to the quorum.

use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, TEXAS, TIMINGS, leader_of};
use crate::support::{add_region, claim, home, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_the_same_moment_share_rounds() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA, NEW_YORK]);
    let running = cluster.form().await;
    let leader = leader_of(&running).await;
    for member in running.values() {
        let before = member.reader().status().read_rounds;
        let reads = (0..400).map(|_| {
            let writer = member.writer();
            tokio::spawn(async move { writer.barrier().await })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.expect("ends").expect("has a quorum");
        }
        let rounds = member.reader().status().read_rounds - before;
        assert!((1..=100).contains(&rounds), "{rounds} rounds for 400 reads");
    }
    // The control: reads one after the other have a round each.
    let member = &running[&leader];
    let before = member.reader().status().read_rounds;
    for _ in 0..20 {
        member.writer().barrier().await.expect("has a quorum");
    }
    assert!(member.reader().status().read_rounds - before >= 20, "a read used a round that began before it");
}

/// A read sees whatever was acknowledged anywhere before it, however many rounds are under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_sees_what_was_acknowledged_before_it() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA, NEW_YORK]);
    let running = cluster.form().await;
    let texas = &running[&1];
    texas.writer().propose(add_region("US-TX")).await.expect("is proposed");
    let others: Vec<_> = running.values().filter(|member| member.reader().status().node.0 != 1).collect();
    // Rounds are always under way.
    let busy: Vec<_> = others
        .iter()
        .map(|member| {
            let writer = member.writer();
            tokio::spawn(async move {
                loop {
                    let _ = writer.barrier().await;
                }
            })
        })
        .collect();
    for n in 0..40 {
        let index = texas.writer().propose(claim("US-TX", [n])).await.expect("is proposed").index;
        for other in &others {
            assert!(other.writer().barrier().await.expect("has a quorum") >= index);
            assert_eq!(other.reader().placement(patient(n)).map(|p| p.home), Some(home("US-TX")));
        }
    }
    for task in busy {
        task.abort();
    }
}
