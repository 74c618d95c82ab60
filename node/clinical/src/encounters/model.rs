//! What is known of an encounter. In the clear it exists only here, and only within [`Phi`].

use jiff::Timestamp;
use node_access::body::Object;
use residency_policy::{
    Category, EncounterId, Jurisdiction, KeyId, Npi, PatientId, Problem, ProblemKind, RecordId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::Phi;

use crate::merge_patch::merge;
use crate::values::{Fields, Icd10, Wrong, parse_npi};

/// Text that a clinician wrote. Always within [`Phi`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClinicalText(String);

impl ClinicalText {
    /// The longest reason for a visit, in characters.
    pub const REASON_CHARS_MAX: usize = 1_000;
    /// The longest note or addendum, in characters.
    pub const NOTE_CHARS_MAX: usize = 50_000;

    /// Reads a text. Line breaks and tabs are part of a note; other control characters hide what they stand by.
    pub fn parse(text: &str, chars_max: usize) -> Result<Self, Wrong> {
        if text.chars().count() > chars_max {
            return Err(Wrong { code: "too-long", detail: "this text is longer than is accepted" });
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Wrong { code: "control-character", detail: "control characters are not accepted" });
        }
        if text.trim().is_empty() {
            return Err(Wrong { code: "blank", detail: "expected some text" });
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where an encounter is in its life. Each state has what is known only then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It may be changed.
    Open,
    /// It is as it was signed.
    Signed(Signature),
    /// It did not take place.
    Cancelled,
}

/// Who signed what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// When.
    pub at: Timestamp,
    /// With which credential.
    pub by: KeyId,
    /// Keyed digest of what was signed.
    pub digest: [u8; 32],
}

/// The encounter is no longer open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOpen;

impl State {
    /// The word in the database and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Signed(_) => "signed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Only an open encounter is signed.
    pub fn sign(self, signature: Signature) -> Result<Self, NotOpen> {
        match self {
            Self::Open => Ok(Self::Signed(signature)),
            _ => Err(NotOpen),
        }
    }

    /// Only an open encounter is cancelled.
    pub fn cancel(self) -> Result<Self, NotOpen> {
        match self {
            Self::Open => Ok(Self::Cancelled),
            _ => Err(NotOpen),
        }
    }
}

impl node_access::Disclosable for NotOpen {
    fn problem(&self) -> Problem {
        Problem::new(ProblemKind::IllegalTransition)
            .detail("the encounter is signed or cancelled; what is said of a signed one now is an addendum")
    }
}

/// An encounter. What is not clinical is beside the content.
pub struct Encounter {
    /// Random id.
    pub id: EncounterId,
    /// Whose visit.
    pub patient: PatientId,
    /// The legal category, which chooses the data key.
    pub category: Category,
    /// Where it is in its life.
    pub state: State,
    /// Where, and with whom.
    pub setting: Setting,
    /// What was found.
    pub content: Phi<Content>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Raised by every change.
    pub version: i32,
}

/// An encounter without what is clinical.
pub struct Heading {
    /// Random id.
    pub id: EncounterId,
    /// Whose visit.
    pub patient: PatientId,
    /// The word of its state.
    pub status: String,
    /// Where the patient physically was.
    pub service: String,
    /// The clinician.
    pub provider: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was signed.
    pub signed_at: Option<Timestamp>,
    /// Raised by every change.
    pub version: i32,
}

/// What was said of a signed encounter later.
pub struct Addendum {
    /// Random id.
    pub id: RecordId,
    /// The text.
    pub body: Phi<ClinicalText>,
    /// When.
    pub at: Timestamp,
    /// With which credential.
    pub by: KeyId,
}

/// What was found and decided. Always within [`Phi`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Content {
    /// Why the patient came.
    pub reason: Option<ClinicalText>,
    /// The note.
    pub note: Option<ClinicalText>,
    /// What was found, most important first.
    pub diagnoses: Vec<Icd10>,
}

/// Where a visit takes place and with whom. Not PHI by itself: the columns are in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where the patient physically is.
    #[serde(rename = "service_jurisdiction")]
    pub service: Jurisdiction,
    /// The clinician.
    #[serde(rename = "provider_npi")]
    pub provider: Npi,
}

impl Setting {
    /// The members of a body that are not PHI.
    pub const FIELDS: &'static [&'static str] = &["service_jurisdiction", "provider_npi"];
}

impl Content {
    /// The members of a body that are PHI.
    pub const FIELDS: &'static [&'static str] = &["reason", "note", "diagnoses"];
    /// The most diagnoses: a claim has room for as many (837P, HI segment).
    pub const DIAGNOSES_MAX: usize = 12;

    fn read(object: &Object, mut fields: Fields) -> Result<Self, Problem> {
        object.only(Self::FIELDS)?;
        let reason = fields.take_if_given("/reason", object.get("reason"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        let note = fields.take_if_given("/note", object.get("note"), |text| {
            ClinicalText::parse(text, ClinicalText::NOTE_CHARS_MAX)
        });
        let diagnoses = diagnoses(&mut fields, object.get("diagnoses"));
        fields.finish().map(|()| Self { reason, note, diagnoses })
    }
}

/// Reads a body in its two parts, as [`node_access::body::Json::split`] makes them.
pub fn read(open: &Object, guarded: Phi<Object>) -> Result<(Setting, Phi<Content>), Problem> {
    const NOT_A_CODE: Wrong = Wrong { code: "not-a-code", detail: "expected an ISO 3166-2 code such as US-TX" };
    let mut fields = Fields::default();
    let service = fields.take("/service_jurisdiction", open.get("service_jurisdiction"), |text| {
        text.parse().map_err(|_| NOT_A_CODE)
    });
    let provider = fields.take("/provider_npi", open.get("provider_npi"), parse_npi);
    let content = guarded.try_map(|object| Content::read(&object, fields))?;
    match (service, provider) {
        (Some(service), Some(provider)) => Ok((Setting { service, provider }, content)),
        // What is missing was noted, so this is never reached.
        _ => Err(Problem::new(ProblemKind::Invalid)),
    }
}

/// The same after a merge patch (RFC 7396).
pub fn patched(
    setting: &Setting,
    content: Phi<Content>,
    open: Object,
    guarded: Phi<Object>,
) -> Result<(Setting, Phi<Content>), Problem> {
    let setting = merged(setting, open)?;
    let content = content.zip(guarded).try_map(|(content, patch)| {
        patch.only(Content::FIELDS)?;
        merged(&content, patch)
    })?;
    read(&setting, content)
}

fn merged(current: &impl Serialize, patch: Object) -> Result<Object, Problem> {
    let current = serde_json::to_value(current).map_err(|_| Problem::new(ProblemKind::Internal))?;
    match merge(current, Value::Object(patch.into_map())) {
        Value::Object(merged) => Ok(Object::from(merged)),
        _ => Err(Problem::new(ProblemKind::Internal)),
    }
}

impl Encounter {
    /// Everything that a signature is about, in one spelling. For a keyed digest, never to be stored or shown.
    pub fn signed_bytes(&self, content: &Content) -> Vec<u8> {
        #[derive(Serialize)]
        struct Signed<'a> {
            encounter: EncounterId,
            patient: PatientId,
            setting: &'a Setting,
            opened_at: Timestamp,
            content: &'a Content,
        }
        let signed = Signed {
            encounter: self.id,
            patient: self.patient,
            setting: &self.setting,
            opened_at: self.opened_at,
            content,
        };
        let mut bytes = b"domicile encounter v1\n".to_vec();
        // Ids, texts and times always serialise.
        bytes.extend(serde_json::to_vec(&signed).unwrap_or_default());
        bytes
    }
}

fn diagnoses(fields: &mut Fields, value: Option<&Value>) -> Vec<Icd10> {
    const NOT_A_LIST: Wrong = Wrong { code: "type", detail: "expected a list of ICD-10-CM codes" };
    const TOO_MANY: Wrong = Wrong { code: "too-many", detail: "an encounter has at most twelve diagnoses" };
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) if list.len() > Content::DIAGNOSES_MAX => {
            fields.note("/diagnoses", TOO_MANY);
            Vec::new()
        }
        Some(Value::Array(list)) => {
            list.iter().filter_map(|code| fields.take("/diagnoses", code, Icd10::parse)).collect()
        }
        Some(_) => {
            fields.note("/diagnoses", NOT_A_LIST);
            Vec::new()
        }
    }
}

/// The text of an addendum.
pub fn read_addendum(object: &Object) -> Result<ClinicalText, Problem> {
    object.only(&["body"])?;
    let mut fields = Fields::default();
    let body = fields
        .take("/body", object.get("body"), |text| ClinicalText::parse(text, ClinicalText::NOTE_CHARS_MAX));
    fields.finish()?;
    body.ok_or_else(|| Problem::new(ProblemKind::Invalid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::RequestId;
    use serde_json::json;

    fn object(value: Value) -> Object {
        let Value::Object(map) = value else { panic!("an object") };
        Object::from(map)
    }

    fn split(value: Value) -> (Object, Phi<Object>) {
        let Value::Object(map) = value else { panic!("an object") };
        let (open, guarded): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            map.into_iter().partition(|(name, _)| Setting::FIELDS.contains(&name.as_str()));
        (Object::from(open), Phi::new(Object::from(guarded)))
    }

    fn read(value: Value) -> Result<(Setting, Phi<Content>), Problem> {
        let (open, guarded) = split(value);
        super::read(&open, guarded)
    }

    fn patch(before: &(Setting, Phi<Content>), value: Value) -> Result<(Setting, Phi<Content>), Problem> {
        let (open, guarded) = split(value);
        patched(&before.0, before.1.clone(), open, guarded)
    }

    fn holds(content: &Phi<Content>, what: impl Fn(&Content) -> bool) -> bool {
        content.as_ref().map(|content| what(content).then_some(())).transpose().is_some()
    }

    fn pointers<T>(result: Result<T, Problem>) -> Vec<String> {
        let problem = result.err().expect("is refused");
        let shown = serde_json::to_value(problem.document(RequestId::from_bytes([0; 16]))).expect("writes");
        let errors = shown["errors"].as_array().expect("a list").iter();
        errors.map(|error| error["pointer"].as_str().expect("text").to_owned()).collect()
    }

    fn right() -> Value {
        json!({"service_jurisdiction": "US-TX", "provider_npi": "1234567893", "reason": "cough",
               "note": "line one\nline two", "diagnoses": ["J06.9"]})
    }

    fn signature() -> Signature {
        Signature { at: Timestamp::UNIX_EPOCH, by: KeyId::from_bytes([1; 16]), digest: [0; 32] }
    }

    #[test]
    fn only_an_open_encounter_is_signed_or_cancelled() {
        let signed = State::Open.sign(signature()).expect("signs");
        assert_eq!(signed.as_str(), "signed");
        assert_eq!(signed.clone().sign(signature()), Err(NotOpen));
        assert_eq!(signed.cancel(), Err(NotOpen));
        let cancelled = State::Open.cancel().expect("cancels");
        assert_eq!(cancelled.clone().sign(signature()), Err(NotOpen));
        assert_eq!(cancelled.cancel(), Err(NotOpen));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert!(read(right()).is_ok());
        assert_eq!(
            pointers(read(
                json!({"provider_npi": "1234567890", "reason": "a\u{7}", "note": " ", "diagnoses": ["?"]})
            )),
            ["/service_jurisdiction", "/provider_npi", "/reason", "/note", "/diagnoses"]
        );
        assert_eq!(pointers(read(json!({"category": "general"}))), [""]);
        let mut many = right();
        many["diagnoses"] = json!(vec!["J06.9"; 13]);
        assert_eq!(pointers(read(many)), ["/diagnoses"]);
        assert_eq!(pointers(read_addendum(&object(json!({})))), ["/body"]);
    }

    #[test]
    fn a_patch_takes_away_and_replaces() {
        let before = read(right()).expect("reads");
        let after = patch(&before, json!({"reason": null, "diagnoses": []})).expect("patches");
        assert!(holds(&after.1, |content| content.reason.is_none() && content.diagnoses.is_empty()));
        assert!(holds(&after.1, |content| content.note.is_some()));
        assert_eq!(pointers(patch(&before, json!({"provider_npi": null}))), ["/provider_npi"]);
        assert_eq!(pointers(patch(&before, json!({"signed_by": null}))), [""]);
        let moved = patch(&before, json!({"service_jurisdiction": "US-CA"})).expect("patches");
        assert_eq!(moved.0.service.code(), "US-CA");
    }
}
