//! What a body says of a clinician's licences, and who it says entered them.

use std::str::FromStr;

use jiff::civil::Date;
use node_access::body::only;
use residency_policy::licensure::{EnteredBy, Licence, LicenceStatus, Licences, NotLicences};
use residency_policy::{OrgId, Problem};
use serde_json::Value;

use super::search::day;
use super::told::Wrong;
use super::view::OPERATOR;

const OF_A_LICENCE: &[&str] = &[
    "jurisdiction",
    "kind",
    "number",
    "status",
    "status_since",
    "from",
    "until",
    "source",
    "verified",
    "entered_by",
];

/// A pointer to each licence, since a pointer is a constant of the program.
macro_rules! pointers {
    ($($at:literal)+) => { [$(concat!("/licences/", $at),)+] };
}

const LICENCE: [&str; Licences::LEN_MAX] = pointers!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
);

/// What the caller's organisation answers for, and what others do.
pub(super) type Sorted = (Licences, Vec<(&'static str, EnteredBy, Licence)>);

/// Reads the list of a body of an organisation's.
pub(super) fn read(wrong: &mut Wrong, given: Option<&Value>, caller: OrgId) -> Result<Option<Sorted>, Problem> {
    let list: &[Value] = match given {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) if list.len() <= Licences::LEN_MAX => list,
        Some(_) => return Ok(wrong.note("/licences", "format", "expected a list of at most 64 licences")),
    };
    let mut all = Vec::new();
    let ours = EnteredBy::Organisation(caller);
    for (given, pointer) in list.iter().zip(LICENCE) {
        let Value::Object(map) = given else {
            wrong.note::<()>(pointer, "type", "expected an object");
            continue;
        };
        only(map, OF_A_LICENCE, pointer)?;
        let by = entered_by(wrong, pointer, map.get("entered_by"), ours);
        let licence = licence(wrong, pointer, |name| map.get(name));
        all.extend(by.zip(licence).map(|(by, licence)| (pointer, by, licence)));
    }
    if all.len() < list.len() {
        return Ok(None);
    }
    let (own, of_others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, by, _)| *by == ours);
    Ok(match Licences::new(own.iter().map(|(.., licence)| *licence).collect()) {
        Ok(licences) => Some((licences, of_others)),
        Err(NotLicences::TooMany) => {
            wrong.note("/licences", "format", "expected a list of at most 64 licences")
        }
        Err(NotLicences::EndsBeforeItBegins(at)) => {
            wrong.note(own[at].0, "ends-before-it-begins", "its last day is before its first")
        }
        Err(NotLicences::SameNumber(at)) => {
            let detail = "another licence of the same jurisdiction has this number";
            wrong.note(own[at].0, "same-number", detail)
        }
    })
}

fn licence<'v>(wrong: &mut Wrong, at: &'static str, of: impl Fn(&str) -> Option<&'v Value>) -> Option<Licence> {
    let expected = "its jurisdiction is an ISO 3166-2 code such as US-TX";
    let jurisdiction = wrong.part(at, of("jurisdiction"), "unknown-jurisdiction", expected);
    let expected = "its kind is full, telehealth, or what a compact gives, such as nlc";
    let kind = wrong.part(at, of("kind"), "unknown-kind", expected);
    let expected = "its number is 1 to 24 letters, digits and . / -, with a digit";
    let number = wrong.part(at, of("number"), "number", expected);
    let expected = "its status is active, expired, suspended, revoked, surrendered or pending";
    let status: Option<LicenceStatus> = wrong.part(at, of("status"), "unknown-status", expected);
    let expected = "its source is state-board, nursys, fsmb or compact-commission";
    let source = wrong.part(at, of("source"), "unknown-source", expected);
    let expected = "its first day is a day such as 2026-01-31";
    let from = wrong.part(at, of("from"), "from", expected).map(|Day(day)| day);
    let expected = "the day of its verification is a day such as 2026-01-31";
    let verified = wrong.part(at, of("verified"), "verified", expected).map(|Day(day)| day);
    let until = match of("until") {
        None | Some(Value::Null) => Some(None),
        given => {
            wrong.part(at, given, "until", "its last day is a day such as 2026-01-31").map(|Day(day)| Some(day))
        }
    };
    // Where nothing was taken away there is nothing to date.
    let undated = matches!(status, Some(LicenceStatus::Active | LicenceStatus::Pending) | None);
    let status_since = match of("status_since") {
        None | Some(Value::Null) if undated => from,
        given => {
            let expected = "say since which day its status holds, such as 2026-01-31";
            wrong.part(at, given, "status-since", expected).map(|Day(day)| day)
        }
    };
    Some(Licence {
        jurisdiction: jurisdiction?,
        kind: kind?,
        number: number?,
        status: status?,
        status_since: status_since?,
        from: from?,
        until: until?,
        source: source?,
        verified: verified?,
    })
}

fn entered_by(
    wrong: &mut Wrong,
    at: &'static str,
    given: Option<&Value>,
    ours: EnteredBy,
) -> Option<EnteredBy> {
    match given {
        None | Some(Value::Null) => Some(ours),
        Some(given) if given.as_str() == Some(OPERATOR) => Some(EnteredBy::Operator),
        given => {
            let expected = "it was entered by an organisation, whose id is expected, or by operator";
            wrong.part(at, given, "entered-by", expected).map(EnteredBy::Organisation)
        }
    }
}

/// A day in its one spelling.
struct Day(Date);

impl FromStr for Day {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        day(text).map(Self).ok_or(())
    }
}
