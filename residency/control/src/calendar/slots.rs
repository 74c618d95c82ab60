//! Which slots there are: the one place where a calendar's hours meet a time zone. Never called by `apply`.
//!
//! An instant is open when the clock on the provider's wall shows a time within the hours of its date. So nothing is
//! special about the two days a year on which the clock is changed: a wall time that is skipped belongs to no instant
//! and is no slot, and one that comes twice belongs to two instants and is two slots. The alternative refused is to
//! turn wall times into instants one by one, where a gap needs a rule and a fold another one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::book::Book;
use super::minute::{Day, Minute};
use super::rules::Calendar;

/// A time at which a visit can take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The first minute.
    pub start: Minute,
    /// The minute after the last one.
    pub end: Minute,
}

/// Why a visit cannot begin at an instant, whoever else has booked what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    /// It is over, or has begun.
    #[error("the slot is in the past")]
    Past,
    /// It begins too soon.
    #[error("the slot begins sooner than the calendar's notice allows")]
    TooSoon,
    /// It is too far ahead.
    #[error("the slot is beyond the calendar's horizon")]
    TooFar,
    /// The calendar has no slot there.
    #[error("no slot of the calendar begins there")]
    NoSlot,
}

/// No zone was ever further from UTC than this, in seconds.
const FURTHEST: i64 = 26 * 3_600;
const DAY_SECONDS: i64 = 86_400;

/// The stretches of instants that are open on a date, ascending, touching ones joined.
pub fn open_on(calendar: &Calendar, zone: &TimeZone, day: Day) -> Vec<(Minute, Minute)> {
    let hours = calendar.hours_on(day);
    if hours.is_empty() {
        return Vec::new();
    }
    let midnight = i64::from(day.0) * DAY_SECONDS;
    let mut open: Vec<(i64, i64)> = Vec::new();
    for (begins, ends, offset) in offsets(zone, midnight - FURTHEST, midnight + DAY_SECONDS + FURTHEST) {
        for (from, to) in &hours {
            // The same clock face as instants, as long as the clock is not changed.
            let first = (midnight + i64::from(*from) * 60 - offset).max(begins);
            let end = (midnight + i64::from(*to) * 60 - offset).min(ends);
            if first < end {
                open.push((first, end));
            }
        }
    }
    open.sort_unstable();
    open.dedup_by(|next, kept| {
        let joined = next.0 <= kept.1;
        if joined {
            kept.1 = kept.1.max(next.1);
        }
        joined
    });
    // Offsets of our time are whole minutes; of an older one a part of a minute is left out.
    open.into_iter()
        .map(|(first, end)| (Minute::from_seconds(first + 59), Minute::from_seconds(end)))
        .filter(|(first, end)| first < end)
        .collect()
}

/// The stretches of seconds in which a zone keeps one offset, in seconds.
fn offsets(zone: &TimeZone, from: i64, to: i64) -> Vec<(i64, i64, i64)> {
    let Ok(start) = Timestamp::from_second(from) else { return Vec::new() };
    let mut all = vec![(from, to, i64::from(zone.to_offset(start).seconds()))];
    for change in zone.following(start) {
        let at = change.timestamp().as_second();
        if at >= to {
            break;
        }
        if let Some(last) = all.last_mut() {
            last.1 = at;
        }
        all.push((at, to, i64::from(change.offset().seconds())));
    }
    all
}

/// Every slot of a date, taken or not: each stretch is cut from its beginning.
pub fn slots_on(calendar: &Calendar, zone: &TimeZone, day: Day) -> Vec<Slot> {
    let length = u32::from(calendar.slot_minutes.max(1));
    let cut = |(first, end): (Minute, Minute)| {
        let many = end.0.saturating_sub(first.0) / length;
        (0..many).map(move |n| Slot { start: first.plus(n * length), end: first.plus((n + 1) * length) })
    };
    open_on(calendar, zone, day).into_iter().flat_map(cut).collect()
}

/// The slots that begin in `from..to` and are free for somebody whose clock shows `now`, ascending. Dates are looked
/// at one by one, so that whoever needs the first only does not pay for all.
pub fn free<'b>(
    book: &'b Book,
    zone: &'b TimeZone,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = Slot> + 'b {
    let calendar = book.calendar();
    let (soonest, furthest) = bounds(calendar, now);
    let (from, to) = (Minute::from_instant(from).max(soonest), Minute::from_instant(to).min(furthest));
    let at = now.as_second();
    // Where a zone repeats an hour at midnight, a date comes back after the next one has begun: one more on each side.
    let days = if from < to { day_of(zone, from).0 - 1..day_of(zone, to).0 + 2 } else { 0..0 };
    days.flat_map(move |day| slots_on(calendar, zone, Day(day)))
        .filter(move |slot| from <= slot.start && slot.start < to)
        .filter(move |slot| book.has_room(slot.start, slot.end, at))
}

/// The slot that begins at this minute, if the calendar has one that can be booked now, taken or not.
pub fn offered(
    calendar: &Calendar,
    zone: &TimeZone,
    start: Minute,
    now: Timestamp,
) -> Result<Slot, NotOffered> {
    let (soonest, furthest) = bounds(calendar, now);
    if start.timestamp() <= now {
        return Err(NotOffered::Past);
    }
    if start < soonest {
        return Err(NotOffered::TooSoon);
    }
    if start >= furthest {
        return Err(NotOffered::TooFar);
    }
    let mut all = slots_on(calendar, zone, day_of(zone, start)).into_iter();
    all.find(|slot| slot.start == start).ok_or(NotOffered::NoSlot)
}

/// The dates on which a visit takes place, by the clock on the provider's wall: one, or two over midnight.
pub fn dates(zone: &TimeZone, slot: Slot) -> [Day; 2] {
    [day_of(zone, slot.start), day_of(zone, slot.end.minus(1))]
}

fn day_of(zone: &TimeZone, minute: Minute) -> Day {
    Day::of(zone.to_datetime(minute.timestamp()).date())
}

/// The first minute at which a visit may begin, and the one at which none may any more.
fn bounds(calendar: &Calendar, now: Timestamp) -> (Minute, Minute) {
    // A visit that begins this very instant is over for whoever would book it.
    let next = Minute::from_seconds(now.as_second()).plus(1);
    let soonest = Minute::from_instant(now).plus(calendar.notice_minutes);
    (soonest.max(next), Minute::from_instant(now).plus(u32::from(calendar.horizon_days) * 1_440))
}
