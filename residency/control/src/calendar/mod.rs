//! Calendars: when providers can be seen, and what is held or booked, under handles that say nothing of a patient.
//!
//! Free slots are computed ([`slots`]) and never stored. What is stored is [`Entry`]s, and the one thing that must stay
//! true of them is that no more visits meet at a moment than the calendar has room for, unless somebody gave a reason.
//! `act` keeps that with integers alone; everything that needs a time zone is done by whoever proposes, who says which
//! version of the calendar it rests on.

pub(crate) mod act;
mod book;
pub(crate) mod change;
mod entry;
pub(crate) mod ledger;
mod minute;
mod rules;
mod service_day;
pub mod slots;
mod waiting;
mod zone;

pub use book::Book;
pub use change::{CalendarChange, NotBooked};
pub use entry::{Confirmation, Entry, EntryState, Hold, Move, NotAReason, OverrideReason};
pub use ledger::Ledger;
pub use minute::{Day, Minute};
pub use rules::{
    Calendar, DAY_MINUTES, Exception, Exceptions, Hours, NotACalendar, TooMany, WeeklyRule, WeeklyRules,
};
pub use service_day::{service_days, zone_names};
pub use slots::{NotOffered, Slot};
pub use waiting::{Waiting, Wanted};
pub use zone::{NotAZone, ZoneName};
