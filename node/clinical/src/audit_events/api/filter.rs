//! What is asked for, read from the query.

use jiff::{SignedDuration, Timestamp};
use node_access::parameters::{Parameters, bad};
use residency_policy::{Problem, Purpose, wire};
use storage::{AccessAction, AccessOutcome};

use crate::audit_events::store::Filter;

/// The parameters, the page's included.
pub(super) const PARAMETERS: &[&str] = &[
    wire::HOME_PARAMETER,
    "entity",
    "entity_id",
    "purpose",
    "user",
    "key",
    "patient",
    "outcome",
    "action",
    "from",
    "until",
    "limit",
    "cursor",
];

/// How far back one question goes that names no patient. Only time and organisation are in its index: without a bound, a
/// filter that fits nothing would read years of the log.
const WINDOW: SignedDuration = SignedDuration::from_hours(24 * 31);

/// What a cursor goes with: all that was asked but the page.
pub(super) fn asked(parameters: &Parameters) -> Vec<&[u8]> {
    let filters = PARAMETERS.iter().filter(|name| !matches!(**name, "limit" | "cursor"));
    filters.map(|name| parameters.get(name).unwrap_or_default().as_bytes()).collect()
}

/// Reads the filter.
pub(super) fn read(parameters: &Parameters, now: Timestamp) -> Result<Filter, Problem> {
    let purpose: Option<Purpose> = word(parameters, "purpose", |text| text.parse().ok())?;
    let patient = word(parameters, "patient", |text| text.parse().ok())?;
    let (from, until) = (parameters.instant("from")?, parameters.instant("until")?);
    // Nothing was recorded before the epoch of Unix, and Postgres keeps no time as early as the earliest one here.
    let earliest = match patient {
        Some(_) => Timestamp::UNIX_EPOCH,
        None => until.unwrap_or(now).checked_sub(WINDOW).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    let earliest = earliest.max(Timestamp::UNIX_EPOCH);
    let from = match from {
        Some(from) if from < earliest && patient.is_none() => {
            return Err(bad(
                "from",
                "range",
                "is at most 31 days before until or now, unless a patient is named",
            ));
        }
        from => from.unwrap_or(earliest).max(Timestamp::UNIX_EPOCH),
    };
    let until = until.unwrap_or(Timestamp::MAX).max(Timestamp::UNIX_EPOCH);
    if until < from {
        return Err(bad("until", "range", "is not before from"));
    }
    Ok(Filter {
        entity: word(parameters, "entity", |text| is_entity(text).then(|| text.to_owned()))?,
        entity_id: word(parameters, "entity_id", |text| text.parse().ok())?,
        purpose: purpose.map(Purpose::as_str),
        user: word(parameters, "user", |text| text.parse().ok())?,
        key: word(parameters, "key", |text| text.parse().ok())?,
        patient,
        outcome: word(parameters, "outcome", AccessOutcome::read)?,
        action: word(parameters, "action", AccessAction::read)?,
        from,
        until,
    })
}

fn is_entity(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'))
}

fn word<T>(
    parameters: &Parameters,
    name: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let wrong = || bad(name, "format", "is none of the words or ids that it takes");
    parameters.get(name).map(|text| read(text).ok_or_else(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use residency_policy::RequestId;

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000000";

    fn asked(query: &str) -> Result<Filter, Problem> {
        let now = "2026-11-23T00:00:00Z".parse().expect("an instant");
        read(&Parameters::read(Some(query), PARAMETERS)?, now)
    }

    #[test]
    fn without_a_patient_a_question_goes_back_31_days() {
        let from = |query: &str| asked(query).map(|filter| filter.from.to_string());
        assert_eq!(from(""), Ok("2026-10-23T00:00:00Z".to_owned()));
        assert_eq!(from("until=2026-02-01T00:00:00Z"), Ok("2026-01-01T00:00:00Z".to_owned()));
        assert_eq!(from(&format!("patient={ID}")), Ok("1970-01-01T00:00:00Z".to_owned()));
        assert!(asked("from=2026-10-23T00:00:00Z").is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, name, code) in [
            ("entity=Patient", "entity", "format"),
            ("entity=", "entity", "format"),
            ("entity_id=1", "entity_id", "format"),
            ("purpose=treat", "purpose", "format"),
            ("user=me", "user", "format"),
            ("key=dk_1", "key", "format"),
            ("patient=ana", "patient", "format"),
            ("outcome=well", "outcome", "format"),
            ("action=look", "action", "format"),
            ("from=yesterday", "from", "format"),
            ("from=2026-10-22T23:59:59Z", "from", "range"),
            ("until=2026-11-22", "until", "format"),
            ("from=2026-11-22T00:00:00Z&until=2026-11-21T00:00:00Z", "until", "range"),
        ] {
            let problem = asked(wrong).expect_err(wrong);
            let said = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16])));
            let said = said.expect("it serialises");
            assert_eq!(said["errors"][0]["pointer"], name, "{wrong}");
            assert_eq!(said["errors"][0]["code"], code, "{wrong}");
        }
    }
}
