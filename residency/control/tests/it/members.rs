//! Members of a control plane over real mutual TLS: elections, failures, restarts, snapshots.

use std::collections::BTreeMap;
use std::time::Duration;

use residency_control::raft::disk::Disk as LogDisk;
use residency_control::{
    Command, Control, MembershipError, Outcome, ProposeError, Reader, Refusal, RosterChange, Standing, Timings,
};
use residency_policy::Epoch;

use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, ROUTER, Running, TEXAS, TIMINGS, leader_of};
use crate::support::disk::{Disk, Sync};
use crate::support::{PATIENCE, add_region, claim, home, organisation, patient, region};

const THREE: [&str; 3] = [TEXAS, CALIFORNIA, NEW_YORK];

async fn done(running: &Running, command: Command) -> u64 {
    let proposed = running.writer().propose(command).await.expect("is proposed");
    assert_eq!(proposed.outcome, Outcome::Done);
    proposed.index
}

/// The region that a member speaks for.
fn own(running: &Running) -> &'static str {
    match running.reader().status().node.0 {
        1 => "US-TX",
        2 => "US-CA",
        _ => "US-NY",
    }
}

fn other_than(running: &BTreeMap<u64, Running>, leader: u64) -> u64 {
    *running.keys().find(|id| **id != leader).expect("a follower")
}

async fn sees(reader: &Reader, what: impl Fn(&Reader) -> bool) {
    let seen = reader.wait(what, PATIENCE).await;
    assert!(seen.is_ok(), "not seen: {:?}", reader.status());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_proposed_anywhere_is_seen_everywhere() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let running = cluster.form().await;
    let leader = leader_of(&running).await;
    let follower = &running[&other_than(&running, leader)];
    let here = own(follower);

    let first = done(follower, add_region(here)).await;
    let second = done(follower, claim(here, 0..500)).await;
    assert!(second > first);
    // Whoever proposed reads its own change at once.
    assert_eq!(follower.reader().placement(patient(7)).map(|p| p.home), Some(home(here)));
    assert!(follower.reader().applied() >= second);
    for member in running.values() {
        assert!(member.writer().barrier().await.expect("has a quorum") >= second);
        assert_eq!(member.reader().placements_len(), 500);
        assert!(member.reader().region(region(here)).is_some());
    }
    let again = follower.writer().propose(claim(here, [499, 500])).await.expect("is proposed");
    assert_eq!(again.outcome, Outcome::Refused(Refusal::AlreadyKnown));

    // Idle, every view stays fresh: that is what heartbeats are for.
    for member in running.values() {
        sees(&member.reader(), |r| r.age() < Duration::from_secs(2)).await;
    }
    assert!(running[&leader].control.initialize(cluster.voters()).await.is_err(), "not twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_same_moment_share_log_entries() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let running = cluster.form().await;
    let leader = &running[&leader_of(&running).await];
    let here = own(leader);
    done(leader, add_region(here)).await;
    let before = leader.reader().status();
    let proposals = (0..400).map(|n| {
        let writer = leader.writer();
        tokio::spawn(async move { writer.propose(claim(here, [n])).await })
    });
    for proposal in proposals.collect::<Vec<_>>() {
        assert_eq!(proposal.await.expect("ends").expect("is proposed").outcome, Outcome::Done);
    }
    let after = leader.reader().status();
    let (entries, commands) =
        (after.entries_proposed - before.entries_proposed, after.commands_proposed - before.commands_proposed);
    assert!((400..=403).contains(&commands), "{commands} with the notes of three disks");
    assert!(entries <= 100, "{entries} entries for 400 commands");
    assert_eq!(leader.reader().placements_len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_and_comes_back_from_its_disk() {
    let mut cluster = Cluster::new(TIMINGS, &THREE);
    let mut running = cluster.form().await;
    let old = leader_of(&running).await;
    done(&running[&old], add_region(own(&running[&old]))).await;
    done(&running[&old], claim(own(&running[&old]), 0..10)).await;

    running.remove(&old).expect("leads").kill().await;
    let survivor = running.values().next().expect("a survivor");
    // Proposed while nobody leads: the writer waits for the new leader.
    done(survivor, add_region(own(survivor))).await;
    done(survivor, claim(own(survivor), 10..20)).await;
    let new = leader_of(&running).await;
    assert_ne!(new, old);

    running.insert(old, cluster.start(old).await);
    let back = running[&old].reader();
    sees(&back, |r| r.placements_len() == 20).await;
    leader_of(&running).await;
    assert_eq!(running[&old].writer().barrier().await.map(|index| index > 0), Ok(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_changes_are_refused_and_reads_go_on() {
    let mut cluster = Cluster::new(Timings { propose_ms: 2_500, ..TIMINGS }, &THREE);
    let mut running = cluster.form().await;
    let leader = leader_of(&running).await;
    let here = own(&running[&leader]);
    done(&running[&leader], add_region(here)).await;
    done(&running[&leader], claim(here, 0..10)).await;
    let others: Vec<u64> = running.keys().copied().filter(|id| *id != leader).collect();
    for other in &others {
        running.remove(other).expect("runs").kill().await;
    }

    let alone = &running[&leader];
    // Its proposal may have been appended before the silence was noticed; later ones are certainly not.
    let first = alone.writer().propose(claim(here, [100])).await;
    assert!(matches!(first, Err(ProposeError::Timeout | ProposeError::NoQuorum)), "{first:?}");
    sees(&alone.reader(), |r| r.age() > Duration::from_millis(2_400)).await;
    let later = alone.writer().propose(claim(here, [101])).await;
    assert_eq!(later, Err(ProposeError::NoQuorum));
    assert_eq!(alone.writer().barrier().await, Err(ProposeError::NoQuorum));
    assert_eq!(alone.reader().placements_len(), 10);
    assert_eq!(alone.reader().placement(patient(100)), None);

    // Restarted alone, it still knows what was committed, and how long ago that was shown to be all.
    running.remove(&leader).expect("runs").kill().await;
    cluster.clock.advance(3_600);
    running.insert(leader, cluster.start(leader).await);
    let alone = &running[&leader];
    assert_eq!(alone.reader().placements_len(), 10);
    let (hour, age) = (Duration::from_hours(1), alone.reader().age());
    assert!(age >= hour && age < hour + PATIENCE, "{age:?}");
    assert_eq!(alone.writer().propose(claim(here, [102])).await, Err(ProposeError::NoQuorum));

    // A clock that is behind the one that wrote it down can prove nothing, and the right one can again.
    running.remove(&leader).expect("runs").kill().await;
    cluster.clock.advance(-7_200);
    running.insert(leader, cluster.start(leader).await);
    assert_eq!(running[&leader].reader().age(), Duration::MAX, "nobody has shown it that this is still so");
    running.remove(&leader).expect("runs").kill().await;
    cluster.clock.advance(7_200);
    running.insert(leader, cluster.start(leader).await);
    assert!(running[&leader].reader().age() >= hour, "what was written is still there");
    assert!(running[&leader].reader().age() < hour * 2);

    // The control: with a quorum again, the same change is made.
    running.insert(others[0], cluster.start(others[0]).await);
    leader_of(&running).await;
    let there = own(&running[&others[0]]);
    done(&running[&others[0]], add_region(there)).await;
    done(&running[&others[0]], claim(there, [102])).await;
    assert_eq!(
        running[&others[0]].reader().placement(patient(101)),
        None,
        "what was called refused stays undone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_all_were_killed() {
    let mut cluster = Cluster::new(Timings { snapshot_entries: 8, keep_entries: 2, ..TIMINGS }, &THREE);
    let mut running = cluster.form().await;
    let first = &running[&1];
    done(first, add_region("US-TX")).await;
    done(first, Command::PutOrganisation(organisation(1))).await;
    for n in 0..30 {
        done(first, claim("US-TX", [n])).await;
    }
    done(first, Command::Retire { patient: patient(7), expected: Epoch::FIRST }).await;
    sees(&first.reader(), |r| r.status().snapshot > 0).await;
    for (_, member) in std::mem::take(&mut running) {
        member.kill().await;
    }
    let running = cluster.start_all().await;
    leader_of(&running).await;
    for member in running.values() {
        let all = |r: &Reader| r.placements_len() == 30 && r.organisations().len() == 1;
        // The retirement came after them.
        sees(&member.reader(), |r| all(r) && !r.changed_placements().is_empty()).await;
        let changed = member.reader().changed_placements();
        assert_eq!(changed.iter().map(|p| (p.patient, p.epoch)).collect::<Vec<_>>(), [(patient(7), Epoch(2))]);
    }
    done(&running[&1], claim("US-TX", [30])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_comes_late_learns_by_snapshot_and_does_not_propose() {
    let mut cluster = Cluster::new(Timings { snapshot_entries: 10, keep_entries: 2, ..TIMINGS }, &THREE);
    let router = cluster.add(ROUTER);
    let (id, member) = (router.id.node, router.member.clone());
    cluster.learners.insert(id, member);
    let running = cluster.form().await;
    let leader = &running[&leader_of(&running).await];
    let here = own(leader);
    done(leader, add_region(here)).await;
    for n in 0..40 {
        done(leader, claim(here, [n])).await;
    }
    // The router's beginning of the log is gone: only a snapshot can help it.
    sees(&leader.reader(), |r| r.status().purged > 0).await;

    let router = cluster.start(id.0).await;
    sees(&router.reader(), |r| r.placements_len() == 40 && r.age() < Duration::from_secs(2)).await;
    // What it was told shows before how it was told.
    sees(&router.reader(), |r| r.status().snapshot > 0).await;
    assert_eq!(router.reader().status().standing, Standing::Learner);
    assert_eq!(router.writer().propose(claim(here, [99])).await, Err(ProposeError::NotAllowed));
    let index = done(leader, claim(here, [40])).await;
    assert!(router.writer().barrier().await.expect("asks the leader") >= index);
    assert_eq!(router.reader().placements_len(), 41);

    let promoted = leader.control.change_roster(RosterChange::Promote(id)).await;
    assert_eq!(promoted, Err(MembershipError::RouterCannotVote(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_fsync_ends_the_member_and_says_so() {
    let mut cluster = Cluster::new(Timings { propose_ms: 2_500, ..TIMINGS }, &[TEXAS]);
    let platter = Disk::new(Sync::Honest);
    let disk = LogDisk::open_on(platter.clone(), residency_policy::NodeId(1)).expect("opens");
    let control = Control::start_on(cluster.config(1), disk).await.expect("starts");
    let running = cluster.serve(1, control);
    running.control.initialize(cluster.voters()).await.expect("initialises");
    done(&running, add_region("US-TX")).await;
    assert_eq!(running.reader().status().stopped_because, None, "the control");

    platter.set(Sync::Fails);
    let lost = running.writer().propose(claim("US-TX", [1])).await;
    assert!(matches!(lost, Err(ProposeError::Timeout | ProposeError::ShuttingDown)), "{lost:?}");
    let reason = tokio::time::timeout(PATIENCE, running.control.fatal()).await.expect("is told");
    let said = reason.to_string();
    assert!(said.contains("injected") || said.contains("log"), "{said}");
    platter.set(Sync::Honest);
    let later = running.writer().propose(claim("US-TX", [2])).await;
    assert_eq!(later, Err(ProposeError::ShuttingDown), "a disk that is well again changes nothing");
    // Reads go on from the last view.
    assert!(running.reader().region(region("US-TX")).is_some());
}
