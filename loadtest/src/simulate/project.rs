//! From what was measured to what was asked: arithmetic, and nothing else.

use std::fmt::Write as _;

use super::{Ask, Costs};
use crate::bench::drive::precise;
use crate::bench::report::{figure, machine};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
/// Half of what is done in a day falls into so many hours of it.
const BUSY_HOURS: f64 = 4.0;

/// One size.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// How many patients.
    pub patients: u64,
    /// The directory in every member's and every router's memory.
    pub memory_gib: f64,
    /// A snapshot on disk.
    pub snapshot_gib: f64,
    /// Writing it.
    pub snapshot_written_s: f64,
    /// Reading it, which is how long a member takes to start.
    pub snapshot_read_s: f64,
    /// Sending it to a member that is new or far behind.
    pub snapshot_sent_s: f64,
    /// What every member writes to its log in a day.
    pub log_gib_a_day: f64,
    /// Changes a second in the busy hours.
    pub changes_a_second: f64,
    /// Log entries a second: one at a time, each a round trip to a quorum, which everything that waits goes into.
    pub entries_a_second: f64,
    /// How much of one core the leader needs for them.
    pub leader_cores: f64,
    /// How long a route may be out of date after a move was acknowledged: 99 of 100.
    pub stale_ms: f64,
    /// The oldest that a healthy member's view is.
    pub view_ms: f64,
}

/// What so many patients would cost.
pub fn project(costs: &Costs, ask: &Ask, patients: u64) -> Projection {
    let many = precise(patients);
    let snapshot_bytes = many * costs.snapshot_bytes;
    let claimed = many * ask.new / 1_000.0;
    // A move is planned, cut over and done; a visit is held and confirmed.
    let changes = many * (ask.moved * 3.0 + ask.booked * 2.0) / 1_000.0;
    let changes_a_second = changes / 2.0 / (BUSY_HOURS * 3_600.0);
    let followers = f64::from(ask.states.saturating_sub(1));
    let entry_us = costs.entry_us + followers * costs.follower_us;
    let entries_a_second = changes_a_second.min(1_000.0 / ask.round_trip_ms);
    let changes_of_a_day = changes.min(entries_a_second * 86_400.0);
    Projection {
        patients,
        memory_gib: many * costs.memory_bytes / GIB,
        snapshot_gib: snapshot_bytes / GIB,
        snapshot_written_s: many * costs.snapshot_write_ns / 1e9,
        snapshot_read_s: many * costs.snapshot_read_ns / 1e9,
        snapshot_sent_s: snapshot_bytes * 8.0 / (ask.megabits * 1e6),
        log_gib_a_day: (claimed * costs.log_bytes_claimed + changes_of_a_day * costs.log_bytes_change) / GIB,
        changes_a_second,
        entries_a_second,
        // The cost of a shared change is that of three members, which is more than the leader's part.
        leader_cores: (entries_a_second * entry_us + changes_a_second * costs.shared_us) / 1e6,
        // On top of what was measured without a distance: the leader's work for everybody, and half a round trip.
        stale_ms: costs.visible_ms.1 + ask.round_trip_ms / 2.0 + followers * costs.follower_us / 1e3,
        view_ms: costs.heartbeat_ms + ask.round_trip_ms,
    }
}

/// The report.
pub(super) fn markdown(costs: &Costs, ask: &Ask, projections: &[Projection]) -> String {
    let mut out = format!("# {} states, {} patients\n\n", ask.states, said(ask.patients));
    let _ = writeln!(out, "{}\n", machine());
    if cfg!(debug_assertions) {
        out.push_str("**A debug build. Its figures say nothing.**\n\n");
    }
    let _ = writeln!(out, "## Measured here, with {} patients\n", said(costs.patients));
    out.push_str("| what | each |\n| --- | --- |\n");
    let (ack, seen) = (costs.acknowledged_ms, costs.visible_ms);
    for (what, each) in [
        ("directory in memory", format!("{} bytes a patient", figure(costs.memory_bytes))),
        ("look-up of a route", format!("{} ns", figure(costs.look_up_ns))),
        ("snapshot", format!("{} bytes a patient", figure(costs.snapshot_bytes))),
        ("snapshot written, fsync included", format!("{} ns a patient", figure(costs.snapshot_write_ns))),
        ("snapshot read", format!("{} ns a patient", figure(costs.snapshot_read_ns))),
        (
            "written to the log for a claimed id, in batches of 4,096",
            format!("{} bytes", figure(costs.log_bytes_claimed)),
        ),
        (
            "written to the log for a change with an entry of its own",
            format!("{} bytes", figure(costs.log_bytes_change)),
        ),
        (
            "change acknowledged, three members, loopback",
            format!("p50 {} ms, p99 {} ms", figure(ack.0), figure(ack.1)),
        ),
        ("then visible at every follower", format!("p50 {} ms, p99 {} ms", figure(seen.0), figure(seen.1))),
        ("processor time of an entry, one member", format!("{} us", figure(costs.entry_us))),
        ("processor time that each follower adds", format!("{} us", figure(costs.follower_us))),
        (
            "processor time of a change among hundreds in an entry, three members",
            format!("{} us", figure(costs.shared_us)),
        ),
    ] {
        let _ = writeln!(out, "| {what} | {each} |");
    }
    let _ = writeln!(
        out,
        "\n## Extrapolated\n\nEverything below is arithmetic with the costs above: memory, snapshots and log grow with \
         the number of patients, the leader's work with the number of states. Assumed and not measured: {} new patients, \
         {} moves and {} visits a day in a thousand patients, half of them in {BUSY_HOURS:.0} hours; a round trip of {} \
         ms; {} Mbit/s. Not in it: other work on the machine, packet loss, and what caches do when the directory no \
         longer fits into them.\n",
        ask.new, ask.moved, ask.booked, ask.round_trip_ms, ask.megabits
    );
    out.push_str(
        "| patients | directory GiB | snapshot GiB | written s | read s | sent s | log GiB/day | changes/s | \
         entries/s | leader cores | route stale ms, p99 | view age ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for p in projections {
        let cells = [
            p.memory_gib,
            p.snapshot_gib,
            p.snapshot_written_s,
            p.snapshot_read_s,
            p.snapshot_sent_s,
            p.log_gib_a_day,
            p.changes_a_second,
            p.entries_a_second,
            p.leader_cores,
            p.stale_ms,
            p.view_ms,
        ];
        let _ = writeln!(out, "| {} | {} |", said(p.patients), cells.map(figure).join(" | "));
    }
    out.push_str(
        "\nWhat goes to the log in a day is written and not kept: the log is cut behind every snapshot. One entry is under \
         way at a time, and everything that waits goes into the next: there are never more entries a second than round \
         trips.\n",
    );
    out
}

/// A number that people can read.
fn said(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        ask: Ask,
    }

    fn costs() -> Costs {
        Costs {
            patients: 1_000_000,
            memory_bytes: 10.0,
            look_up_ns: 50.0,
            snapshot_bytes: 10.0,
            snapshot_write_ns: 100.0,
            snapshot_read_ns: 200.0,
            log_bytes_claimed: 20.0,
            log_bytes_change: 500.0,
            acknowledged_ms: (1.0, 2.0),
            visible_ms: (1.0, 5.0),
            heartbeat_ms: 250.0,
            entry_us: 100.0,
            follower_us: 50.0,
            shared_us: 10.0,
        }
    }

    #[test]
    fn ten_times_as_many_patients_cost_ten_times_as_much_and_are_as_fresh() {
        let ask = Only::parse_from(["simulate"]).ask;
        let (one, ten) = (project(&costs(), &ask, 1_000_000), project(&costs(), &ask, 10_000_000));
        let grow: [fn(&Projection) -> f64; 5] = [
            |p| p.memory_gib,
            |p| p.snapshot_written_s,
            |p| p.snapshot_sent_s,
            |p| p.log_gib_a_day,
            |p| p.changes_a_second,
        ];
        for figure in grow {
            assert!((figure(&ten) / figure(&one) - 10.0).abs() < 1e-9, "{one:?} {ten:?}");
        }
        assert!((one.stale_ms - ten.stale_ms).abs() < 1e-9);
        assert!((one.view_ms - 325.0).abs() < 1e-9);
        // 5 ms measured, half of 75 ms on the way, 49 followers at 50 us.
        assert!((one.stale_ms - 44.95).abs() < 1e-9, "{}", one.stale_ms);
    }

    #[test]
    fn a_leader_makes_no_more_entries_than_there_are_round_trips() {
        let ask = Only::parse_from(["simulate"]).ask;
        let (few, many) = (project(&costs(), &ask, 1_000_000), project(&costs(), &ask, 300_000_000));
        // 20.21 changes a day in a thousand patients, half of them in four hours.
        assert!(
            (few.entries_a_second - few.changes_a_second).abs() < 1e-9 && few.changes_a_second < 1.0,
            "{few:?}"
        );
        assert!((many.entries_a_second - 1_000.0 / 75.0).abs() < 1e-9, "{many:?}");
        // 13.3 entries of 100 us and 49 followers at 50 us each, and 210.5 changes at 10 us.
        assert!((many.leader_cores - 0.0361).abs() < 0.001, "{many:?}");
    }

    #[test]
    fn the_report_says_what_was_measured_and_what_was_not() {
        let ask = Only::parse_from(["simulate", "--round-trip-ms", "80"]).ask;
        let text = markdown(&costs(), &ask, &[project(&costs(), &ask, ask.patients)]);
        for says in
            ["## Measured here, with 1,000,000 patients", "## Extrapolated", "not measured", "| 300,000,000 |"]
        {
            assert!(text.contains(says), "{says}: {text}");
        }
    }
}
