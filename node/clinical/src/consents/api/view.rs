//! What is shown of a consent, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Shape;
use node_access::page::PageInfo;
use residency_policy::{ConsentId, KeyId, OrgId, PatientId};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::consents::model::{Consent, Evidence};
use crate::encounters::model::ClinicalText;

/// A consent in the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = Consent)]
#[serde(deny_unknown_fields)]
pub struct ConsentView {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    pub id: ConsentId,
    /// Whose consent.
    #[schema(value_type = String, format = Uuid)]
    pub patient_id: PatientId,
    /// The organisation that is allowed it.
    #[schema(value_type = String, format = Uuid)]
    pub grantee_org_id: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    pub purpose: &'static str,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "substance-use"
    )]
    pub category: &'static str,
    /// Whether it holds now. Of two about the same, the word that was entered last counts.
    #[schema(pattern = "^(in-force|expired|revoked)$", example = "in-force")]
    pub state: &'static str,
    /// How it was given.
    #[schema(pattern = "^(signature|verbal|import)$", example = "signature")]
    pub evidence: &'static str,
    /// Where the evidence is found. Left out for those who only hand out and test.
    #[schema(required, value_type = Option<String>)]
    pub reference: Option<ClinicalText>,
    /// Which version of the text was agreed to.
    #[schema(pattern = "^[a-z0-9-]{1,63}$", example = "part2-2026-02")]
    pub text_version: String,
    /// In which language (BCP 47).
    #[schema(max_length = 35, example = "en-US")]
    pub locale: String,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub granted_at: Timestamp,
    /// From when it no longer holds; null: until it is revoked.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    /// The credential that entered it.
    #[schema(value_type = String, format = Uuid)]
    pub recorded_by: KeyId,
    /// When its revocation was entered.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// The credential that entered the revocation.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub revoked_by: Option<KeyId>,
    /// How it was taken back.
    #[schema(required, pattern = "^(signature|verbal|import)$")]
    pub revoked_evidence: Option<&'static str>,
    /// Where the evidence of that is found.
    #[schema(required, value_type = Option<String>)]
    pub revoked_reference: Option<ClinicalText>,
}

/// A page of consents, the last entered first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentPage {
    /// The consents.
    pub data: Vec<ConsentView>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl ConsentView {
    /// Shows a consent as it stands at an instant, still under guard.
    pub fn of(consent: Consent, shape: Shape, at: Timestamp) -> Phi<Self> {
        let state = consent.state(at);
        let Consent { id, patient, terms, reference, recorded_at, recorded_by, revocation } = consent;
        let revoked = revocation.as_ref().map(|r| (r.at, r.by, r.evidence));
        let revoked_reference = revocation.map_or(Phi::new(None), |revocation| revocation.reference);
        let shown = |text: Option<ClinicalText>| text.filter(|_| shape == Shape::Full);
        reference.zip(revoked_reference).map(|(reference, revoked_reference)| Self {
            id,
            patient_id: patient,
            grantee_org_id: terms.grantee,
            purpose: terms.purpose.as_str(),
            category: terms.category.name(),
            state,
            evidence: terms.evidence.as_str(),
            reference: shown(reference),
            text_version: terms.text_version.as_str().to_owned(),
            locale: terms.locale.as_str().to_owned(),
            granted_at: terms.granted_at,
            expires_at: terms.expires_at,
            recorded_at,
            recorded_by,
            revoked_at: revoked.map(|(at, _, _)| at),
            revoked_by: revoked.map(|(_, by, _)| by),
            revoked_evidence: revoked.map(|(_, _, evidence)| Evidence::as_str(evidence)),
            revoked_reference: shown(revoked_reference),
        })
    }
}

/// A consent to be entered.
#[derive(Serialize, ToSchema)]
#[schema(as = NewConsent)]
#[serde(deny_unknown_fields)]
pub struct NewConsentBody {
    /// The organisation that is allowed it; the caller's own if not given.
    #[schema(format = Uuid)]
    pub grantee_org_id: Option<String>,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    pub purpose: String,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "substance-use"
    )]
    pub category: String,
    /// How it was given.
    #[schema(pattern = "^(signature|verbal|import)$", example = "signature")]
    pub evidence: String,
    /// Where the evidence is found.
    #[schema(min_length = 1, max_length = 1000, example = "form in the paper chart")]
    pub reference: Option<String>,
    /// Which version of the text was agreed to.
    #[schema(pattern = "^[a-z0-9-]{1,63}$", example = "part2-2026-02")]
    pub text_version: String,
    /// In which language (BCP 47).
    #[schema(min_length = 2, max_length = 35, example = "en-US")]
    pub locale: String,
    /// When it was given, at most 50 years ago; now if not given.
    #[schema(format = DateTime)]
    pub granted_at: Option<String>,
    /// From when it no longer holds, at most 50 years from now.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// How a consent was taken back.
#[derive(Serialize, ToSchema)]
#[schema(as = NewRevocation)]
#[serde(deny_unknown_fields)]
pub struct NewRevocationBody {
    /// How it was taken back.
    #[schema(pattern = "^(signature|verbal|import)$", example = "verbal")]
    pub evidence: String,
    /// Where the evidence is found.
    #[schema(min_length = 1, max_length = 1000)]
    pub reference: Option<String>,
}
