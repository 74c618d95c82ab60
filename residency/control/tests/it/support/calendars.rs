//! A clinician with a calendar, in a state.

use jiff::civil::Date;
use residency_control::calendar::{
    Calendar, CalendarChange, Confirmation, Day, Exceptions, Hold, Minute, WeeklyRule, WeeklyRules,
};
use residency_control::machine::{State, apply};
use residency_control::{Command, Languages, Outcome, Provider, ProviderOrgs, Taxonomies};
use residency_policy::licensure::Attested;
use residency_policy::{BookingHandle, Npi, ProviderId};

use super::{add_region, org, organisation, region};

/// The first second of what the tests play.
pub(crate) const START: i64 = 1_800_000_000;

pub(crate) fn provider_id(n: u8) -> ProviderId {
    ProviderId::from_bytes([n; 16])
}

pub(crate) fn handle(n: u16) -> BookingHandle {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    bytes[15] = 1;
    BookingHandle::from_bytes(bytes)
}

pub(crate) fn provider(n: u8) -> Provider {
    Provider {
        id: provider_id(n),
        npi: Npi::from_nine(100_000_000 + u32::from(n)).expect("an NPI"),
        name: "Robin Sample".parse().expect("a name"),
        taxonomy: Taxonomies::new(vec!["207Q00000X".parse().expect("a code")]).expect("codes"),
        languages: Languages::new(Vec::new()).expect("languages"),
        orgs: ProviderOrgs::new(vec![org(1)]).expect("organisations"),
        licences: Attested::default(),
        collaborating: None,
        active: true,
        synthetic: true,
        version: 0,
    }
}

/// Open day and night, every day, in UTC.
pub(crate) fn calendar(n: u8, capacity: u16, buffer: u16) -> Calendar {
    let always = WeeklyRule { weekdays: 0x7f, from: 0, to: 1_440, since: Day(0), until: None };
    Calendar {
        provider: provider_id(n),
        zone: "UTC".parse().expect("a zone"),
        rules: WeeklyRules::new(vec![always]).expect("rules"),
        exceptions: Exceptions::new(Vec::new()).expect("exceptions"),
        slot_minutes: 30,
        buffer_before: 0,
        buffer_after: buffer,
        capacity,
        notice_minutes: 0,
        horizon_days: 400,
        version: 1,
    }
}

pub(crate) fn change(change: CalendarChange) -> Command {
    Command::Calendar(change)
}

/// Two regions, an organisation, and so many clinicians, each with a calendar.
pub(crate) fn clinic(calendars: impl IntoIterator<Item = Calendar>) -> State {
    let mut state = State::default();
    let mut run = |command| assert_eq!(apply(&mut state, command), Outcome::Done);
    ["US-CA", "US-NY", "US-TX"].map(add_region).into_iter().for_each(&mut run);
    run(Command::PutOrganisation(organisation(1)));
    run(Command::PutOrganisation(organisation(2)));
    for (n, calendar) in (0_u8..).zip(calendars) {
        run(Command::PutProvider { provider: provider(n), expected: 0 });
        run(change(CalendarChange::Put { calendar, expected: 0 }));
    }
    state
}

/// A hold of half an hour that begins so many minutes after the start, for five minutes.
pub(crate) fn hold(n: u8, minute: u32, name: u16, at: i64) -> Hold {
    let start = Minute(u32::try_from(START / 60).expect("minutes") + minute);
    Hold {
        provider: provider_id(n),
        handle: handle(name),
        start,
        end: start.plus(30),
        at,
        until: at + 300,
        calendar_version: 1,
        provider_version: 1,
        org: org(1),
        region: region("US-TX"),
        over_capacity: None,
    }
}

pub(crate) fn confirmation(hold: &Hold, at: i64) -> Confirmation {
    let Hold { provider, handle, until, provider_version, org, region, .. } = *hold;
    Confirmation { provider, handle, until, at, provider_version, org, region }
}

pub(crate) fn day(text: &str) -> Day {
    Day::of(text.parse::<Date>().expect("a date"))
}
