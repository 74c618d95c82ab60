//! Handles that were given up: nothing is held under them by whoever comes late.

use residency_control::calendar::{CalendarChange, Hold, Ledger, NotBooked};
use residency_control::machine::{State, apply};
use residency_control::snapshot::{encode, restore};
use residency_control::{Outcome, Refusal};
use residency_policy::BookingHandle;

use crate::support::calendars::{START, calendar, change, clinic, confirmation, handle, hold, provider_id};
use crate::support::{org, region};

fn refused(why: NotBooked) -> Outcome {
    Outcome::Refused(Refusal::Calendar(why))
}

fn run(state: &mut State, wanted: CalendarChange) -> Outcome {
    apply(state, change(wanted))
}

#[test]
fn nothing_is_held_under_a_handle_that_was_given_up() {
    const DAY: i64 = 86_400;
    let mut state = clinic([calendar(0, 1, 0)]);
    let held = hold(0, 600, 1, START);
    let give_up = |at| CalendarChange::GiveUp { provider: held.provider, handle: held.handle, org: org(1), at };
    let again = |at| CalendarChange::Hold(Hold { at, until: at + 300, ..held });
    assert_eq!(run(&mut state, CalendarChange::Hold(held)), Outcome::Done);
    let others =
        CalendarChange::GiveUp { provider: held.provider, handle: held.handle, org: org(2), at: START };
    assert_eq!(run(&mut state, others), refused(NotBooked::UnknownHold));
    // The control: what was only given back may be held again.
    let release = CalendarChange::Release { provider: held.provider, handle: held.handle, org: org(1) };
    assert_eq!(run(&mut state, release), Outcome::Done);
    assert_eq!(run(&mut state, again(START)), Outcome::Done);

    assert_eq!(run(&mut state, give_up(START)), Outcome::Done);
    assert_eq!(run(&mut state, give_up(START + 1)), Outcome::Done, "the same again");
    assert!(state.ledger().book(held.provider).is_some_and(|book| book.is_empty()), "and its time is free");
    assert_eq!(run(&mut state, again(START)), refused(NotBooked::HoldExpired));
    assert_eq!(run(&mut state, CalendarChange::Hold(hold(0, 600, 2, START))), Outcome::Done, "others may");
    let late = CalendarChange::Confirm(confirmation(&held, START));
    assert_eq!(run(&mut state, late), refused(NotBooked::UnknownHold));
    let mut restored = restore(&encode(&state).expect("encodes")).expect("opens");
    assert_eq!(restored, state);
    assert_eq!(run(&mut restored, again(START)), refused(NotBooked::HoldExpired), "a snapshot keeps it");

    // What is booked is not given up.
    let sure = confirmation(&hold(0, 600, 2, START), START);
    assert_eq!(run(&mut state, CalendarChange::Confirm(sure)), Outcome::Done);
    let booked = CalendarChange::GiveUp { provider: held.provider, handle: handle(2), org: org(1), at: START };
    assert_eq!(run(&mut state, booked), refused(NotBooked::AlreadyBooked));
    let cancel = CalendarChange::Cancel { provider: held.provider, handle: handle(2), region: sure.region };
    assert_eq!(run(&mut state, cancel), Outcome::Done);

    // It is remembered for two days by the word of half of all regions, and no longer.
    let tell = |at| CalendarChange::TellTime { region: region("US-TX"), at };
    assert_eq!(run(&mut state, tell(START + 2 * DAY - 60)), Outcome::Done);
    assert_eq!(run(&mut state, again(START)), refused(NotBooked::HoldExpired));
    assert_eq!(run(&mut state, tell(START + 2 * DAY + 60)), Outcome::Done);
    assert_eq!(run(&mut state, again(START)), Outcome::Done);
}

#[test]
fn one_organisation_gives_up_so_many_handles_and_no_more() {
    let mut state = clinic([calendar(0, 1, 0)]);
    let give_up = |n: usize, of| CalendarChange::GiveUp {
        provider: provider_id(0),
        handle: BookingHandle::from_bytes((n as u128 + 1).to_be_bytes()),
        org: org(of),
        at: START,
    };
    for n in 0..Ledger::GIVEN_UP_MAX {
        assert_eq!(run(&mut state, give_up(n, 1)), Outcome::Done);
    }
    assert_eq!(run(&mut state, give_up(Ledger::GIVEN_UP_MAX, 1)), Outcome::Refused(Refusal::Full));
    assert_eq!(run(&mut state, give_up(0, 1)), Outcome::Done, "what is remembered is no more");
    assert_eq!(run(&mut state, give_up(Ledger::GIVEN_UP_MAX, 2)), Outcome::Done, "another is another");
}
