//! Reads what is asked of appointments: every wrong field is named at once.

use node_access::body::Object;
use node_console::calendars::booking::When;
use node_console::calendars::when;
use residency_policy::{Jurisdiction, Problem, ProblemKind, ProviderId};
use serde_json::Value;
use storage::Phi;

use super::model::{CancelCode, Kind};
use crate::encounters::model::ClinicalText;
use crate::values::{Fields, Wrong};

/// What is asked for. Not PHI by itself: the columns are in the clear.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// With whom.
    pub provider: ProviderId,
    /// When.
    pub when: When,
    /// Where the patient will be.
    pub service: Jurisdiction,
    /// How they meet.
    pub kind: Kind,
}

impl Asked {
    /// The members of a body that are not PHI.
    pub const FIELDS: &'static [&'static str] = &["provider", "start", "hold", "service_jurisdiction", "kind"];
}

const NOT_AN_ID: Wrong = Wrong { code: "format", detail: "expected an id" };
/// What is wrong with a code of a jurisdiction.
pub const NOT_A_PLACE: Wrong =
    Wrong { code: "not-a-code", detail: "expected an ISO 3166-2 code such as US-TX" };

/// Reads the body of a new appointment in its two parts, as [`node_access::body::Json::split`] makes them.
pub fn read(open: &Object, guarded: Phi<Object>) -> Result<(Asked, Phi<Option<ClinicalText>>), Problem> {
    let mut fields = Fields::default();
    let provider = fields.take("/provider", open.get("provider"), |text| text.parse().map_err(|_| NOT_AN_ID));
    let service = fields.take("/service_jurisdiction", open.get("service_jurisdiction"), |text| {
        text.parse().map_err(|_| NOT_A_PLACE)
    });
    let kind = fields.take("/kind", open.get("kind"), |text| {
        Kind::read(text).ok_or(Wrong { code: "not-a-code", detail: "expected video, phone or in-person" })
    });
    let when = read_when(&mut fields, open)?;
    let reason = guarded.try_map(|object| {
        object.only(&["reason"])?;
        let reason = fields.take_if_given("/reason", object.get("reason"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        fields.finish().map(|()| reason)
    })?;
    match (provider, when, service, kind) {
        (Some(provider), Some(when), Some(service), Some(kind)) => {
            Ok((Asked { provider, when, service, kind }, reason))
        }
        // What is missing was noted, so this is never reached.
        _ => Err(Problem::new(ProblemKind::Invalid)),
    }
}

/// Reads the body of a move: when, and with whom if with somebody else.
pub fn read_move(open: &Object) -> Result<(Option<ProviderId>, When), Problem> {
    open.only(&["provider", "start", "hold"])?;
    let mut fields = Fields::default();
    let provider =
        fields.take_if_given("/provider", open.get("provider"), |text| text.parse().map_err(|_| NOT_AN_ID));
    let when = read_when(&mut fields, open)?;
    fields.finish()?;
    when.map(|when| (provider, when)).ok_or_else(|| Problem::new(ProblemKind::Invalid))
}

/// `start` or `hold`, and not both.
fn read_when(fields: &mut Fields, open: &Object) -> Result<Option<When>, Problem> {
    let given = |name| open.get(name).filter(|value| !value.is_null());
    match (given("start"), given("hold")) {
        (Some(Value::String(text)), None) => {
            let start = when::minute(text).map_err(|wrong| wrong.of_field("/start"))?;
            Ok(Some(When::At(start)))
        }
        (Some(_), None) => {
            fields.note("/start", Wrong::NOT_TEXT);
            Ok(None)
        }
        (None, hold @ Some(_)) => {
            let hold = fields.take("/hold", hold, |text| text.parse().map_err(|_| NOT_AN_ID));
            Ok(hold.map(When::Held))
        }
        (Some(_), Some(_)) => {
            let both = Wrong { code: "contradiction", detail: "expected start or hold, and not both" };
            fields.note("/hold", both);
            Ok(None)
        }
        (None, None) => {
            let neither = Wrong { code: "required", detail: "expected start, or a hold that was taken before" };
            fields.note("/start", neither);
            Ok(None)
        }
    }
}

/// Reads the body of a cancellation.
pub fn read_cancellation(
    open: &Object,
    guarded: Phi<Object>,
) -> Result<(CancelCode, Phi<Option<ClinicalText>>), Problem> {
    const EXPECTED: Wrong = Wrong {
        code: "not-a-code",
        detail: "expected patient-request, provider-unavailable, no-longer-needed or entered-in-error",
    };
    let mut fields = Fields::default();
    let code = fields.take("/code", open.get("code"), |text| {
        CancelCode::read(text).filter(|code| *code != CancelCode::PatientRemoved).ok_or(EXPECTED)
    });
    let note = guarded.try_map(|object| {
        object.only(&["note"])?;
        let note = fields.take_if_given("/note", object.get("note"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        fields.finish().map(|()| note)
    })?;
    code.map(|code| (code, note)).ok_or_else(|| Problem::new(ProblemKind::Invalid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::RequestId;
    use serde_json::json;

    const ID: &str = "00000000-0000-4000-8000-000000000000";

    fn split(value: Value, open: &[&str]) -> (Object, Phi<Object>) {
        let Value::Object(map) = value else { panic!("an object") };
        let (open, guarded): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            map.into_iter().partition(|(name, _)| open.contains(&name.as_str()));
        (Object::from(open), Phi::new(Object::from(guarded)))
    }

    fn shown<T>(result: Result<T, Problem>) -> Vec<String> {
        let problem = result.err().expect("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors
            .map(|e| format!("{} {}", e["pointer"].as_str().unwrap_or(""), e["code"].as_str().unwrap_or("")))
            .collect()
    }

    fn read_of(value: Value) -> Result<(Asked, Phi<Option<ClinicalText>>), Problem> {
        let (open, guarded) = split(value, Asked::FIELDS);
        read(&open, guarded)
    }

    fn right() -> Value {
        json!({"provider": ID, "start": "2026-12-01T15:00:00Z", "service_jurisdiction": "US-TX", "kind": "video",
               "reason": "cough"})
    }

    #[test]
    fn an_appointment_is_asked_for_by_its_start_or_by_a_hold() {
        let (asked, _) = read_of(right()).expect("reads");
        assert!(matches!(asked.when, When::At(_)));
        let mut held = right();
        held["start"] = Value::Null;
        held["hold"] = json!(ID);
        assert!(matches!(read_of(held).expect("reads").0.when, When::Held(_)));
        let mut both = right();
        both["hold"] = json!(ID);
        assert_eq!(shown(read_of(both)), ["/hold contradiction"]);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let expected =
            ["/provider required", "/service_jurisdiction required", "/kind required", "/start required"];
        assert_eq!(shown(read_of(json!({}))), expected);
        let mut wrong = right();
        for (name, value) in [("provider", json!("x")), ("kind", json!("smoke")), ("reason", json!(" "))] {
            wrong[name] = value;
        }
        assert_eq!(shown(read_of(wrong)), ["/provider format", "/kind not-a-code", "/reason blank"]);
        let mut skipped = right();
        skipped["start"] = json!("2027-03-14T02:30[America/New_York]");
        assert_eq!(shown(read_of(skipped)), ["/start no-such-local-time"]);
        let mut more = right();
        more["colour"] = json!("red");
        assert_eq!(shown(read_of(more)), [" unknown-field"]);
    }

    #[test]
    fn a_cancellation_has_a_code_that_callers_may_say() {
        let read = |value| {
            let (open, guarded) = split(value, &["code"]);
            read_cancellation(&open, guarded)
        };
        let (code, _) = read(json!({"code": "patient-request", "note": "moved house"})).expect("reads");
        assert_eq!(code, CancelCode::PatientRequest);
        for code in ["patient-removed", "because", ""] {
            assert_eq!(shown(read(json!({ "code": code }))), ["/code not-a-code"], "{code}");
        }
        assert_eq!(shown(read(json!({}))), ["/code required"]);
    }
}
