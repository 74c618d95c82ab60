//! Holds, bookings, and who waits: what `apply` may do, in whatever order, by whatever clock.

use std::collections::BTreeMap;

use proptest::prelude::*;
use residency_control::calendar::{
    CalendarChange, Confirmation, EntryState, Hold, Ledger, Minute, Move, NotBooked, OverrideReason, Waiting,
    Wanted,
};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{Command, Outcome, Refusal};
use residency_policy::BookingHandle;

use crate::support::calendars::{
    START, calendar, change, clinic, confirmation, handle, hold, provider, provider_id,
};
use crate::support::{org, region};

const BUFFER: u16 = 10;

fn refused(why: NotBooked) -> Outcome {
    Outcome::Refused(Refusal::Calendar(why))
}

fn run(state: &mut State, wanted: CalendarChange) -> Outcome {
    apply(state, change(wanted))
}

/// Where more visits meet than there is room for, as sentences. With `excused`, those count that had a reason.
fn crowded(state: &State, capacities: &[u16], booked_only: bool, excused: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (n, capacity) in (0_u8..).zip(capacities) {
        let book = state.ledger().book(provider_id(n)).expect("a calendar");
        let visits: Vec<(Minute, Minute)> = book
            .entries()
            .filter(|(_, _, entry)| !booked_only || entry.state == EntryState::Booked)
            .filter(|(_, _, entry)| excused || entry.over_capacity.is_none())
            .map(|(start, _, entry)| (start, entry.end.plus(BUFFER.into())))
            .collect();
        for (moment, _) in &visits {
            let many = visits.iter().filter(|(start, end)| start <= moment && moment < end).count();
            if many > usize::from(*capacity) {
                found.push(format!("{many} visits of {n} at {moment}"));
            }
        }
    }
    found
}

/// What somebody does, by a clock that may be an hour off.
#[derive(Debug, Clone)]
enum Deed {
    Hold(Hold),
    Confirm(u16, i64),
    Release(u16),
    Cancel(u16),
    Relocate(u16, u16, i64),
    Tell(usize, i64),
}

const REGIONS: [&str; 3] = ["US-CA", "US-NY", "US-TX"];

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    // The moment at which it is done, and by how much the clock is off.
    let clock = (0..1_200_i64, prop::sample::select(vec![-3_600_i64, -30, 0, 45, 3_600]))
        .prop_map(|(moment, off)| START + moment + off);
    let name = 0..24_u16;
    let held = (0..2_u8, 0..12_u32, name.clone(), clock.clone(), any::<u8>()).prop_map(
        |(n, step, name, at, chance)| {
            let over = (chance < 12).then_some(OverrideReason::UrgentNeed);
            let end = if chance % 2 == 0 { 30 } else { 20 };
            let held = hold(n, 600 + step * 10, name, at);
            Deed::Hold(Hold { end: held.start.plus(end), over_capacity: over, ..held })
        },
    );
    prop::collection::vec(
        prop_oneof![
            6 => held,
            5 => (name.clone(), clock.clone()).prop_map(|(name, at)| Deed::Confirm(name, at)),
            1 => name.clone().prop_map(Deed::Release),
            1 => name.clone().prop_map(Deed::Cancel),
            2 => (name.clone(), name, clock.clone()).prop_map(|(a, b, at)| Deed::Relocate(a, b, at)),
            1 => (0..3_usize, clock).prop_map(|(n, at)| Deed::Tell(n, at)),
        ],
        0..80,
    )
}

/// The command of a deed. A handle is of one calendar, and whoever confirms has seen until when it is held.
fn command(deed: &Deed, places: &mut BTreeMap<u16, u8>, state: &State) -> CalendarChange {
    let at_place = |name: u16, places: &BTreeMap<u16, u8>| places.get(&name).copied().unwrap_or(0);
    let confirmed = |name: u16, at: i64, places: &BTreeMap<u16, u8>| {
        let held = hold(at_place(name, places), 0, name, at);
        let there = state.ledger().book(held.provider).and_then(|book| book.find(held.handle));
        let until = match there.map(|(_, entry)| entry.state) {
            Some(EntryState::Held { until }) => until,
            Some(EntryState::Booked) | None => held.until,
        };
        confirmation(&Hold { until, ..held }, at)
    };
    match deed {
        Deed::Hold(held) => {
            let name = u16::from_be_bytes([held.handle.to_bytes()[0], held.handle.to_bytes()[1]]);
            let known = *places.entry(name).or_insert(held.provider.to_bytes()[0]);
            CalendarChange::Hold(Hold { provider: provider_id(known), ..*held })
        }
        Deed::Confirm(name, at) => CalendarChange::Confirm(confirmed(*name, *at, places)),
        Deed::Release(name) => CalendarChange::Release {
            provider: provider_id(at_place(*name, places)),
            handle: handle(*name),
            org: org(1),
        },
        Deed::Cancel(name) => CalendarChange::Cancel {
            provider: provider_id(at_place(*name, places)),
            handle: handle(*name),
            region: region("US-TX"),
        },
        Deed::Relocate(from, to, at) => CalendarChange::Relocate(Move {
            from_provider: provider_id(at_place(*from, places)),
            from: handle(*from),
            to: confirmed(*to, *at, places),
        }),
        Deed::Tell(n, at) => CalendarChange::TellTime { region: region(REGIONS[*n]), at: *at },
    }
}

fn booked(state: &State) -> Vec<BookingHandle> {
    let books = (0..2_u8).filter_map(|n| state.ledger().book(provider_id(n)));
    let entries = books.flat_map(|book| book.entries());
    entries.filter(|(_, _, e)| e.state == EntryState::Booked).map(|(_, handle, _)| handle).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn visits_never_meet_beyond_the_capacity_whatever_the_order_and_the_clocks(
        deeds in deeds(),
        capacity in 1..3_u16,
    ) {
        let capacities = [capacity, 1];
        let mut state = clinic([calendar(0, capacity, BUFFER), calendar(1, 1, BUFFER)]);
        let mut places = BTreeMap::new();
        for deed in &deeds {
            let before = state.clone();
            let wanted = command(deed, &mut places, &before);
            let outcome = run(&mut state, wanted.clone());
            if outcome == Outcome::Done {
                let again = state.clone();
                prop_assert_eq!(run(&mut state, wanted), Outcome::Done, "the same again is done");
                prop_assert_eq!(&state, &again, "and changes nothing");
            } else {
                prop_assert_eq!(&state, &before, "a refused command changed something");
            }
            prop_assert_eq!(crowded(&state, &capacities, true, false), Vec::<String>::new(), "{:?}", deed);
            let left = matches!(deed, Deed::Cancel(_) | Deed::Relocate(..));
            for handle in booked(&before) {
                prop_assert!(left || booked(&state).contains(&handle), "{:?} took {}", deed, handle);
            }
        }
        prop_assert_eq!(&restore(&encode(&state).expect("encodes")).expect("restores"), &state);
    }
}

/// The control of the checker above: with those that had a reason, visits do meet.
#[test]
fn visits_that_meet_are_seen() {
    let mut state = clinic([calendar(0, 1, BUFFER)]);
    let first = hold(0, 600, 1, START);
    let second = Hold { over_capacity: Some(OverrideReason::UrgentNeed), ..hold(0, 620, 2, START) };
    for held in [first, second] {
        assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done);
        let sure = confirmation(&held, START + 1);
        assert_eq!(run(&mut state, CalendarChange::Confirm(sure)), Outcome::Done);
    }
    assert_eq!(crowded(&state, &[1], true, false), Vec::<String>::new());
    assert_eq!(crowded(&state, &[1], true, true).len(), 1);
}

#[test]
fn of_many_who_want_one_slot_one_gets_it() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let all = (0..50_u16).map(|name| CalendarChange::Hold(hold(0, 600, name, START + i64::from(name))));
    let outcomes: Vec<Outcome> = all.map(|wanted| run(&mut state, wanted)).collect();
    assert_eq!(outcomes.iter().filter(|o| **o == Outcome::Done).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == refused(NotBooked::SlotTaken)).count(), 49);
}

#[test]
fn a_hold_that_has_expired_may_be_taken_over_and_then_not_confirmed() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let held = hold(0, 600, 1, START);
    assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done);
    let other = |at| CalendarChange::Hold(hold(0, 600, 2, at));
    assert_eq!(run(&mut state, other(START + 299)), refused(NotBooked::SlotTaken));
    let late = CalendarChange::Confirm(confirmation(&held, START + 300));
    assert_eq!(run(&mut state, late), refused(NotBooked::HoldExpired), "nobody has it, and it is over");
    assert_eq!(run(&mut state, other(START + 300)), Outcome::Done);
    // Even by a clock that is behind: it is gone.
    let behind = CalendarChange::Confirm(confirmation(&held, START + 1));
    assert_eq!(run(&mut state, behind), refused(NotBooked::UnknownHold));
    let again = CalendarChange::Hold(Hold { at: START - 3_600, until: START - 3_300, ..held });
    assert_eq!(run(&mut state, again), refused(NotBooked::SlotTaken));
    // Nor is one that was given back and taken anew: a confirmation that comes late meant the one before.
    let release = |name| CalendarChange::Release { provider: held.provider, handle: handle(name), org: org(1) };
    assert_eq!(run(&mut state, release(2)), Outcome::Done);
    assert_eq!(run(&mut state, CalendarChange::Hold(hold(0, 600, 1, START + 301))), Outcome::Done);
    let late = CalendarChange::Confirm(confirmation(&held, START + 299));
    assert_eq!(run(&mut state, late), refused(NotBooked::UnknownHold));
}

#[test]
fn a_booking_rests_on_the_calendar_and_the_provider_that_were_seen() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let held = hold(0, 600, 1, START);
    let moved_on = Outcome::Refused(Refusal::StaleVersion);
    let with = |change: &dyn Fn(&mut Hold)| {
        let mut other = held;
        change(&mut other);
        CalendarChange::Hold(other)
    };
    assert_eq!(run(&mut state, with(&|h| h.calendar_version = 2)), moved_on);
    assert_eq!(run(&mut state, with(&|h| h.provider_version = 2)), moved_on);
    let nobody = with(&|h| h.provider = provider_id(9));
    assert_eq!(run(&mut state, nobody), refused(NotBooked::UnknownCalendar));
    assert_eq!(run(&mut state, with(&|h| h.until = h.at)), refused(NotBooked::NotAHold));
    assert_eq!(run(&mut state, with(&|h| h.until = h.at + 3_601)), refused(NotBooked::NotAHold));
    assert_eq!(run(&mut state, with(&|h| h.end = h.start)), refused(NotBooked::NotAHold));
    assert_eq!(run(&mut state, with(&|h| h.end = h.start.plus(481))), refused(NotBooked::NotAHold));
    assert_eq!(run(&mut state, with(&|_| {})), Outcome::Done, "the control");
    // The authority may be gone in the next version.
    let sure = |version| Confirmation { provider_version: version, ..confirmation(&held, START + 1) };
    let changed = Command::PutProvider { provider: provider(0), expected: 1 };
    assert_eq!(apply(&mut state, changed), Outcome::Done);
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure(1))), moved_on);
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure(2))), Outcome::Done);
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure(1))), Outcome::Done, "it is booked already");
}

#[test]
fn a_booking_is_its_homes_alone() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let held = hold(0, 600, 1, START);
    let sure = confirmation(&held, START + 1);
    assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done);
    let others = Confirmation { org: org(2), ..sure };
    assert_eq!(run(&mut state, CalendarChange::Confirm(others)), refused(NotBooked::UnknownHold));
    let release = |org| CalendarChange::Release { provider: held.provider, handle: held.handle, org };
    assert_eq!(run(&mut state, release(org(2))), refused(NotBooked::UnknownHold));
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure)), Outcome::Done);
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure)), Outcome::Done, "the same again");
    let elsewhere = Confirmation { region: region("US-NY"), ..sure };
    assert_eq!(run(&mut state, CalendarChange::Confirm(elsewhere)), refused(NotBooked::AlreadyBooked));
    assert_eq!(run(&mut state, release(org(1))), refused(NotBooked::AlreadyBooked));
    let cancel =
        |code| CalendarChange::Cancel { provider: held.provider, handle: held.handle, region: region(code) };
    assert_eq!(run(&mut state, cancel("US-NY")), refused(NotBooked::UnknownHold));
    assert_eq!(run(&mut state, cancel("US-TX")), Outcome::Done);
    assert_eq!(run(&mut state, cancel("US-TX")), Outcome::Done, "the same again");
    assert!(state.ledger().book(held.provider).is_some_and(|book| book.is_empty()));
}

#[test]
fn a_move_does_both_or_neither() {
    let mut state = clinic([calendar(0, 1, 0), calendar(1, 1, 0)]);
    let (old, new) = (hold(0, 600, 1, START), hold(1, 900, 2, START));
    let relocate = |at| {
        let to = confirmation(&new, at);
        CalendarChange::Relocate(Move { from_provider: old.provider, from: old.handle, to })
    };
    assert_eq!(run(&mut state, CalendarChange::Hold(old)), Outcome::Done);
    assert_eq!(run(&mut state, CalendarChange::Confirm(confirmation(&old, START))), Outcome::Done);
    assert_eq!(run(&mut state, relocate(START)), refused(NotBooked::UnknownHold), "nothing is held there");
    assert_eq!(run(&mut state, CalendarChange::Hold(new)), Outcome::Done);
    let to_itself = Move { from_provider: old.provider, from: old.handle, to: confirmation(&old, START) };
    assert_eq!(run(&mut state, CalendarChange::Relocate(to_itself)), refused(NotBooked::NotAHold));
    assert_eq!(run(&mut state, relocate(START + 300)), refused(NotBooked::HoldExpired));
    assert_eq!(booked(&state), [old.handle], "the old one stays");
    assert_eq!(run(&mut state, relocate(START + 299)), Outcome::Done);
    assert_eq!(run(&mut state, relocate(START + 299)), Outcome::Done, "the same again");
    assert_eq!(booked(&state), [new.handle]);
}

#[test]
fn capacity_and_buffers_are_kept() {
    let mut state = clinic([calendar(0, 2, BUFFER)]);
    let mut held = |minute, name| run(&mut state, CalendarChange::Hold(hold(0, minute, name, START)));
    assert_eq!(held(600, 1), Outcome::Done);
    assert_eq!(held(600, 2), Outcome::Done, "there is room for two");
    assert_eq!(held(600, 3), refused(NotBooked::SlotTaken));
    assert_eq!(held(630, 3), refused(NotBooked::SlotTaken), "what follows a visit is still to come");
    assert_eq!(held(640, 3), Outcome::Done);
    assert_eq!(held(570, 4), refused(NotBooked::SlotTaken), "its own buffer would meet the next visit");
    assert_eq!(held(560, 4), Outcome::Done);
    // One here and one there meet nobody but themselves.
    let mut state = clinic([calendar(0, 2, 0)]);
    let mut held = |minute, name| run(&mut state, CalendarChange::Hold(hold(0, minute, name, START)));
    assert_eq!([held(600, 1), held(630, 2), held(615, 3)], [Outcome::Done; 3]);
    assert_eq!(held(620, 4), refused(NotBooked::SlotTaken));
}

#[test]
fn an_organisation_holds_no_more_than_it_may_and_what_lapsed_counts_no_more() {
    let mut state = clinic((0..4).map(|n| calendar(n, 100, 0)));
    let many = u16::try_from(Ledger::HOLDS_MAX).expect("fits");
    for name in 0..many {
        let held = hold(u8::try_from(name % 4).expect("fits"), u32::from(name / 100) * 30, name, START);
        assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done, "{name}");
    }
    let more = |at, name| CalendarChange::Hold(hold(0, 90_000, name, at));
    assert_eq!(run(&mut state, more(START + 299, many)), refused(NotBooked::TooManyHolds));
    let other = Hold { org: org(2), ..hold(0, 99_000, many + 1, START) };
    assert_eq!(run(&mut state, CalendarChange::Hold(other)), Outcome::Done, "another organisation");
    assert_eq!(run(&mut state, more(START + 300, many)), Outcome::Done, "when they have lapsed");
    let left: usize = (0..4).filter_map(|n| state.ledger().book(provider_id(n))).map(|b| b.len()).sum();
    assert_eq!(left, 2, "and what lapsed was forgotten");
}

#[test]
fn a_calendar_is_changed_by_whoever_has_seen_it() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let put = |capacity, expected| CalendarChange::Put { calendar: calendar(0, capacity, 0), expected };
    let moved_on = Outcome::Refused(Refusal::StaleVersion);
    assert_eq!(run(&mut state, put(1, 0)), Outcome::Done, "the same again");
    assert_eq!(run(&mut state, put(2, 0)), moved_on);
    assert_eq!(run(&mut state, put(2, 1)), Outcome::Done);
    assert_eq!(run(&mut state, put(3, 1)), moved_on);
    let book = state.ledger().book(provider_id(0)).expect("a calendar");
    assert_eq!((book.calendar().version, book.calendar().capacity), (2, 2));
    let wrong = CalendarChange::Put { calendar: calendar(0, 0, 0), expected: 2 };
    assert_eq!(run(&mut state, wrong), refused(NotBooked::NotACalendar));
    let nobody = CalendarChange::Put { calendar: calendar(7, 1, 0), expected: 0 };
    assert_eq!(run(&mut state, nobody), Outcome::Refused(Refusal::UnknownProvider));
}

fn waiting(name: u16, code: &str) -> Waiting {
    let start = Minute(u32::try_from(START / 60).expect("minutes"));
    Waiting {
        handle: handle(name),
        wanted: Wanted::Provider(provider_id(0)),
        from: start,
        to: start.plus(10_000),
        org: org(1),
        region: region(code),
    }
}

#[test]
fn who_waits_keeps_their_place_until_they_leave() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let wait = |name| CalendarChange::Wait(waiting(name, "US-TX"));
    let order = |state: &State| state.ledger().waiting().map(|w| w.handle).collect::<Vec<_>>();
    for name in [3, 1, 2] {
        assert_eq!(run(&mut state, wait(name)), Outcome::Done);
        assert_eq!(run(&mut state, wait(name)), Outcome::Done, "the same again");
    }
    assert_eq!(order(&state), [handle(3), handle(1), handle(2)]);
    let other = CalendarChange::Wait(waiting(1, "US-NY"));
    assert_eq!(run(&mut state, other), Outcome::Refused(Refusal::AlreadyKnown));
    let leave = |name, code| CalendarChange::Leave { handle: handle(name), region: region(code) };
    assert_eq!(run(&mut state, leave(1, "US-NY")), refused(NotBooked::UnknownHold));
    assert_eq!(run(&mut state, leave(3, "US-TX")), Outcome::Done);
    assert_eq!(run(&mut state, leave(3, "US-TX")), Outcome::Done, "the same again");
    assert_eq!(run(&mut state, wait(3)), Outcome::Done);
    assert_eq!(order(&state), [handle(1), handle(2), handle(3)], "who comes again comes last");
    assert_eq!(restore(&encode(&state).expect("encodes")).expect("restores"), state);
}

#[test]
fn what_is_over_is_forgotten_by_the_word_of_half_of_all_regions() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let past = hold(0, 0, 1, START);
    let ahead = hold(0, 60 * 24 * 300, 2, START);
    for held in [past, ahead] {
        assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done);
        let sure = confirmation(&held, START);
        assert_eq!(run(&mut state, CalendarChange::Confirm(sure)), Outcome::Done);
    }
    let wait = CalendarChange::Wait(waiting(9, "US-TX"));
    assert_eq!(run(&mut state, wait), Outcome::Done);
    let mut tell = |code, at| run(&mut state, CalendarChange::TellTime { region: region(code), at });
    let soon = START + 3 * 86_400;
    assert_eq!(tell("US-OH", soon), Outcome::Refused(Refusal::UnknownRegion));
    assert_eq!(tell("US-CA", START), Outcome::Done);
    // A clock that is years ahead is one of two, and then one of three.
    assert_eq!(tell("US-NY", START + 10 * 366 * 86_400), Outcome::Done);
    assert_eq!(tell("US-TX", soon), Outcome::Done);
    assert_eq!(booked(&state), [ahead.handle], "the past was forgotten, what is ahead was not");
    assert_eq!(state.ledger().waiting().count(), 1);
    let later = START + 20 * 86_400;
    for code in ["US-CA", "US-TX"] {
        assert_eq!(
            run(&mut state, CalendarChange::TellTime { region: region(code), at: later }),
            Outcome::Done
        );
    }
    assert_eq!(state.ledger().waiting().count(), 0, "their time is over");
    assert_eq!(booked(&state), [ahead.handle]);
}
