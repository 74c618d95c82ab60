//! What is recorded to let a marketing organisation have anything of a patient: a business associate agreement (45 CFR
//! 164.504(e)) or the patients' authorisation (45 CFR 164.508(a)(3)). It is the word of those whose patients they are, so
//! no marketing organisation records one, its own least of all. The document stays where it is kept; its digest tells
//! which one was meant.

pub mod remove;
pub mod replace;
pub mod show;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use node_access::body::Object;
use node_access::{Act, OpenCall, OrgView, RefusalReason};
use residency_control::{LegalBasis, Recorded, Recorder};
use residency_policy::{BasisKind, FieldError, OrgType, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::organisations::looked_up;

/// What the access log calls it.
const ENTITY: &str = "legal_basis";

const KIND_EXPECTED: &str = "expected business-associate-agreement or authorization";

/// The legal basis of a marketing organisation.
#[derive(Serialize, ToSchema)]
#[schema(as = LegalBasis)]
#[serde(deny_unknown_fields)]
pub struct LegalBasisBody {
    /// What kind of document it is.
    #[schema(
        pattern = "^(business-associate-agreement|authorization)$",
        example = "business-associate-agreement"
    )]
    pub kind: String,
    /// The first day on which it holds, in UTC.
    #[schema(format = Date, example = "2026-11-22")]
    pub from: String,
    /// The last day on which it holds, in UTC. Not before the first.
    #[schema(format = Date, example = "2027-11-21")]
    pub until: String,
    /// SHA-256 of the signed document.
    #[schema(
        pattern = "^[0-9a-fA-F]{64}$",
        example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    pub document_sha256: String,
}

/// The legal basis of a marketing organisation, and who recorded it. What an earlier release recorded has no author.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordedLegalBasis)]
#[serde(deny_unknown_fields)]
pub struct RecordedBody {
    /// What kind of document it is.
    #[schema(example = "business-associate-agreement")]
    pub kind: &'static str,
    /// The first day on which it holds, in UTC.
    #[schema(format = Date, example = "2026-11-22")]
    pub from: String,
    /// The last day on which it holds, in UTC.
    #[schema(format = Date, example = "2027-11-21")]
    pub until: String,
    /// SHA-256 of the signed document.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub document_sha256: String,
    /// Who recorded it: the `operator`, a `user`, or a `key` that is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "user")]
    pub recorded_by: Option<&'static str>,
    /// The user's or the key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub recorder: Option<String>,
    /// The organisation for which they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub recorded_for: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub recorded_at: Option<String>,
}

impl RecordedBody {
    fn of(basis: &LegalBasis, recorded: Option<&Recorded>) -> Self {
        let (recorded_by, who, place) = match recorded.map(|one| one.by) {
            None => (None, None, None),
            Some(Recorder::Operator) => (Some("operator"), None, None),
            Some(Recorder::User { org, user }) => (Some("user"), Some(user.to_string()), Some(org.to_string())),
            Some(Recorder::Key { org, key }) => (Some("key"), Some(key.to_string()), Some(org.to_string())),
        };
        Self {
            kind: basis.kind.as_str(),
            from: LegalBasis::date(basis.from),
            until: LegalBasis::date(basis.until),
            document_sha256: HEXLOWER.encode(&basis.document_sha256),
            recorded_by,
            recorder: who,
            recorded_for: place,
            // A second after the epoch that a node wrote is one that a clock showed.
            recorded_at: recorded.map(|one| Timestamp::from_second(one.at).unwrap_or_default().to_string()),
        }
    }
}

/// The organisation in the path, for whoever may say what it rests on.
fn vouched_for<A: Act>(call: &OpenCall<A>) -> Result<OrgView, Problem> {
    let org = looked_up(call)?;
    if org.id == call.caller.org || call.caller.org_type != OrgType::Provider {
        let detail = "it is recorded by an organisation that treats patients, or by the operator";
        return Err(Problem::new(ProblemKind::Forbidden)
            .reason(RefusalReason::NotPermitted.as_str())
            .detail(detail));
    }
    if org.org_type != OrgType::Marketing {
        let detail = "only a marketing organisation has a recorded legal basis";
        return Err(Problem::new(ProblemKind::Invalid).field("id", "not-marketing", detail));
    }
    Ok(org)
}

fn read(body: &Object) -> Result<LegalBasis, Problem> {
    body.only(&["kind", "from", "until", "document_sha256"])?;
    let text = |name| body.get(name).and_then(Value::as_str);
    let kind = text("kind").and_then(|text| text.parse::<BasisKind>().ok());
    let (from, until) = (text("from").and_then(LegalBasis::day), text("until").and_then(LegalBasis::day));
    let document = text("document_sha256").and_then(LegalBasis::digest);
    let mut wrong = Vec::new();
    let mut note = |pointer, code, detail| wrong.push(FieldError { pointer, code, detail });
    match (kind, from, until, document) {
        (Some(kind), Some(from), Some(until), Some(document_sha256)) if from <= until => {
            return Ok(LegalBasis { kind, from, until, document_sha256 });
        }
        (Some(_), Some(_), Some(_), Some(_)) => {
            note("/until", "range", "expected a day that is not before from");
        }
        _ => {
            let missing = [
                (kind.is_none(), "/kind", "not-a-code", KIND_EXPECTED),
                (from.is_none(), "/from", "format", LegalBasis::DAY_EXPECTED),
                (until.is_none(), "/until", "format", LegalBasis::DAY_EXPECTED),
                (document.is_none(), "/document_sha256", "format", LegalBasis::DIGEST_EXPECTED),
            ];
            for (_, pointer, code, detail) in missing.into_iter().filter(|(missing, ..)| *missing) {
                note(pointer, code, detail);
            }
        }
    }
    Err(Problem::new(ProblemKind::Invalid).fields(wrong))
}

#[cfg(test)]
mod tests {
    use residency_policy::RequestId;
    use serde_json::json;

    use super::*;

    const DOCUMENT: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        Object::from(map)
    }

    fn right() -> Value {
        let kind = "authorization";
        json!({ "kind": kind, "from": "2026-11-22", "until": "2026-11-22", "document_sha256": DOCUMENT })
    }

    #[test]
    fn a_right_body_is_read_and_shown_as_it_was_sent() {
        let basis = read(&object(right())).expect("it is right");
        assert_eq!((basis.from, basis.until), (20_261_122, 20_261_122));
        assert_eq!(serde_json::to_value(RecordedBody::of(&basis, None)).expect("writes"), right());
        let mut loud = right();
        loud["document_sha256"] = json!(DOCUMENT.to_uppercase());
        assert_eq!(read(&object(loud)), Ok(basis));
    }

    #[test]
    fn every_wrong_field_is_named_and_nothing_is_repeated() {
        for (name, wrong, pointer) in [
            ("kind", json!("handshake"), "/kind"),
            ("kind", json!(null), "/kind"),
            ("from", json!("22.11.2026"), "/from"),
            ("from", json!("20261122"), "/from"),
            ("from", json!("2026-02-30"), "/from"),
            ("from", json!("1999-12-31"), "/from"),
            ("from", json!("2026-11-22T00:00:00Z"), "/from"),
            ("from", json!("2026-11-23"), "/until"),
            ("until", json!("2200-01-01"), "/until"),
            ("until", json!(20_261_122), "/until"),
            ("document_sha256", json!(DOCUMENT[1..]), "/document_sha256"),
            ("document_sha256", json!(DOCUMENT.replace('9', "g")), "/document_sha256"),
            ("note", json!("zzbasis7q"), ""),
        ] {
            let mut body = right();
            body[name] = wrong.clone();
            let problem = read(&object(body)).expect_err(pointer);
            let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
            assert_eq!(shown["errors"][0]["pointer"], pointer, "{name}: {wrong}");
            assert!(!shown.to_string().contains("zzbasis7q"));
        }
    }
}
