//! The calendars of a development cluster's clinicians: office hours, by the clock of where each is licensed first.

use anyhow::{Context as _, Result};
use jiff::civil::{Date, date};
use loadtest_people::{CAST, provider};
use residency_control::Command;
use residency_control::calendar::{
    Calendar, CalendarChange, Day, Exceptions, WeeklyRule, WeeklyRules, zone_names,
};
use residency_policy::Jurisdiction;

const MONDAY_TO_FRIDAY: u8 = 0b001_1111;
const NINE: u16 = 9 * 60;
const FIVE: u16 = 17 * 60;

/// The commands that put them. A calendar that somebody changed since stays as it is.
pub fn commands(seed: u64, states: &[Jurisdiction], today: Date) -> Result<Vec<Command>> {
    let office = WeeklyRule {
        weekdays: MONDAY_TO_FRIDAY,
        from: NINE,
        to: FIVE,
        since: Day::of(date(2021, 1, 1)),
        until: None,
    };
    let put = |index| {
        let clinician = provider(seed, index, states, today);
        let place = clinician.licences.first().context("a clinician without a licence")?.jurisdiction;
        let calendar = Calendar {
            provider: clinician.id,
            zone: zone_names(place).next().context("a place without a clock")?,
            rules: WeeklyRules::new(vec![office])?,
            exceptions: Exceptions::default(),
            slot_minutes: 30,
            buffer_before: 0,
            buffer_after: 0,
            capacity: 1,
            notice_minutes: 0,
            horizon_days: 60,
            version: 0,
        };
        Ok(Command::Calendar(CalendarChange::Put { calendar, expected: 0 }))
    };
    (0..CAST).map(put).collect()
}

#[cfg(test)]
mod tests {
    use residency_control::machine::{State, apply};
    use residency_control::system::SystemEntropy;
    use residency_control::{Outcome, Refusal};

    use super::*;
    use crate::dev::{clinicians, credentials};

    #[test]
    fn every_clinician_has_office_hours_and_a_second_start_changes_none() {
        let states: Vec<Jurisdiction> = ["US-CA", "US-TX"].map(|code| code.parse().expect("a place")).to_vec();
        let today = "2026-11-22".parse().expect("a day");
        let keys = credentials::mint(&states, &SystemEntropy::new());
        let mut state = State::default();
        for command in credentials::commands(&keys, &SystemEntropy::new()).expect("all can be said") {
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        let all = commands(1, &states, today).expect("all can be said");
        assert_eq!(
            apply(&mut state, all[0].clone()),
            Outcome::Refused(Refusal::UnknownProvider),
            "the control"
        );
        for command in clinicians::commands(&keys, 1, &states, today).expect("all can be said") {
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        for _ in 0..2 {
            for command in &all {
                assert_eq!(apply(&mut state, command.clone()), Outcome::Done);
            }
        }
        for clinician in state.providers().iter() {
            assert!(state.ledger().book(clinician.id).is_some_and(|book| book.calendar().version == 1));
        }
    }
}
