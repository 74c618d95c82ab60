//! What is known of a break-glass grant. The words that say why exist in the clear only within [`Phi`].

use jiff::{SignedDuration, Timestamp};
use node_access::body::Object;
use residency_policy::{Category, GrantId, KeyId, PatientId, Problem, ProblemKind, Purpose, UserId};
use serde_json::Value;
use storage::Phi;

use crate::encounters::model::ClinicalText;
use crate::values::{Fields, Wrong, words};

/// How long a grant lives.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(60);

words! {
    /// Why the glass is broken.
    Reason {
        /// Somebody needs care now (42 CFR 2.51).
        Emergency = "medical-emergency",
        /// The patient cannot be asked.
        UnableToConsent = "patient-unable-to-consent",
        /// Somebody's life is threatened (45 CFR 164.512(j)).
        Threat = "threat-to-life",
        /// The words say what.
        Other = "other",
    }
}

words! {
    /// What a review found.
    Verdict {
        /// It was right.
        Justified = "justified",
        /// It was not.
        NotJustified = "not-justified",
    }
}

/// What was found of a grant afterwards.
pub struct Review {
    /// When.
    pub at: Timestamp,
    /// With which credential.
    pub by: KeyId,
    /// What was found.
    pub verdict: Verdict,
    /// The same in words.
    pub text: Phi<Option<ClinicalText>>,
}

/// A grant.
pub struct Grant {
    /// Random id.
    pub id: GrantId,
    /// For whose records.
    pub patient: PatientId,
    /// The session or key that has it.
    pub key: KeyId,
    /// Whose that is.
    pub user: Option<UserId>,
    /// In which role, as a word.
    pub role: String,
    /// For which purpose.
    pub purpose: Purpose,
    /// What it opens.
    pub categories: Vec<Category>,
    /// Why.
    pub reason: Reason,
    /// Why, in words.
    pub text: Phi<ClinicalText>,
    /// From when.
    pub granted_at: Timestamp,
    /// Until when, not included.
    pub expires_at: Timestamp,
    /// What was found of it, if it was reviewed.
    pub review: Option<Review>,
}

/// What is asked for, without the words.
#[derive(Clone)]
pub struct Asked {
    /// Why.
    pub reason: Reason,
    /// What is to be opened.
    pub categories: Vec<Category>,
}

/// The members of a body that are not PHI.
pub const ASKED: &[&str] = &["reason_code", "categories"];
/// The member of a review that is not PHI.
pub const REVIEW: &[&str] = &["verdict"];

/// Reads the body in its two parts. Only an emergency opens what is segregated (42 CFR 2.51).
pub fn read(
    open: &Object,
    guarded: Phi<Object>,
    purpose: Purpose,
) -> Result<(Asked, Phi<ClinicalText>), Problem> {
    let mut fields = Fields::default();
    let reason = fields.take("/reason_code", open.get("reason_code"), |text| {
        let detail = "expected medical-emergency, patient-unable-to-consent, threat-to-life or other";
        Reason::read(text).ok_or(Wrong { code: "not-a-code", detail })
    });
    let categories = categories(open.get("categories"), purpose);
    let categories = fields.keep("/categories", categories);
    let text = guarded.try_map(|object| {
        object.only(&["reason"])?;
        let text = fields.take("/reason", object.get("reason"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        fields.finish()?;
        // What is missing was noted, so this is never wanting.
        text.ok_or(Problem::new(ProblemKind::Invalid))
    })?;
    match (reason, categories) {
        (Some(reason), Some(categories)) => Ok((Asked { reason, categories }, text)),
        // Noted too.
        _ => Err(Problem::new(ProblemKind::Invalid)),
    }
}

fn categories(value: Option<&Value>, purpose: Purpose) -> Result<Vec<Category>, Wrong> {
    const NOT_CATEGORIES: Wrong =
        Wrong { code: "not-a-code", detail: "expected a list of one to five categories" };
    const EMERGENCY: Wrong =
        Wrong { code: "emergency-only", detail: "a segregated category is opened for the purpose ETREAT only" };
    let given = match value {
        None | Some(Value::Null) => return Ok(vec![Category::General]),
        Some(Value::Array(given)) if (1..=Category::ALL.len()).contains(&given.len()) => given,
        Some(_) => return Err(NOT_CATEGORIES),
    };
    let read = |value: &Value| value.as_str().and_then(|text| text.parse::<Category>().ok());
    let mut categories = given.iter().map(read).collect::<Option<Vec<_>>>().ok_or(NOT_CATEGORIES)?;
    categories.sort_unstable();
    categories.dedup();
    let segregated = categories.iter().any(|category| *category != Category::General);
    if segregated && purpose != Purpose::EmergencyTreat { Err(EMERGENCY) } else { Ok(categories) }
}

/// Reads the body of a review in its two parts.
pub fn read_review(
    open: &Object,
    guarded: Phi<Object>,
) -> Result<(Verdict, Phi<Option<ClinicalText>>), Problem> {
    let mut fields = Fields::default();
    let verdict = fields.take("/verdict", open.get("verdict"), |text| {
        let wrong = Wrong { code: "not-a-code", detail: "expected justified or not-justified" };
        Verdict::read(text).ok_or(wrong)
    });
    let text = guarded.try_map(|object| {
        object.only(&["review"])?;
        let text = fields.take_if_given("/review", object.get("review"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        fields.finish().map(|()| text)
    })?;
    // What is missing was noted, so this is never wanting.
    verdict.map(|verdict| (verdict, text)).ok_or(Problem::new(ProblemKind::Invalid))
}
