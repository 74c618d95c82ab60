//! Which slots there are, held against somebody who looks at the wall clock minute by minute.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use residency_control::calendar::slots::{free, offered, slots_on};
use residency_control::calendar::{
    Calendar, Day, Exception, Exceptions, Hours, Minute, NotOffered, Slot, WeeklyRule, WeeklyRules, ZoneName,
};

use crate::support::calendars::{calendar, clinic, day, provider_id};

fn zone(name: &str) -> TimeZone {
    name.parse::<ZoneName>().expect("a name").find().expect("a zone")
}

fn minute(text: &str) -> Minute {
    Minute::at(instant(text)).expect("a minute")
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// Looks at every minute of five days: is the clock on the wall within the hours of the date it shows?
fn by_looking(calendar: &Calendar, zone: &TimeZone, on: Day) -> Vec<Slot> {
    let first = u32::try_from(i64::from(on.0 - 2) * 1_440).expect("after the epoch");
    let is_open = |minute: u32| {
        let wall = zone.to_datetime(Minute(minute).timestamp());
        let of_day = u16::try_from(i64::from(wall.hour()) * 60 + i64::from(wall.minute())).expect("of a day");
        let hours = calendar.hours_on(on);
        Day::of(wall.date()) == on && hours.iter().any(|(from, to)| (*from..*to).contains(&of_day))
    };
    let mut slots = Vec::new();
    let mut begun = None;
    for minute in first..first + 5 * 1_440 {
        begun = if is_open(minute) { begun.or(Some(minute)) } else { None };
        if let Some(start) = begun
            && minute + 1 - start == u32::from(calendar.slot_minutes)
        {
            slots.push(Slot { start: Minute(start), end: Minute(minute + 1) });
            begun = None;
        }
    }
    slots
}

fn open(rules: &[(u16, u16)]) -> Calendar {
    let rule = |(from, to): &(u16, u16)| WeeklyRule {
        weekdays: 0x7f,
        from: *from,
        to: *to,
        since: Day(0),
        until: None,
    };
    let rules = WeeklyRules::new(rules.iter().map(rule).collect()).expect("rules");
    Calendar { rules, ..calendar(0, 1, 0) }
}

fn starts(calendar: &Calendar, zone: &TimeZone, on: Day) -> Vec<String> {
    let shown = |slot: Slot| slot.start.timestamp().to_zoned(zone.clone()).strftime("%H:%M%:z").to_string();
    slots_on(calendar, zone, on).into_iter().map(shown).collect()
}

/// Days on which a clock is changed, at two in the morning, at midnight, by half an hour, and never.
const DAYS: &[(&str, &str)] = &[
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("America/Phoenix", "2026-03-08"),
    ("America/Phoenix", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("America/Santiago", "2026-04-04"),
    ("America/Santiago", "2026-09-06"),
    ("Asia/Kathmandu", "2026-03-08"),
    ("Pacific/Apia", "2026-06-01"),
];

#[test]
fn where_an_hour_is_skipped_there_is_no_slot_in_it() {
    let (zone, on) = (zone("America/New_York"), day("2026-03-08"));
    assert_eq!(
        starts(&open(&[(60, 240)]), &zone, on),
        ["01:00-05:00", "01:30-05:00", "03:00-04:00", "03:30-04:00"]
    );
    assert_eq!(starts(&open(&[(120, 180)]), &zone, on), Vec::<String>::new(), "the hour itself");
    assert_eq!(starts(&open(&[(135, 210)]), &zone, on), ["03:00-04:00"], "what is left after it");
    let before = starts(&open(&[(60, 240)]), &zone, on.plus(-1));
    assert_eq!(before.len(), 6, "the control: the day before: {before:?}");
}

#[test]
fn where_an_hour_comes_twice_its_slots_do_too() {
    let (zone, on) = (zone("America/New_York"), day("2026-11-01"));
    let expected = ["00:30-04:00", "01:00-04:00", "01:30-04:00", "01:00-05:00", "01:30-05:00", "02:00-05:00"];
    assert_eq!(starts(&open(&[(30, 150)]), &zone, on), expected);
    // Open until half past one: twice, and not in between.
    let twice = ["01:00-04:00", "01:00-05:00"];
    assert_eq!(starts(&open(&[(60, 90)]), &zone, on), twice);
    let all = slots_on(&open(&[(0, 1_440)]), &zone, on);
    assert_eq!(all.len(), 50, "a day of twenty-five hours");
    assert!(all.windows(2).all(|two| two[0].end == two[1].start), "none is doubled and none is missing");
}

#[test]
fn where_the_clock_is_never_changed_every_day_is_alike() {
    let zone = zone("America/Phoenix");
    for on in ["2026-03-08", "2026-11-01", "2026-07-04"] {
        assert_eq!(slots_on(&open(&[(0, 1_440)]), &zone, day(on)).len(), 48, "{on}");
        assert_eq!(starts(&open(&[(60, 240)]), &zone, day(on)).len(), 6, "{on}");
    }
}

#[test]
fn the_days_of_change_are_as_somebody_sees_them_who_looks_at_the_clock() {
    for (name, on) in DAYS {
        for near in -1..=1 {
            let (zone, on) = (zone(name), day(on).plus(near));
            for hours in
                [&[(0, 1_440)][..], &[(0, 100), (130, 200)], &[(50, 130), (1_380, 1_440)], &[(115, 125)]]
            {
                for slot_minutes in [5, 25, 30, 60] {
                    let calendar = Calendar { slot_minutes, ..open(hours) };
                    let expected = by_looking(&calendar, &zone, on);
                    assert_eq!(slots_on(&calendar, &zone, on), expected, "{name} {on:?} {hours:?}");
                }
            }
        }
    }
}

prop_compose! {
    fn hours()(from in 0..1_439_u16)(to in from + 1..=1_440, from in Just(from)) -> (u16, u16) { (from, to) }
}

proptest! {
    #[test]
    fn slots_are_what_the_clock_on_the_wall_says(
        (name, on) in prop::sample::select(DAYS.to_vec()),
        near in -2..=2_i32,
        rules in prop::collection::vec((1..128_u8, hours()), 0..4),
        other in prop::option::of(prop::option::of(hours())),
        slot_minutes in prop::sample::select(vec![5_u16, 20, 30, 45, 50, 480]),
    ) {
        let (zone, on) = (zone(name), day(on).plus(near));
        let rule = |(weekdays, (from, to))| WeeklyRule { weekdays, from, to, since: Day(0), until: None };
        let exceptions = other.map(|hours| Exception {
            day: on,
            hours: hours.map_or(Hours::Closed, |(from, to)| Hours::Open { from, to }),
        });
        let calendar = Calendar {
            rules: WeeklyRules::new(rules.into_iter().map(rule).collect()).expect("rules"),
            exceptions: Exceptions::new(exceptions.into_iter().collect()).expect("exceptions"),
            slot_minutes,
            ..calendar(0, 1, 0)
        };
        prop_assert_eq!(calendar.check(), Ok(()));
        prop_assert_eq!(slots_on(&calendar, &zone, on), by_looking(&calendar, &zone, on));
    }
}

#[test]
fn somebody_who_looks_sees_a_slot_that_is_doubled_or_missing() {
    let (zone, on) = (zone("America/New_York"), day("2026-11-01"));
    let calendar = open(&[(0, 1_440)]);
    let mut doubled = slots_on(&calendar, &zone, on);
    doubled.insert(3, doubled[3]);
    assert_ne!(doubled, by_looking(&calendar, &zone, on));
    let mut missing = slots_on(&calendar, &zone, on);
    missing.remove(3);
    assert_ne!(missing, by_looking(&calendar, &zone, on));
}

#[test]
fn only_what_can_be_booked_now_is_offered() {
    let zone = zone("America/New_York");
    let calendar = Calendar { notice_minutes: 120, horizon_days: 7, ..open(&[(9 * 60, 17 * 60)]) };
    let now = instant("2026-12-01T15:00:00Z");
    let of = |start| offered(&calendar, &zone, minute(start), now).map(|slot| slot.end.timestamp().to_string());
    assert_eq!(of("2026-12-01T17:00:00Z"), Ok("2026-12-01T17:30:00Z".to_owned()));
    assert_eq!(of("2026-12-01T15:00:00Z"), Err(NotOffered::Past));
    assert_eq!(of("2026-11-30T17:00:00Z"), Err(NotOffered::Past));
    assert_eq!(of("2026-12-01T16:30:00Z"), Err(NotOffered::TooSoon));
    assert_eq!(of("2026-12-01T17:10:00Z"), Err(NotOffered::NoSlot));
    assert_eq!(of("2026-12-02T02:00:00Z"), Err(NotOffered::NoSlot), "in the night");
    assert_eq!(of("2026-12-08T15:00:00Z"), Err(NotOffered::TooFar));
    assert!(of("2026-12-08T14:30:00Z").is_ok());
}

#[test]
fn free_slots_are_all_that_are_offered_and_not_taken() {
    let zone = zone("America/New_York");
    let calendar = Calendar { horizon_days: 3, ..open(&[(9 * 60, 17 * 60)]) };
    let state = clinic([calendar.clone()]);
    let book = state.ledger().book(provider_id(0)).expect("a calendar");
    let now = instant("2026-10-31T16:10:00Z");
    let window = (instant("2026-10-31T00:00:00Z"), instant("2026-12-01T00:00:00Z"));
    let found: Vec<Slot> = free(book, &zone, window.0, window.1, now).collect();
    let mut expected = Vec::new();
    for start in Minute::from_instant(window.0).0..Minute::from_instant(window.1).0 {
        expected.extend(offered(&calendar, &zone, Minute(start), now));
    }
    assert_eq!(found, expected);
    assert_eq!(found[0].start.timestamp().to_string(), "2026-10-31T16:30:00Z");
    assert!(found.is_sorted_by(|a, b| a.end <= b.start));
    assert_eq!(free(book, &zone, window.1, window.0, now).count(), 0, "a window that ends before it begins");
}
