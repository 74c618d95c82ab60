//! What is known of a consent. The words that tell where its evidence is exist in the clear only within [`Phi`].

use icu_locale_core::Locale;
use jiff::{Span, Timestamp, ToSpan as _};
use node_access::body::Object;
use residency_policy::{Category, ConsentId, KeyId, Label, OrgId, PatientId, Problem, ProblemKind, Purpose};
use storage::Phi;

use crate::encounters::model::ClinicalText;
use crate::values::{Fields, Wrong, words};

words! {
    /// How a consent was given or taken back.
    Evidence {
        /// It was signed.
        Signature = "signature",
        /// It was said, to somebody who wrote it down.
        Verbal = "verbal",
        /// Another system has it.
        Import = "import",
    }
}

/// A language tag (BCP 47), in its canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageTag(String);

impl LanguageTag {
    /// The longest tag, in characters (RFC 5646 section 4.4.1).
    const LEN_MAX: usize = 35;

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a tag that names a language.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const NOT_A_TAG: Wrong = Wrong { code: "format", detail: "expected a BCP 47 tag such as en-US" };
        let locale: Locale = text.parse().map_err(|_| NOT_A_TAG)?;
        let tag = locale.to_string();
        let named = !locale.id.language.is_unknown() && tag.len() <= Self::LEN_MAX;
        if named { Ok(Self(tag)) } else { Err(NOT_A_TAG) }
    }
}

/// What is allowed to whom. In the clear in the database: the ledger is looked at by every decision.
#[derive(Clone)]
pub struct Terms {
    /// The organisation that is allowed it.
    pub grantee: OrgId,
    /// For what.
    pub purpose: Purpose,
    /// The legal category of the PHI that it is about.
    pub category: Category,
    /// How it was given.
    pub evidence: Evidence,
    /// Which version of the text was agreed to.
    pub text_version: Label,
    /// In which language.
    pub locale: LanguageTag,
    /// When it was given.
    pub granted_at: Timestamp,
    /// From when it no longer holds.
    pub expires_at: Option<Timestamp>,
}

/// That it was taken back.
pub struct Revocation {
    /// When it was entered.
    pub at: Timestamp,
    /// With which credential.
    pub by: KeyId,
    /// How it was taken back.
    pub evidence: Evidence,
    /// Where the evidence is found.
    pub reference: Phi<Option<ClinicalText>>,
}

/// A consent.
pub struct Consent {
    /// Random id.
    pub id: ConsentId,
    /// Whose.
    pub patient: PatientId,
    /// What is allowed to whom.
    pub terms: Terms,
    /// Where the evidence is found.
    pub reference: Phi<Option<ClinicalText>>,
    /// When it was entered.
    pub recorded_at: Timestamp,
    /// With which credential.
    pub recorded_by: KeyId,
    /// That it was taken back, if it was.
    pub revocation: Option<Revocation>,
}

impl Consent {
    /// Whether it holds at an instant, as a word on the wire.
    pub fn state(&self, at: Timestamp) -> &'static str {
        match (&self.revocation, self.terms.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(until)) if until <= at => "expired",
            (None, _) => "in-force",
        }
    }
}

/// The members of a new consent that are not PHI.
pub const TERMS: &[&str] = &[
    "grantee_org_id",
    "purpose",
    "category",
    "evidence",
    "text_version",
    "locale",
    "granted_at",
    "expires_at",
];
/// The member of a revocation that is not PHI.
pub const REVOCATION: &[&str] = &["evidence"];

/// A consent that is older is not taken, nor one that holds for longer.
const YEARS_MAX: i64 = 50;
const NOT_EVIDENCE: Wrong = Wrong { code: "not-a-code", detail: "expected signature, verbal or import" };

/// Reads the body of a new consent in its two parts. Who is allowed it is the caller's own organisation unless said.
pub fn read(
    open: &Object,
    guarded: Phi<Object>,
    own: OrgId,
    now: Timestamp,
) -> Result<(Terms, Phi<Option<ClinicalText>>), Problem> {
    let mut fields = Fields::default();
    let grantee = fields.take_if_given("/grantee_org_id", open.get("grantee_org_id"), |text| {
        text.parse().map_err(|_| Wrong { code: "format", detail: "expected an id" })
    });
    let purpose = fields.take("/purpose", open.get("purpose"), |text| {
        let wrong = Wrong { code: "not-a-code", detail: "expected a code of HL7 v3-ActReason such as TREAT" };
        text.parse().map_err(|_| wrong)
    });
    let category = fields.take("/category", open.get("category"), |text| {
        let detail = "expected general, psychotherapy-notes, substance-use, reproductive or minor-sensitive";
        text.parse().map_err(|_| Wrong { code: "not-a-code", detail })
    });
    let evidence = evidence(&mut fields, open);
    let text_version = fields.take("/text_version", open.get("text_version"), |text| {
        let wrong = Wrong { code: "format", detail: "expected 1 to 63 characters of a-z, 0-9 and -" };
        text.parse().map_err(|_| wrong)
    });
    let locale = fields.take("/locale", open.get("locale"), LanguageTag::parse);
    let span = Span::new().years(YEARS_MAX);
    let now = kept(now);
    let granted_at = fields
        .take_if_given("/granted_at", open.get("granted_at"), |text| instant(text, before(now, span), now));
    let granted_at = granted_at.unwrap_or(now);
    let expires_at = fields.take_if_given("/expires_at", open.get("expires_at"), |text| {
        instant(text, now, after(now, span)).and_then(|at| {
            let wrong = Wrong { code: "range", detail: "expected an instant that is to come" };
            if at > now { Ok(at) } else { Err(wrong) }
        })
    });
    let reference = reference(fields, guarded)?;
    match (purpose, category, evidence, text_version, locale) {
        (Some(purpose), Some(category), Some(evidence), Some(text_version), Some(locale)) => {
            let grantee = grantee.unwrap_or(own);
            let terms =
                Terms { grantee, purpose, category, evidence, text_version, locale, granted_at, expires_at };
            Ok((terms, reference))
        }
        // What is missing was noted, so this is never reached.
        _ => Err(Problem::new(ProblemKind::Invalid)),
    }
}

/// Reads the body of a revocation in its two parts.
pub fn read_revocation(
    open: &Object,
    guarded: Phi<Object>,
) -> Result<(Evidence, Phi<Option<ClinicalText>>), Problem> {
    let mut fields = Fields::default();
    let evidence = evidence(&mut fields, open);
    let reference = reference(fields, guarded)?;
    // What is missing was noted, so this is never wanting.
    evidence.map(|evidence| (evidence, reference)).ok_or(Problem::new(ProblemKind::Invalid))
}

fn evidence(fields: &mut Fields, open: &Object) -> Option<Evidence> {
    fields.take("/evidence", open.get("evidence"), |text| Evidence::read(text).ok_or(NOT_EVIDENCE))
}

fn reference(mut fields: Fields, guarded: Phi<Object>) -> Result<Phi<Option<ClinicalText>>, Problem> {
    guarded.try_map(|object| {
        object.only(&["reference"])?;
        let reference = fields.take_if_given("/reference", object.get("reference"), |text| {
            ClinicalText::parse(text, ClinicalText::REASON_CHARS_MAX)
        });
        fields.finish().map(|()| reference)
    })
}

/// To the microsecond, as Postgres keeps it.
fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

fn instant(text: &str, from: Timestamp, to: Timestamp) -> Result<Timestamp, Wrong> {
    const NOT_AN_INSTANT: Wrong =
        Wrong { code: "format", detail: "expected an instant such as 2026-11-22T13:00:00Z" };
    const OUT_OF_RANGE: Wrong =
        Wrong { code: "range", detail: "expected an instant of the past 50 years, or of the next for an end" };
    let at = kept(text.parse().map_err(|_| NOT_AN_INSTANT)?);
    if (from..=to).contains(&at) { Ok(at) } else { Err(OUT_OF_RANGE) }
}

fn before(now: Timestamp, span: Span) -> Timestamp {
    after(now, -span)
}

/// Counted in years of 8766 hours: an instant knows no calendar.
fn after(now: Timestamp, span: Span) -> Timestamp {
    let hours = i64::from(span.get_years()) * 8_766;
    now.checked_add(hours.hours()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_an_instant_is_answered_than_the_database_keeps() {
        let at: Timestamp = "2026-11-22T13:00:00.123456789Z".parse().expect("an instant");
        assert_eq!(kept(at).to_string(), "2026-11-22T13:00:00.123456Z");
        assert_eq!(kept(kept(at)), kept(at));
    }

    #[test]
    fn a_tag_names_a_language_and_has_one_spelling() {
        for (text, tag) in [("en-us", "en-US"), ("es", "es"), ("zh-hant-tw", "zh-Hant-TW")] {
            assert_eq!(LanguageTag::parse(text).map(|tag| tag.as_str().to_owned()), Ok(tag.to_owned()));
        }
        for wrong in ["", "und", "english!", "en_", "e", "en-x-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"] {
            assert!(LanguageTag::parse(wrong).is_err(), "{wrong}");
        }
    }
}
