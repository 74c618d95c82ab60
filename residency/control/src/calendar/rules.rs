//! When a provider can be seen: weekly hours, days that differ, and how a day is cut into slots.

use residency_policy::ProviderId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::minute::Day;
use super::zone::ZoneName;
use crate::command::{must_be_replicated, record};

/// The minutes of a day on a wall.
pub const DAY_MINUTES: u16 = 1_440;

record! {
    /// One provider's availability.
    #[derive(Debug)]
    pub struct Calendar {
        /// Whose.
        pub provider: ProviderId,
        /// The zone in which the hours are meant.
        pub zone: ZoneName,
        /// The hours of every week.
        pub rules: WeeklyRules,
        /// The days that differ.
        pub exceptions: Exceptions,
        /// How long a visit is.
        pub slot_minutes: u16,
        /// What must be free before a visit.
        pub buffer_before: u16,
        /// What must be free after it.
        pub buffer_after: u16,
        /// How many visits may take place at one moment.
        pub capacity: u16,
        /// How long before its beginning a visit can be booked last.
        pub notice_minutes: u32,
        /// How many days ahead a visit can be booked.
        pub horizon_days: u16,
        /// 1 when it was first put, and one more with every change.
        pub version: u64,
    }
}

/// Why something is not a calendar: which part, so that whoever asked can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACalendar {
    /// The hours of a rule.
    #[error("a rule's hours: expected from < to within a day")]
    RuleHours,
    /// The days of a rule.
    #[error("a rule's days: expected one to seven weekdays, and an end that is not before the beginning")]
    RuleDays,
    /// The hours of an exception.
    #[error("an exception's hours: expected from < to within a day")]
    ExceptionHours,
    /// A day that is closed and open.
    #[error("an exception's day is both closed and open")]
    ClosedAndOpen,
    /// The length of a visit.
    #[error("the length of a visit: expected 5 to 480 minutes")]
    SlotMinutes,
    /// A buffer.
    #[error("a buffer: expected 0 to 240 minutes")]
    Buffer,
    /// The capacity.
    #[error("the capacity: expected 1 to 100")]
    Capacity,
    /// The notice.
    #[error("the notice: expected 0 to 43,200 minutes")]
    Notice,
    /// The horizon.
    #[error("the horizon: expected 1 to 400 days")]
    Horizon,
}

impl Calendar {
    /// The shortest visit.
    pub const SLOT_MIN: u16 = 5;
    /// The longest visit.
    pub const SLOT_MAX: u16 = 480;
    /// The longest buffer.
    pub const BUFFER_MAX: u16 = 240;
    /// The largest capacity.
    pub const CAPACITY_MAX: u16 = 100;
    /// The longest notice: thirty days.
    pub const NOTICE_MAX: u32 = 43_200;
    /// The furthest horizon.
    pub const HORIZON_MAX: u16 = 400;

    /// Whether every part is within its bounds. Whether there is such a zone is not asked here.
    pub fn check(&self) -> Result<(), NotACalendar> {
        self.rules.as_slice().iter().try_for_each(WeeklyRule::check)?;
        self.exceptions.check()?;
        let within = |holds: bool, wrong| if holds { Ok(()) } else { Err(wrong) };
        within((Self::SLOT_MIN..=Self::SLOT_MAX).contains(&self.slot_minutes), NotACalendar::SlotMinutes)?;
        within(self.buffer_before.max(self.buffer_after) <= Self::BUFFER_MAX, NotACalendar::Buffer)?;
        within((1..=Self::CAPACITY_MAX).contains(&self.capacity), NotACalendar::Capacity)?;
        within(self.notice_minutes <= Self::NOTICE_MAX, NotACalendar::Notice)?;
        within((1..=Self::HORIZON_MAX).contains(&self.horizon_days), NotACalendar::Horizon)
    }

    /// The stretches of a day's clock face in which the provider can be seen, ascending, touching ones joined.
    pub fn hours_on(&self, day: Day) -> Vec<(u16, u16)> {
        let exceptions = self.exceptions.on(day);
        let mut hours: Vec<(u16, u16)> = if exceptions.is_empty() {
            self.rules.as_slice().iter().filter(|r| r.holds_on(day)).map(|r| (r.from, r.to)).collect()
        } else {
            exceptions
                .iter()
                .filter_map(|exception| match exception.hours {
                    Hours::Closed => None,
                    Hours::Open { from, to } => Some((from, to)),
                })
                .collect()
        };
        hours.sort_unstable();
        hours.dedup_by(|next, kept| {
            let joined = next.0 <= kept.1;
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
        hours
    }
}

/// Hours that come again every week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklyRule {
    /// Bit 0 is Monday, bit 6 is Sunday.
    pub weekdays: u8,
    /// The first minute of the day on the wall.
    pub from: u16,
    /// The minute after the last one.
    pub to: u16,
    /// The first day on which it holds.
    pub since: Day,
    /// The last day on which it holds.
    pub until: Option<Day>,
}

impl WeeklyRule {
    fn check(&self) -> Result<(), NotACalendar> {
        if !are_hours(self.from, self.to) {
            return Err(NotACalendar::RuleHours);
        }
        let days = (1..=0x7f).contains(&self.weekdays) && self.until.is_none_or(|until| self.since <= until);
        if days { Ok(()) } else { Err(NotACalendar::RuleDays) }
    }

    fn holds_on(&self, day: Day) -> bool {
        self.weekdays & (1 << day.weekday()) != 0
            && self.since <= day
            && self.until.is_none_or(|until| day <= until)
    }
}

/// A day whose hours are not the week's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exception {
    /// Which day.
    pub day: Day,
    /// What holds in place of the week's hours.
    pub hours: Hours,
}

/// The hours of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hours {
    /// None at all.
    Closed,
    /// These, and those of other exceptions for the same day.
    Open {
        /// The first minute of the day on the wall.
        from: u16,
        /// The minute after the last one.
        to: u16,
    },
}

const fn are_hours(from: u16, to: u16) -> bool {
    from < to && to <= DAY_MINUTES
}

/// At most 32 rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct WeeklyRules(Box<[WeeklyRule]>);

/// At most 400 exceptions, ascending by day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Exceptions(Box<[Exception]>);

/// There are more than a calendar may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most 32 rules and 400 exceptions, each exception once")]
pub struct TooMany;

impl WeeklyRules {
    /// The most rules.
    pub const LEN_MAX: usize = 32;

    /// These rules.
    pub fn new(rules: Vec<WeeklyRule>) -> Result<Self, TooMany> {
        if rules.len() > Self::LEN_MAX { Err(TooMany) } else { Ok(Self(rules.into())) }
    }

    /// The rules.
    pub fn as_slice(&self) -> &[WeeklyRule] {
        &self.0
    }
}

impl Exceptions {
    /// The most exceptions.
    pub const LEN_MAX: usize = 400;

    /// These exceptions, in any order.
    pub fn new(mut exceptions: Vec<Exception>) -> Result<Self, TooMany> {
        exceptions.sort_unstable();
        Self::ascending(exceptions)
    }

    fn ascending(exceptions: Vec<Exception>) -> Result<Self, TooMany> {
        let ascending = exceptions.is_sorted_by(|a, b| a < b);
        if exceptions.len() > Self::LEN_MAX || !ascending { Err(TooMany) } else { Ok(Self(exceptions.into())) }
    }

    /// The exceptions, ascending by day.
    pub fn as_slice(&self) -> &[Exception] {
        &self.0
    }

    fn on(&self, day: Day) -> &[Exception] {
        let first = self.0.partition_point(|exception| exception.day < day);
        let end = self.0.partition_point(|exception| exception.day <= day);
        &self.0[first..end]
    }

    fn check(&self) -> Result<(), NotACalendar> {
        for exception in &self.0 {
            let closed = exception.hours == Hours::Closed;
            match exception.hours {
                Hours::Open { from, to } if !are_hours(from, to) => return Err(NotACalendar::ExceptionHours),
                _ if closed && self.on(exception.day).len() > 1 => return Err(NotACalendar::ClosedAndOpen),
                Hours::Open { .. } | Hours::Closed => {}
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for WeeklyRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Exceptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::ascending(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: Day = Day(4);

    fn rule(from: u16, to: u16) -> WeeklyRule {
        WeeklyRule { weekdays: 1, from, to, since: Day(0), until: Some(Day(100)) }
    }

    fn calendar(rules: Vec<WeeklyRule>, exceptions: Vec<Exception>) -> Calendar {
        Calendar {
            provider: ProviderId::from_bytes([1; 16]),
            zone: "UTC".parse().expect("a zone"),
            rules: WeeklyRules::new(rules).expect("rules"),
            exceptions: Exceptions::new(exceptions).expect("exceptions"),
            slot_minutes: 30,
            buffer_before: 0,
            buffer_after: 0,
            capacity: 1,
            notice_minutes: 0,
            horizon_days: 30,
            version: 1,
        }
    }

    #[test]
    fn hours_are_those_of_the_week_and_touching_ones_are_one() {
        let of = |rules| calendar(rules, Vec::new()).hours_on(MONDAY);
        assert_eq!(of(vec![rule(600, 700), rule(60, 120), rule(110, 600)]), [(60, 700)]);
        assert_eq!(of(vec![rule(60, 120), rule(121, 130)]), [(60, 120), (121, 130)]);
        assert_eq!(calendar(vec![rule(60, 120)], Vec::new()).hours_on(MONDAY.plus(1)), []);
        assert_eq!(calendar(vec![rule(60, 120)], Vec::new()).hours_on(MONDAY.plus(7 * 14)), [], "it has ended");
    }

    #[test]
    fn an_exception_takes_the_place_of_the_week() {
        let open = |from, to| Exception { day: MONDAY, hours: Hours::Open { from, to } };
        let closed = Exception { day: MONDAY, hours: Hours::Closed };
        let week = vec![rule(60, 120)];
        assert_eq!(calendar(week.clone(), vec![closed]).hours_on(MONDAY), []);
        let opened = calendar(week.clone(), vec![open(900, 960), open(0, 30)]);
        assert_eq!(opened.hours_on(MONDAY), [(0, 30), (900, 960)]);
        assert_eq!(opened.hours_on(MONDAY.plus(7)), [(60, 120)], "the control: another Monday");
        assert_eq!(calendar(week, vec![closed, open(0, 30)]).check(), Err(NotACalendar::ClosedAndOpen));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let right = calendar(vec![rule(0, DAY_MINUTES)], Vec::new());
        assert_eq!(right.check(), Ok(()));
        let changed = |change: &dyn Fn(&mut Calendar)| {
            let mut wrong = right.clone();
            change(&mut wrong);
            wrong.check()
        };
        assert_eq!(calendar(vec![rule(5, 5)], Vec::new()).check(), Err(NotACalendar::RuleHours));
        assert_eq!(calendar(vec![rule(0, 1_441)], Vec::new()).check(), Err(NotACalendar::RuleHours));
        let never = WeeklyRule { weekdays: 0, ..rule(0, 1) };
        assert_eq!(calendar(vec![never], Vec::new()).check(), Err(NotACalendar::RuleDays));
        let backwards = WeeklyRule { until: Some(Day(-1)), ..rule(0, 1) };
        assert_eq!(calendar(vec![backwards], Vec::new()).check(), Err(NotACalendar::RuleDays));
        assert_eq!(changed(&|c| c.slot_minutes = 4), Err(NotACalendar::SlotMinutes));
        assert_eq!(changed(&|c| c.buffer_after = 241), Err(NotACalendar::Buffer));
        assert_eq!(changed(&|c| c.capacity = 0), Err(NotACalendar::Capacity));
        assert_eq!(changed(&|c| c.notice_minutes = 43_201), Err(NotACalendar::Notice));
        assert_eq!(changed(&|c| c.horizon_days = 0), Err(NotACalendar::Horizon));
        assert_eq!(WeeklyRules::new(vec![rule(0, 1); 33]), Err(TooMany));
        let bytes = postcard::to_allocvec(&right).expect("encodes");
        assert_eq!(postcard::from_bytes::<Calendar>(&bytes), Ok(right));
    }
}
