//! Members join and leave while changes go on; ids are used once; the quorum is not given away.

use std::collections::BTreeMap;

use residency_control::{
    Command, FatalReason, MembershipError, Outcome, Reader, RosterChange, Standing, Timings,
};
use residency_policy::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, Running, TEXAS, TIMINGS, enlisted, leader_of};
use crate::support::{PATIENCE, add_region, claim, patient};

const THREE: [&str; 3] = [TEXAS, CALIFORNIA, NEW_YORK];
const WASHINGTON: &str = "spiffe://domicile/region/us-wa/node/4";

async fn sees(reader: &Reader, what: impl Fn(&Reader) -> bool) {
    let seen = reader.wait(what, PATIENCE).await;
    assert!(seen.is_ok(), "not seen: {:?}", reader.status());
}

/// The members that a member knows, and whether each votes.
fn members(reader: &Reader) -> Vec<(u64, bool)> {
    reader.status().members.iter().map(|m| (m.node.0, m.voter)).collect()
}

/// Claims ids one after the other until told to stop, and tells how many there were. None may fail.
fn write_on(running: &Running, region: &'static str) -> (watch::Sender<bool>, JoinHandle<u64>) {
    let (stop, stopped) = watch::channel(false);
    let writer = running.writer();
    let writing = tokio::spawn(async move {
        let mut made = 0;
        while !*stopped.borrow() {
            let proposed = writer.propose(claim(region, [made])).await;
            assert_eq!(proposed.as_ref().map(|p| p.outcome), Ok(Outcome::Done), "claim {made}: {proposed:?}");
            made += 1;
        }
        made
    });
    (stop, writing)
}

async fn told(running: &Running) -> FatalReason {
    tokio::time::timeout(PATIENCE, running.control.fatal()).await.expect("it is told")
}

async fn done(running: &Running, command: Command) {
    assert_eq!(running.writer().propose(command).await.expect("is proposed").outcome, Outcome::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_and_leave_while_changes_go_on() {
    let mut cluster = Cluster::new(Timings { snapshot_entries: 60, keep_entries: 10, ..TIMINGS }, &THREE);
    let mut running = cluster.form().await;
    let texas = running.remove(&1).expect("runs");
    done(&texas, add_region("US-TX")).await;
    let (stop, writing) = write_on(&texas, "US-TX");
    sees(&texas.reader(), |r| r.status().purged > 0).await;

    // Whoever asks, the leader does it. The new member's beginning of the log is gone already.
    let member = cluster.add(WASHINGTON).member.clone();
    let join = RosterChange::Add { node: NodeId(4), member };
    for asked in [&texas, &running[&2], &running[&3]] {
        asked.control.change_roster(join.clone()).await.expect("it is added, once");
    }
    let silent = texas.control.change_roster(RosterChange::Promote(NodeId(4))).await;
    assert_eq!(silent, Err(MembershipError::Silent(NodeId(4))), "nobody is there yet");
    let washington = cluster.start(4).await;
    sees(&washington.reader(), |r| r.placements_len() > 100 && r.status().standing == Standing::Learner).await;
    let promoted = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = texas.control.change_roster(RosterChange::Promote(NodeId(4))).await {
            assert!(matches!(error, MembershipError::Silent(_) | MembershipError::Behind { .. }), "{error}");
        }
    });
    promoted.await.expect("it votes in time");
    sees(&washington.reader(), |r| members(r) == [(1, true), (2, true), (3, true), (4, true)]).await;

    // First one that follows, then the one that leads, unless that is who is asked.
    let all = BTreeMap::from([(1, texas), (4, washington)]);
    let leader = texas_or(&running, leader_now(&all, &running).await);
    let follower = if leader == 2 { 3 } else { 2 };
    for node in [follower, leader] {
        all[&1].control.change_roster(RosterChange::Remove(NodeId(node))).await.expect("it is removed");
        let gone = running.remove(&node).expect("runs");
        assert_eq!(told(&gone).await, FatalReason::Removed(NodeId(node)));
        gone.kill().await;
    }
    sees(&all[&4].reader(), |r| members(r) == [(1, true), (4, true)]).await;
    stop.send_replace(true);
    let made = writing.await.expect("no change failed");
    assert!(made > 100, "{made}");
    sees(&all[&4].reader(), |r| r.placement(patient(made - 1)).is_some()).await;
    let roster = all[&4].control.roster().await;
    assert_eq!(roster.gone, [NodeId(2), NodeId(3)]);
    assert!(roster.members.iter().all(|line| line.report.as_ref().is_some_and(|r| r.certificate_until > 0)));
}

/// Who leads, when all of these agree.
async fn leader_now(some: &BTreeMap<u64, Running>, others: &BTreeMap<u64, Running>) -> u64 {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let all = some.values().chain(others.values());
        let leaders: Vec<_> = all.map(|running| running.reader().status().leader).collect();
        if let Some(leader) = leaders[0].filter(|_| leaders.windows(2).all(|pair| pair[0] == pair[1])) {
            return leader.0;
        }
        assert!(tokio::time::Instant::now() < deadline, "{leaders:?}");
        tokio::task::yield_now().await;
    }
}

/// The leader if it is one of these, else any of them.
fn texas_or(running: &BTreeMap<u64, Running>, leader: u64) -> u64 {
    running
        .keys()
        .copied()
        .find(|node| *node == leader)
        .or_else(|| running.keys().copied().next())
        .expect("one")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_hands_over_and_no_change_fails() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let running = cluster.form().await;
    done(&running[&1], add_region("US-TX")).await;
    let (stop, writing) = write_on(&running[&1], "US-TX");
    let mut leader = leader_of(&running).await;
    for _ in 0..3 {
        let term = running[&leader].reader().status().term;
        let handed = tokio::time::timeout(PATIENCE, async {
            // On a machine that does much else an election may take longer than a leader waits for it.
            while !running[&leader].control.hand_over().await {}
        });
        handed.await.expect("somebody takes it");
        leader = leader_of(&running).await;
        assert!(running[&leader].reader().status().term > term);
    }
    stop.send_replace(true);
    let made = writing.await.expect("no change failed");
    for member in running.values() {
        sees(&member.reader(), |r| r.placements_len() as u64 == made).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_voter_has_nobody_to_hand_over_to() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS]);
    let running = cluster.form().await;
    assert!(!running[&1].control.hand_over().await);
    let removed = running[&1].control.change_roster(RosterChange::Remove(NodeId(1))).await;
    assert_eq!(removed, Err(MembershipError::NoVoters));
    done(&running[&1], add_region("US-TX")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_used_once_and_with_one_disk() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let mut running = cluster.form().await;
    done(&running[&1], add_region("US-TX")).await;
    enlisted(&running[&1]).await;

    // The control: with its own disk a member comes back as often as it likes.
    running.remove(&3).expect("runs").kill().await;
    let back = cluster.start(3).await;
    sees(&back.reader(), Reader::has_heard).await;
    assert_eq!(back.reader().status().stopped_because, None);

    // With an empty one it is found out by the first word that anybody says to it.
    back.kill().await;
    cluster.wipe(3);
    let wiped = cluster.start(3).await;
    let reason = told(&wiped).await;
    assert_eq!(reason, FatalReason::OtherDisk(NodeId(3)));
    assert!(reason.to_string().contains("needs a node id that was never used"), "{reason}");
    wiped.kill().await;

    // Also where it makes itself a cluster of the same ids: nobody else listens to it.
    let again = cluster.start(3).await;
    let _ = again.control.initialize(cluster.voters()).await;
    assert_eq!(told(&again).await, FatalReason::OtherDisk(NodeId(3)));
    again.kill().await;

    // Removed, it does not come back, not even as a new machine.
    running[&1].control.change_roster(RosterChange::Remove(NodeId(3))).await.expect("it is removed");
    let member = cluster.seats[&3].member.clone();
    let reused = running[&2].control.change_roster(RosterChange::Add { node: NodeId(3), member }).await;
    assert_eq!(reused, Err(MembershipError::IdUsed(NodeId(3))));
    done(&running[&1], claim("US-TX", [1])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_the_quorum_needs_is_not_removed() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let mut running = cluster.form().await;
    let leader = leader_of(&running).await;
    let (dead, alive) = if leader == 3 { (2, 1) } else { (3, 3 - leader) };
    running.remove(&dead).expect("runs").kill().await;

    // It answered a moment ago, and is asked all the same.
    let refused = running[&leader].control.change_roster(RosterChange::Remove(NodeId(alive))).await;
    let refused = refused.expect_err("it is refused").to_string();
    assert!(refused.contains("2 voters, of which 2 must answer"), "{refused}");
    assert!(refused.contains("only 1 do"), "{refused}");
    assert_eq!(members(&running[&leader].reader()).len(), 3, "nothing was begun");

    // The control: the one that is away may go, and the rest goes on.
    running[&alive].control.change_roster(RosterChange::Remove(NodeId(dead))).await.expect("it is removed");
    done(&running[&alive], add_region(if alive == 1 { "US-TX" } else { "US-CA" })).await;
    let unknown = running[&alive].control.change_roster(RosterChange::Remove(NodeId(77))).await;
    assert_eq!(unknown, Err(MembershipError::UnknownNode(NodeId(77))));
}

/// Whoever asked for it may go away in the middle: by hand (Ctrl-C), or because an answer takes too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_gave_the_lead_away_in_vain_leads_again_also_when_nobody_waits() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let running = cluster.form().await;
    let leader = leader_of(&running).await;
    let other = running.keys().copied().find(|node| *node != leader).expect("a follower");
    enlisted(&running[&leader]).await;
    // The others vote and do not stand. If they stood in vain, but sooner than the leader does, they would be ahead of
    // it for ever: how long a member waits is drawn once.
    for (_, follower) in running.iter().filter(|(node, _)| **node != leader) {
        follower.control.retire().await;
    }
    for asked in [other, leader] {
        // Nobody else may take the lead, so that it stays with who has it. Whoever is asked to is seen here.
        let (seen, mut begun) = watch::channel(false);
        cluster.cuts.set(move |from, _, path| {
            seen.send_if_modified(|seen| path == "/control/lead" && !std::mem::replace(seen, true));
            path == "/control/lead" || path == "/raft/vote" && from != leader
        });
        let control = running[&asked].control.clone();
        let asking =
            tokio::spawn(async move { control.change_roster(RosterChange::Remove(NodeId(leader))).await });
        begun.wait_for(|begun| *begun).await.expect("it begins");
        asking.abort();
        assert!(asking.await.expect_err("it did not end by itself").is_cancelled());

        let region = ["US-TX", "US-CA", "US-NY"][usize::try_from(leader - 1).expect("small")];
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while running[&leader].writer().propose(add_region(region)).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", running[&leader].reader().status());
        }
        assert_eq!(running[&leader].reader().status().standing, Standing::Leader);
        assert_eq!(members(&running[&leader].reader()).len(), 3, "nobody was removed");
    }
}
