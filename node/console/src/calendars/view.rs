//! How a calendar, a slot and a hold look on the wire.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use residency_control::calendar::{Calendar, Exception, Hours, Slot, WeeklyRule};
use residency_policy::BookingHandle;
use serde::Serialize;
use utoipa::ToSchema;

use super::hours;

/// When a provider can be seen. All hours are meant by the clock on the wall in `zone`.
#[derive(Serialize, ToSchema)]
#[schema(as = Calendar)]
#[serde(deny_unknown_fields)]
pub struct CalendarBody {
    /// The zone, by its name in the IANA database.
    #[schema(max_length = 40, pattern = "^[A-Za-z][A-Za-z0-9_+/-]*$", example = "America/Chicago")]
    pub zone: String,
    /// The hours of every week. Hours that touch or overlap are one stretch.
    #[schema(max_items = 32)]
    pub weekly: Vec<WeeklyBody>,
    /// Days whose hours are not the week's.
    #[schema(max_items = 400)]
    pub exceptions: Vec<ExceptionBody>,
    /// How long a visit is. Each stretch of hours is cut into slots from its beginning.
    #[schema(minimum = 5, maximum = 480, example = 30)]
    pub slot_minutes: u16,
    /// What must be free before a visit, besides what the one before needs after it.
    #[schema(minimum = 0, maximum = 240, example = 0)]
    pub buffer_before_minutes: u16,
    /// What must be free after a visit.
    #[schema(minimum = 0, maximum = 240, example = 10)]
    pub buffer_after_minutes: u16,
    /// How many visits may take place at one moment.
    #[schema(minimum = 1, maximum = 100, example = 1)]
    pub capacity: u16,
    /// How long before its beginning a visit can be booked last.
    #[schema(minimum = 0, maximum = 43200, example = 60)]
    pub notice_minutes: u32,
    /// How many days ahead a visit can be booked.
    #[schema(minimum = 1, maximum = 400, example = 90)]
    pub horizon_days: u16,
    /// Raised by every change; the `ETag` without its quotes.
    #[schema(minimum = 1)]
    pub version: u64,
}

/// A calendar to be put.
#[derive(Serialize, ToSchema)]
#[schema(as = NewCalendar)]
#[serde(deny_unknown_fields)]
pub struct NewCalendarBody {
    /// The zone, by its name in the IANA database.
    #[schema(max_length = 40, pattern = "^[A-Za-z][A-Za-z0-9_+/-]*$", example = "America/Chicago")]
    pub zone: String,
    /// The hours of every week.
    #[schema(max_items = 32)]
    pub weekly: Vec<WeeklyBody>,
    /// Days whose hours are not the week's.
    #[schema(max_items = 400)]
    pub exceptions: Option<Vec<ExceptionBody>>,
    /// How long a visit is.
    #[schema(minimum = 5, maximum = 480, example = 30)]
    pub slot_minutes: u16,
    /// What must be free before a visit; 0 if not given.
    #[schema(minimum = 0, maximum = 240)]
    pub buffer_before_minutes: Option<u16>,
    /// What must be free after a visit; 0 if not given.
    #[schema(minimum = 0, maximum = 240)]
    pub buffer_after_minutes: Option<u16>,
    /// How many visits may take place at one moment; 1 if not given.
    #[schema(minimum = 1, maximum = 100)]
    pub capacity: Option<u16>,
    /// How long before its beginning a visit can be booked last; 0 if not given.
    #[schema(minimum = 0, maximum = 43200)]
    pub notice_minutes: Option<u32>,
    /// How many days ahead a visit can be booked; 90 if not given.
    #[schema(minimum = 1, maximum = 400)]
    pub horizon_days: Option<u16>,
}

/// Hours that come again every week.
#[derive(Serialize, ToSchema)]
#[schema(as = WeeklyHours)]
#[serde(deny_unknown_fields)]
pub struct WeeklyBody {
    /// On which days.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 7, example = json!(["mon", "tue", "wed", "thu", "fri"]))]
    pub days: Vec<&'static str>,
    /// From when.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "09:00")]
    pub from: String,
    /// Until when; `24:00` is the end of the day.
    #[schema(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", example = "17:00")]
    pub to: String,
    /// The first day on which they hold.
    #[schema(value_type = String, format = Date, example = "2026-01-01")]
    pub since: String,
    /// The last day on which they hold, if there is one.
    #[schema(required, value_type = Option<String>, format = Date)]
    pub until: Option<String>,
}

/// A day whose hours are not the week's: closed, or open from and to. Several open stretches of a day are several of
/// these.
#[derive(Serialize, ToSchema)]
#[schema(as = DayHours)]
#[serde(deny_unknown_fields)]
pub struct ExceptionBody {
    /// Which day.
    #[schema(value_type = String, format = Date, example = "2026-12-25")]
    pub date: String,
    /// From when it is open. Left out with `to`: it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", nullable = false)]
    pub from: Option<String>,
    /// Until when it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", nullable = false)]
    pub to: Option<String>,
}

/// A time that is free.
#[derive(Serialize, ToSchema)]
#[schema(as = Slot)]
#[serde(deny_unknown_fields)]
pub struct SlotBody {
    /// When a visit would begin.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// When it would end.
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    /// The beginning by the clock on the wall in the zone that was asked for.
    #[schema(example = "2026-12-01T09:00:00-06:00[America/Chicago]")]
    pub local_start: String,
}

/// The free slots of a window, by their beginning.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotPage {
    /// The slots.
    #[schema(max_items = 1000)]
    pub data: Vec<SlotBody>,
    /// The zone of `local_start`.
    #[schema(example = "America/Chicago")]
    pub zone: String,
    /// Where the window goes on when there are more: the next `from`. `null` when this is all.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_from: Option<Timestamp>,
}

/// A hold to be taken.
#[derive(Serialize, ToSchema)]
#[schema(as = NewHold)]
#[serde(deny_unknown_fields)]
pub struct NewHoldBody {
    /// When the visit begins: an instant, or a time on a wall with its zone, such as
    /// `2026-12-01T09:00[America/Chicago]`.
    #[schema(max_length = 80, example = "2026-12-01T15:00:00Z")]
    pub start: String,
    /// Where the patient will be: the provider must be allowed to practise there on that day.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub service_jurisdiction: String,
    /// Why the slot is taken even if somebody has it. For clinicians and administrators; it is recorded.
    #[schema(
        pattern = "^(urgent-need|continuity-of-care|provider-request|booking-error)$",
        example = json!(null)
    )]
    pub override_reason: Option<String>,
}

/// A slot that is held for a while, or booked.
#[derive(Serialize, ToSchema)]
#[schema(as = Hold)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// What it is known by.
    #[schema(value_type = String, format = Uuid)]
    pub handle: BookingHandle,
    /// `held`, or `booked` when it was made an appointment.
    #[schema(pattern = "^(held|booked)$", example = "held")]
    pub status: &'static str,
    /// When the visit begins.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    /// When the slot is free for others again. `null` when it is booked.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Why it was taken although there was no room. `null` when there was.
    #[schema(
        required,
        pattern = "^(urgent-need|continuity-of-care|provider-request|booking-error)$",
        example = json!(null)
    )]
    pub override_reason: Option<&'static str>,
}

impl From<&Calendar> for CalendarBody {
    fn from(calendar: &Calendar) -> Self {
        Self {
            zone: calendar.zone.to_string(),
            weekly: calendar.rules.as_slice().iter().map(WeeklyBody::from).collect(),
            exceptions: calendar.exceptions.as_slice().iter().map(ExceptionBody::from).collect(),
            slot_minutes: calendar.slot_minutes,
            buffer_before_minutes: calendar.buffer_before,
            buffer_after_minutes: calendar.buffer_after,
            capacity: calendar.capacity,
            notice_minutes: calendar.notice_minutes,
            horizon_days: calendar.horizon_days,
            version: calendar.version,
        }
    }
}

impl From<&WeeklyRule> for WeeklyBody {
    fn from(rule: &WeeklyRule) -> Self {
        Self {
            days: hours::day_words(rule.weekdays),
            from: hours::written(rule.from),
            to: hours::written(rule.to),
            since: rule.since.date().to_string(),
            until: rule.until.map(|until| until.date().to_string()),
        }
    }
}

impl From<&Exception> for ExceptionBody {
    fn from(exception: &Exception) -> Self {
        let (from, to) = match exception.hours {
            Hours::Closed => (None, None),
            Hours::Open { from, to } => (Some(hours::written(from)), Some(hours::written(to))),
        };
        Self { date: exception.day.date().to_string(), from, to }
    }
}

impl SlotBody {
    /// A slot, by the clock of a zone.
    pub fn of(slot: Slot, zone: &TimeZone) -> Self {
        let start = slot.start.timestamp();
        Self { start, end: slot.end.timestamp(), local_start: start.to_zoned(zone.clone()).to_string() }
    }
}
