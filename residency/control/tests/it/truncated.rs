//! What a leader had in its log and a newer leader cut off is not called undone: a third leader may commit it.

use residency_control::{ProposeError, Reader, Standing};

use crate::support::cluster::{CALIFORNIA, Cluster, NEW_YORK, TEXAS, TIMINGS, enlisted, leader_of};
use crate::support::{PATIENCE, add_region, claim, patient};

const WASHINGTON: &str = "spiffe://domicile/region/us-wa/node/4";
const OREGON: &str = "spiffe://domicile/region/us-or/node/5";
const CODES: [&str; 5] = ["US-TX", "US-CA", "US-NY", "US-WA", "US-OR"];

async fn sees(reader: &Reader, what: impl Fn(&Reader) -> bool) {
    let seen = reader.wait(what, PATIENCE).await;
    assert!(seen.is_ok(), "not seen: {:?}", reader.status());
}

/// Five members; the first leader's entry reaches one other, `keeper`. Of the rest one becomes the second leader, and
/// reaches the first leader alone. Then the second is gone, and `keeper` becomes the third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_cut_off_may_be_committed_yet_and_nobody_says_otherwise() {
    let mut cluster = Cluster::new(TIMINGS, &[TEXAS, CALIFORNIA, NEW_YORK, WASHINGTON, OREGON]);
    let mut running = cluster.form().await;
    let first = leader_of(&running).await;
    let others: Vec<u64> = running.keys().copied().filter(|node| *node != first).collect();
    let (keeper, rest) = (others[0], others[1..].to_vec());
    let here = CODES[usize::try_from(first - 1).expect("small")];
    running[&first].writer().propose(add_region(here)).await.expect("is proposed");
    // Afterwards nobody has anything more to say by itself.
    enlisted(&running[&first]).await;
    let index = running[&first].writer().propose(claim(here, [1])).await.expect("is proposed").index;
    for member in running.values() {
        sees(&member.reader(), |r| r.status().last_log >= index).await;
    }

    // Only the keeper hears the first leader, and nobody can be elected.
    cluster.cuts.set(move |from, to, path| path == "/raft/vote" || from != first || to != keeper);
    let writer = running[&first].writer();
    let proposed = tokio::spawn(async move { writer.propose(claim(here, [2])).await });
    let last = running[&first].reader();
    sees(&last, |r| r.status().last_log > index).await;
    let last = last.status().last_log;
    sees(&running[&keeper].reader(), |r| r.status().last_log >= last).await;

    // The rest elect one of themselves, who is heard by the first leader alone.
    let voters = rest.clone();
    cluster.cuts.set(move |from, to, path| match path {
        "/raft/vote" => !(voters.contains(&from) && voters.contains(&to)),
        "/raft/append" => !(voters.contains(&from) && to == first),
        _ => true,
    });
    let led = |r: &Reader| rest.contains(&r.status().leader.map_or(0, |id| id.0));
    sees(&running[&first].reader(), led).await;
    let answer = proposed.await.expect("ends");

    let second = running[&first].reader().status().leader.expect("leads").0;
    assert_eq!(running[&second].reader().status().standing, Standing::Leader);
    running.remove(&second).expect("runs").kill().await;
    running.remove(&first).expect("runs").kill().await;
    // Of the three that are left only the keeper stands: how long a member waits before it stands is drawn once, and
    // others who stand in vain, but sooner, would be ahead of it for ever.
    cluster.cuts.set(move |from, _, path| path == "/raft/vote" && from != keeper);
    for (_, other) in running.iter().filter(|(node, _)| **node != keeper) {
        other.control.retire().await;
    }
    for member in running.values() {
        sees(&member.reader(), |r| r.placement(patient(2)).is_some()).await;
    }
    assert_eq!(answer, Err(ProposeError::Timeout), "it was committed after all, so nobody knew");
}
