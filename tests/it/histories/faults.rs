//! Makes go wrong what is planned, and right again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residency_control::{Command, MembershipError, RosterChange, Standing};
use residency_policy::{KeyId, NodeId};
use tokio::time::{Instant, sleep_until, timeout};

use super::members::Seat;
use super::plan::{Fault, Kind};
use super::play::Table;

/// How long a change of the membership may take before it is given up.
const CHANGE_WITHIN: Duration = Duration::from_secs(6);

/// One fault, from its beginning to its end. Afterwards everybody who belongs there runs, on whole links. Tells whether
/// it was what it is called: at times nobody leads who could be killed, and a membership that cannot be changed stays.
pub(super) async fn happen(table: &Table, fault: Fault) -> bool {
    sleep_until(Instant::now() + fault.after).await;
    let mut rng = ChaCha8Rng::seed_from_u64(fault.dice);
    let until = Instant::now() + fault.length;
    let mut nodes = table.nodes();
    nodes.shuffle(&mut rng);
    // The seed chooses; where it is to be the leader, whoever leads now comes first.
    let mut so = true;
    if matches!(fault.kind, Kind::KillLeader | Kind::PauseLeader | Kind::LeaderAlone) {
        let at = leader(table).and_then(|leader| nodes.iter().position(|node| *node == leader));
        nodes.swap(0, at.unwrap_or(0));
        so = at.is_some();
    }
    let one = nodes[0];
    match fault.kind {
        Kind::KillLeader | Kind::Kill => {
            table.kill(one).await;
            sleep_until(until).await;
        }
        Kind::PauseLeader | Kind::Pause => {
            table.seat(one, Seat::pause);
            sleep_until(until).await;
            table.seat(one, Seat::resume);
        }
        Kind::LeaderAlone | Kind::MinorityAlone => {
            let alone = &nodes[..nodes.len().div_ceil(2) - 1];
            cut(table, |from, to| alone.contains(&from) != alone.contains(&to));
            sleep_until(until).await;
        }
        Kind::NoMajority => {
            cut(table, |_, _| true);
            sleep_until(until).await;
        }
        Kind::OneWay => {
            // To everybody, or to one.
            let to_all = rng.random_bool(0.5);
            cut(table, |from, to| from == one && (to_all || to == nodes[1]));
            sleep_until(until).await;
        }
        Kind::Ring => {
            let place = |node: u64| nodes.iter().position(|n| *n == node).unwrap_or(0);
            let count = nodes.len();
            cut(table, |from, to| {
                let apart = (place(from) + count - place(to)) % count;
                apart != 1 && apart != count - 1
            });
            sleep_until(until).await;
        }
        Kind::RestartAll => {
            for node in &nodes {
                table.kill(*node).await;
            }
        }
        Kind::FarBehind => {
            let had = table.running(one).map(|(control, _)| control.reader().status().last_log);
            table.kill(one).await;
            many_entries(table, nodes[1], &mut rng).await;
            let purged = |node: &u64| Some(table.running(*node)?.0.reader().status().purged);
            // What everybody else has purged can come by a snapshot only.
            so = nodes[1..].iter().filter_map(purged).min() > had;
        }
        Kind::Join => so = join(table, nodes[0]).await,
        Kind::ClockStep => {
            let by = if rng.random_bool(0.5) { 3_600 } else { -3_600 };
            table.seat(one, |seat| seat.clock.by.fetch_add(by, Ordering::Relaxed));
            sleep_until(until).await;
        }
    }
    table.wires.mend();
    table.start_all().await;
    so
}

/// Whoever takes itself for the leader. There may be two, of different terms.
fn leader(table: &Table) -> Option<u64> {
    table.nodes().into_iter().find(|node| {
        table.running(*node).is_some_and(|(control, _)| control.reader().status().standing == Standing::Leader)
    })
}

fn cut(table: &Table, is_cut: impl Fn(u64, u64) -> bool) {
    let nodes = table.nodes();
    for from in &nodes {
        for to in nodes.iter().filter(|to| *to != from) {
            if is_cut(*from, *to) {
                table.wires.set(*from, *to, false);
            }
        }
    }
}

/// More entries than a member that is away may miss and still be sent the log itself. They change nothing.
async fn many_entries(table: &Table, by: u64, rng: &mut ChaCha8Rng) {
    for _ in 0..70 {
        let Some((control, on)) = table.running(by) else { return };
        let nobodys = KeyId::from_bytes(rng.random());
        let work = on.spawn(async move { control.writer().propose(Command::RevokeKey(nobodys)).await });
        let _ = work.await;
    }
}

/// A new member joins and, when it has caught up, votes; then `leaves` goes. Each step may fail for want of a quorum,
/// and what was done by then stays done.
/// Tells whether one has joined, votes, and another one has left.
async fn join(table: &Table, leaves: u64) -> bool {
    let new = table.newcomer();
    let Some(asked) = table.nodes().into_iter().find(|node| *node != leaves) else { return false };
    let member = table.seat(asked, |seat| seat.members(&table.wires, std::iter::once(new)));
    let Some(member) = member.into_values().next() else { return false };
    if change(table, asked, RosterChange::Add { node: NodeId(new), member }).await.is_err() {
        return false;
    }
    table.admit(new).await;
    let promoted = timeout(CHANGE_WITHIN, async {
        loop {
            match change(table, asked, RosterChange::Promote(NodeId(new))).await {
                Err(MembershipError::Silent(_) | MembershipError::Behind { .. }) => {
                    sleep_until(Instant::now() + Duration::from_millis(30)).await;
                }
                done => return done.is_ok(),
            }
        }
    });
    if !matches!(promoted.await, Ok(true)) {
        return false;
    }
    let left = change(table, asked, RosterChange::Remove(NodeId(leaves))).await.is_ok();
    if left {
        table.dismiss(leaves).await;
    }
    left
}

async fn change(table: &Table, asked: u64, change: RosterChange) -> Result<u64, MembershipError> {
    let Some((control, on)) = table.running(asked) else {
        return Err(MembershipError::ShuttingDown);
    };
    let work = on.spawn(async move { control.change_roster(change).await });
    match timeout(CHANGE_WITHIN, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) | Err(_) => Err(MembershipError::Timeout),
    }
}
