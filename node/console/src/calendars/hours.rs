//! Reads the body of a calendar: every wrong part is named at once.

use jiff::civil::Date;
use node_access::body::Object;
use residency_control::calendar::{
    Calendar, DAY_MINUTES, Day, Exception, Exceptions, Hours, NotACalendar, WeeklyRule, WeeklyRules, ZoneName,
};
use residency_policy::{FieldError, Problem, ProblemKind, ProviderId};
use serde_json::{Map, Value};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const HORIZON: u64 = 90;

const FIELDS: &[&str] = &[
    "zone",
    "weekly",
    "exceptions",
    "slot_minutes",
    "buffer_before_minutes",
    "buffer_after_minutes",
    "capacity",
    "notice_minutes",
    "horizon_days",
];

/// The words of a rule's days.
pub(super) fn day_words(weekdays: u8) -> Vec<&'static str> {
    DAYS.iter().enumerate().filter(|(bit, _)| weekdays & (1 << bit) != 0).map(|(_, word)| *word).collect()
}

/// A minute of a day as a clock shows it.
pub(super) fn written(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads a calendar.
pub(super) fn read(body: &Object, provider: ProviderId) -> Result<Calendar, Problem> {
    body.only(FIELDS)?;
    let mut wrong = Wrong::default();
    let zone = zone(body, &mut wrong)?;
    let rules = list(body.get("weekly"), "/weekly", WeeklyRules::LEN_MAX, true, &mut wrong, rule);
    let exceptions =
        list(body.get("exceptions"), "/exceptions", Exceptions::LEN_MAX, false, &mut wrong, exception);
    let rules = WeeklyRules::new(rules).unwrap_or_default();
    let exceptions = Exceptions::new(exceptions).unwrap_or_else(|_| {
        wrong.note("/exceptions", "repeated", "the same hours of one day are there twice");
        Exceptions::default()
    });
    let mut number = |name, pointer, range: std::ops::RangeInclusive<u64>, default| {
        number(body.get(name), range, default).unwrap_or_else(|| {
            wrong.note(pointer, "range", "expected a whole number within the documented range");
            1
        })
    };
    let (slot_max, buffer_max) = (u64::from(Calendar::SLOT_MAX), u64::from(Calendar::BUFFER_MAX));
    let calendar = Calendar {
        provider,
        zone: zone.clone().unwrap_or(utc()?),
        rules,
        exceptions,
        slot_minutes: short(number(
            "slot_minutes",
            "/slot_minutes",
            Calendar::SLOT_MIN.into()..=slot_max,
            None,
        )),
        buffer_before: short(number(
            "buffer_before_minutes",
            "/buffer_before_minutes",
            0..=buffer_max,
            Some(0),
        )),
        buffer_after: short(number("buffer_after_minutes", "/buffer_after_minutes", 0..=buffer_max, Some(0))),
        capacity: short(number("capacity", "/capacity", 1..=Calendar::CAPACITY_MAX.into(), Some(1))),
        notice_minutes: u32::try_from(number(
            "notice_minutes",
            "/notice_minutes",
            0..=Calendar::NOTICE_MAX.into(),
            Some(0),
        ))
        .unwrap_or(0),
        horizon_days: short(number(
            "horizon_days",
            "/horizon_days",
            1..=Calendar::HORIZON_MAX.into(),
            Some(HORIZON),
        )),
        version: 0,
    };
    wrong.finish()?;
    calendar.check().map_err(not_a_calendar)?;
    Ok(calendar)
}

#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn note(&mut self, pointer: &'static str, code: &'static str, detail: &'static str) {
        if !self.0.iter().any(|there| there.pointer == pointer && there.code == code) {
            self.0.push(FieldError { pointer, code, detail });
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::new(ProblemKind::Invalid).fields(self.0)) }
    }
}

fn utc() -> Result<ZoneName, Problem> {
    "UTC".parse().map_err(|_| Problem::new(ProblemKind::Internal))
}

/// A zone that is none is a refusal of its own.
fn zone(body: &Object, wrong: &mut Wrong) -> Result<Option<ZoneName>, Problem> {
    let Some(text) = body.get("zone").and_then(Value::as_str) else {
        wrong.note("/zone", "required", "expected a name of the IANA database such as America/Chicago");
        return Ok(None);
    };
    let known = text.parse::<ZoneName>().ok().filter(|name| name.find().is_ok());
    let unknown = || {
        let kind = ProblemKind::UnknownZone;
        Problem::new(kind).field("/zone", kind.slug(), "expected a name of the IANA database")
    };
    known.ok_or_else(unknown).map(Some)
}

fn list<T>(
    value: Option<&Value>,
    pointer: &'static str,
    most: usize,
    required: bool,
    wrong: &mut Wrong,
    read: impl Fn(&Map<String, Value>) -> Result<T, (&'static str, &'static str, &'static str)>,
) -> Vec<T> {
    match value {
        None | Some(Value::Null) if required => {
            wrong.note(pointer, "required", "this field is required");
            Vec::new()
        }
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) if all.len() <= most => all
            .iter()
            .filter_map(|item| {
                let read = item.as_object().map_or(Err((pointer, "type", "expected objects")), &read);
                read.map_err(|(pointer, code, detail)| wrong.note(pointer, code, detail)).ok()
            })
            .collect(),
        Some(Value::Array(_)) => {
            wrong.note(pointer, "too-many", "there are more than a calendar may have");
            Vec::new()
        }
        Some(_) => {
            wrong.note(pointer, "type", "expected a list");
            Vec::new()
        }
    }
}

type NotRead = (&'static str, &'static str, &'static str);

fn rule(object: &Map<String, Value>) -> Result<WeeklyRule, NotRead> {
    known(object, &["days", "from", "to", "since", "until"], "/weekly")?;
    let days = object.get("days").and_then(Value::as_array).filter(|days| !days.is_empty());
    let days =
        days.ok_or(("/weekly/days", "required", "expected some of mon, tue, wed, thu, fri, sat, sun"))?;
    let weekdays = days.iter().try_fold(0_u8, |bits, day| {
        let bit = DAYS.iter().position(|word| day.as_str() == Some(word))?;
        (bits & (1 << bit) == 0).then_some(bits | 1 << bit)
    });
    let from = clock(object.get("from"));
    let to = clock(object.get("to"));
    let until = match object.get("until") {
        None | Some(Value::Null) => Some(None),
        given => date(given).map(Some),
    };
    Ok(WeeklyRule {
        weekdays: weekdays.ok_or(("/weekly/days", "not-a-code", "expected each of mon to sun at most once"))?,
        from: from.ok_or(("/weekly/from", "format", "expected a time such as 09:00"))?,
        to: to.ok_or(("/weekly/to", "format", "expected a time such as 17:00, or 24:00"))?,
        since: date(object.get("since")).ok_or((
            "/weekly/since",
            "format",
            "expected a date such as 2026-01-01",
        ))?,
        until: until.ok_or(("/weekly/until", "format", "expected a date, or nothing"))?,
    })
}

fn exception(object: &Map<String, Value>) -> Result<Exception, NotRead> {
    known(object, &["date", "from", "to"], "/exceptions")?;
    let day = date(object.get("date"));
    let day = day.ok_or(("/exceptions/date", "format", "expected a date such as 2026-12-25"))?;
    let hours = match (object.get("from"), object.get("to")) {
        (None, None) => Hours::Closed,
        (from, to) => Hours::Open {
            from: clock(from).ok_or(("/exceptions/from", "format", "expected a time such as 09:00"))?,
            to: clock(to).ok_or(("/exceptions/to", "format", "expected a time such as 17:00, or 24:00"))?,
        },
    };
    Ok(Exception { day, hours })
}

fn known(object: &Map<String, Value>, names: &[&str], pointer: &'static str) -> Result<(), NotRead> {
    if object.keys().all(|name| names.contains(&name.as_str())) {
        Ok(())
    } else {
        Err((pointer, "unknown-field", "there is a field here that this route does not take"))
    }
}

/// `00:00` to `24:00`, in one spelling.
fn clock(value: Option<&Value>) -> Option<u16> {
    let text = value?.as_str()?;
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u16>().ok())
            .flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes).filter(|minutes| *minutes < 60)?);
    Some(hours * 60 + minutes).filter(|minute| *minute <= DAY_MINUTES)
}

fn date(value: Option<&Value>) -> Option<Day> {
    let text = value?.as_str().filter(|text| text.len() == 10)?;
    let date: Date = text.parse().ok()?;
    (1970..=9998).contains(&date.year()).then(|| Day::of(date))
}

fn number(value: Option<&Value>, range: std::ops::RangeInclusive<u64>, default: Option<u64>) -> Option<u64> {
    match value {
        None | Some(Value::Null) => default,
        Some(value) => value.as_u64().filter(|number| range.contains(number)),
    }
}

fn short(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn not_a_calendar(wrong: NotACalendar) -> Problem {
    let (pointer, code, detail) = match wrong {
        NotACalendar::RuleHours => ("/weekly/to", "order", "expected a time after from"),
        NotACalendar::RuleDays => ("/weekly/until", "order", "expected a day that is not before since"),
        NotACalendar::ExceptionHours => ("/exceptions/to", "order", "expected a time after from"),
        NotACalendar::ClosedAndOpen => ("/exceptions", "contradiction", "a day is both closed and open"),
        NotACalendar::SlotMinutes => ("/slot_minutes", "range", "expected 5 to 480"),
        NotACalendar::Buffer => ("/buffer_after_minutes", "range", "expected 0 to 240"),
        NotACalendar::Capacity => ("/capacity", "range", "expected 1 to 100"),
        NotACalendar::Notice => ("/notice_minutes", "range", "expected 0 to 43200"),
        NotACalendar::Horizon => ("/horizon_days", "range", "expected 1 to 400"),
    };
    Problem::new(ProblemKind::Invalid).field(pointer, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::RequestId;
    use serde_json::json;

    fn read(value: Value) -> Result<Calendar, Problem> {
        let Value::Object(map) = value else { panic!("an object") };
        super::read(&Object::from(map), ProviderId::from_bytes([1; 16]))
    }

    fn named(value: Value) -> Vec<String> {
        let problem = read(value).expect_err("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors
            .map(|e| format!("{} {}", e["pointer"].as_str().expect("text"), e["code"].as_str().expect("text")))
            .collect()
    }

    fn right() -> Value {
        json!({
            "zone": "America/Chicago", "slot_minutes": 30,
            "weekly": [{"days": ["mon", "fri"], "from": "09:00", "to": "24:00", "since": "2026-01-01"}],
            "exceptions": [{"date": "2026-12-25"}, {"date": "2026-12-24", "from": "09:00", "to": "12:00"}]
        })
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut body = right();
        *body.pointer_mut(pointer).expect("is there") = value;
        body
    }

    #[test]
    fn a_calendar_reads_and_shows_as_it_was_written() {
        let calendar = read(right()).expect("reads");
        assert_eq!(calendar.rules.as_slice()[0].weekdays, 0b1_0001);
        assert_eq!((calendar.capacity, calendar.horizon_days, calendar.buffer_after), (1, 90, 0));
        let shown = serde_json::to_value(super::super::view::CalendarBody::from(&calendar)).expect("writes");
        assert_eq!(shown["weekly"][0]["days"], json!(["mon", "fri"]));
        assert_eq!(shown["weekly"][0]["to"], "24:00");
        assert_eq!(shown["exceptions"][0], json!({"date": "2026-12-24", "from": "09:00", "to": "12:00"}));
        assert_eq!(shown["exceptions"][1], json!({"date": "2026-12-25"}));
    }

    #[test]
    fn every_wrong_part_is_named() {
        assert_eq!(named(json!({})), ["/zone required", "/weekly required", "/slot_minutes range"]);
        for (body, says) in [
            (with("/zone", json!("America/Nowhere")), "/zone unknown-zone"),
            (with("/zone", json!("Etc/../x")), "/zone unknown-zone"),
            (with("/weekly", json!(7)), "/weekly type"),
            (with("/weekly", json!(vec![json!({}); 33])), "/weekly too-many"),
            (with("/weekly/0/days", json!([])), "/weekly/days required"),
            (with("/weekly/0/days", json!(["mon", "mon"])), "/weekly/days not-a-code"),
            (with("/weekly/0/from", json!("9:00")), "/weekly/from format"),
            (with("/weekly/0/from", json!("09:60")), "/weekly/from format"),
            (with("/weekly/0/to", json!("24:01")), "/weekly/to format"),
            (with("/weekly/0/to", json!("09:00")), "/weekly/to order"),
            (with("/weekly/0/since", json!("2026-02-30")), "/weekly/since format"),
            (with("/exceptions/1/to", json!(null)), "/exceptions/to format"),
            (with("/exceptions/0/date", json!("2026-12-24")), "/exceptions contradiction"),
            (with("/slot_minutes", json!(4)), "/slot_minutes range"),
            (with("/slot_minutes", json!(30.5)), "/slot_minutes range"),
        ] {
            assert_eq!(named(body.clone()), [says], "{body}");
        }
        let mut more = right();
        more["colour"] = json!("red");
        assert_eq!(named(more), [" unknown-field"]);
    }
}
