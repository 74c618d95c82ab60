//! Histories: many short runs of the control plane under faults, each judged for linearizability.
//!
//! **What is real**: the members (openraft, the log with its fsyncs on this machine's disk, snapshots, the state
//! machine, mutual TLS, HTTP/2), the sockets between them, and time. **What is not**: all members are in one process,
//! each on a thread and a runtime of its own; between any two of them lies a relay with a switch, so that a link can
//! be cut in one direction; a pause stops a member's thread, and a kill closes its sockets and its log, which is
//! gentler than `kill -9`. [`processes`] does the same with real processes, signals and HTTPS, a few times only,
//! because each time takes long; power cuts are tested where the log is (`tests/disks`).
//!
//! Everything that is asked, and every fault with its time, follows from the seed; the scheduler of the machine does
//! not. `DOMICILE_SEED=17 ./dev test histories` (or `17..30`) plays it again, and a history that fails is
//! left in a file that `domicile-loadtest check` reads.

mod clients;
mod clocks;
mod faults;
mod members;
mod plan;
mod play;
mod processes;
mod wires;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use loadtest::history::linearize;
use tests::workspace::environment;

use plan::Plan;
use play::{Played, play};

/// Where a read comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A linearizable read point, as the product does it.
    Checked,
    /// Whatever the member has, which is the defect that the judge must find.
    Unchecked,
}

/// How many histories `./dev test` plays, and `./dev test --long`.
const HISTORIES: u64 = 200;
const HISTORIES_LONG: u64 = 3_000;
/// How many are played side by side: they mostly wait for elections and for the disk.
const AT_ONCE: usize = 8;

/// One seed, or `from..to`.
fn seeds_of(text: &str) -> Option<std::ops::Range<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..to.parse().ok()?),
        None => text.parse().ok().map(|seed| seed..seed + 1),
    }
}

/// Plays these seeds side by side.
fn play_all(seeds: &[u64], reading: Reading) -> Vec<Played> {
    let (next, played) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(seeds.len()) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = play(*seed, reading);
                    played.lock().expect("nobody panicked").push(one);
                }
            });
        }
    });
    played.into_inner().expect("nobody panicked")
}

/// What is wrong with a history, if anything: and then it is left in a file.
fn wrong(played: &Played) -> Option<String> {
    let mut found = played.trouble.clone();
    found.extend(
        linearize::violations(&played.operations).into_iter().map(|v| format!("{}: {}", v.key, v.what)),
    );
    if found.is_empty() {
        return None;
    }
    let path = std::env::temp_dir().join(format!("domicile-history-{}.jsonl", played.seed));
    let lines = played.operations.iter().filter_map(|operation| serde_json::to_string(operation).ok());
    let _ = std::fs::write(&path, lines.collect::<Vec<_>>().join("\n"));
    Some(format!("seed {} ({}; {}): {}", played.seed, played.plan, path.display(), found.join("; ")))
}

#[test]
fn histories_under_faults_are_linearizable() {
    let _turn = one_at_a_time();
    let began = Instant::now();
    let seeds = match environment("DOMICILE_SEED").as_deref().and_then(seeds_of) {
        Some(seeds) => seeds,
        None if environment("DOMICILE_LONG").is_some() => 0..HISTORIES_LONG,
        None => 0..HISTORIES,
    };
    let seeds: Vec<u64> = seeds.collect();
    let many = seeds.len();
    let played = play_all(&seeds, Reading::Checked);
    let found: Vec<String> = played.iter().filter_map(wrong).collect();
    assert!(found.is_empty(), "{} of {many} histories:\n{}", found.len(), found.join("\n"));

    // A history in which nothing happened would be linearizable too.
    let sum = |of: fn(&Played) -> usize| played.iter().map(of).sum::<usize>();
    let (operations, answered) = (sum(|p| p.operations.len()), sum(Played::answered));
    say(&format!(
        "{many} histories in {:?}: {operations} operations, {answered} answered, {} without a known outcome, {} \
         elections, {} members started again that had ended by themselves",
        began.elapsed(),
        sum(Played::unknown),
        sum(|p| p.elections),
        sum(|p| p.ended),
    ));
    assert!(answered >= many * 60, "{answered} operations were answered in {many} histories");
    if many >= 100 {
        // The first fault goes round, so that each kind is planned in a thirteenth of them at least. Of each, some must
        // have been what they are called: a leader that led, a member that needed a snapshot, a membership that changed.
        for kind in plan::Kind::ALL {
            let times = played.iter().flat_map(|p| &p.kinds).filter(|had| **had == kind).count();
            let planned = played.iter().flat_map(|p| &p.plan.faults).filter(|fault| fault.kind == kind).count();
            say(&format!("{kind:?}: {times} of {planned}"));
            assert!(planned >= many / plan::Kind::ALL.len(), "{kind:?} was planned {planned} times only");
            assert!(times >= 3, "{kind:?} took effect {times} times only, and was planned {planned} times");
        }
        assert!(sum(Played::unknown) > 0, "no answer was ever lost");
    }
}

#[test]
fn reads_that_do_not_ask_are_caught() {
    let _turn = one_at_a_time();
    // Seeds that leave somebody alone for longer than an election takes: then others change what that one still shows.
    let leaves_alone = |fault: &plan::Fault| {
        matches!(fault.kind, plan::Kind::LeaderAlone | plan::Kind::MinorityAlone)
            && fault.length > Duration::from_millis(1_200)
    };
    let seeds: Vec<u64> =
        (0..).filter(|seed| Plan::of(*seed).faults.iter().any(leaves_alone)).take(12).collect();
    let played = play_all(&seeds, Reading::Unchecked);
    let found = |p: &&Played| !linearize::violations(&p.operations).is_empty();
    let missed: Vec<String> =
        played.iter().filter(|p| !found(p)).map(|p| format!("seed {} ({})", p.seed, p.plan)).collect();
    assert!(missed.len() <= 3, "unchecked reads were not caught in {} of 12: {missed:#?}", missed.len());
}

/// Tests with faults starve each other on two cores.
fn one_at_a_time() -> tokio::sync::MutexGuard<'static, ()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(tests::cluster::turn())
}

#[expect(clippy::print_stderr, reason = "how much was played is part of the result")]
fn say(text: &str) {
    eprintln!("{text}");
}
