//! What is shown of a consent, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Shown, Views, too_little};

use residency_policy::{ConsentId, KeyId, OrgId, PatientId, Problem};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::consents::model::Consent;
use crate::encounters::model::ClinicalText;

/// A consent in the ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = Consent)]
#[serde(deny_unknown_fields)]
pub struct ConsentView {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: ConsentId,
    /// Whose consent.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// The organisation that is allowed it.
    #[schema(value_type = String, format = Uuid)]
    grantee_org_id: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    purpose: &'static str,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "substance-use"
    )]
    category: &'static str,
    /// Whether it holds now. Of two about the same, the word that was entered last counts.
    #[schema(pattern = "^(in-force|expired|revoked)$", example = "in-force")]
    state: &'static str,
    /// How it was given.
    #[schema(pattern = "^(signature|verbal|import)$", example = "signature")]
    evidence: &'static str,
    /// Where the evidence is found.
    #[schema(required, value_type = Option<String>)]
    reference: Option<ClinicalText>,
    /// Which version of the text was agreed to.
    #[schema(pattern = "^[a-z0-9-]{1,63}$", example = "part2-2026-02")]
    text_version: String,
    /// In which language (BCP 47).
    #[schema(max_length = 35, example = "en-US")]
    locale: String,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    /// From when it no longer holds; null: until it is revoked.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    /// The credential that entered it.
    #[schema(value_type = String, format = Uuid)]
    recorded_by: KeyId,
    /// When its revocation was entered.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The credential that entered the revocation.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    revoked_by: Option<KeyId>,
    /// How it was taken back.
    #[schema(required, pattern = "^(signature|verbal|import)$")]
    revoked_evidence: Option<&'static str>,
    /// Where the evidence of that is found.
    #[schema(required, value_type = Option<String>)]
    revoked_reference: Option<ClinicalText>,
}

/// A consent without its evidence: what it allows, and whether it holds. How, when, in which words and language it was
/// given or taken back, who entered it and where that is found are left out.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentListItem {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: ConsentId,
    /// Whose consent.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// The organisation that is allowed it.
    #[schema(value_type = String, format = Uuid)]
    grantee_org_id: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    purpose: &'static str,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "substance-use"
    )]
    category: &'static str,
    /// Whether it holds now. Of two about the same, the word that was entered last counts.
    #[schema(pattern = "^(in-force|expired|revoked)$", example = "in-force")]
    state: &'static str,
    /// From when it no longer holds; null: until it is revoked.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A consent, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyConsent {
    /// For those who treat, and those who keep the ledger.
    Full(Box<ConsentView>),
    /// For those who only hand out and test.
    Listed(Box<ConsentListItem>),
}

/// A page of consents, the last entered first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentPage {
    /// The consents.
    pub data: Vec<AnyConsent>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyConsent {
    const ENTITY: Entity = Entity::Consent;
}

impl AnyConsent {
    /// Shows a consent as it stands at an instant, still under guard.
    pub(super) fn of(consent: Consent, shown: &Shown<Self>, at: Timestamp) -> Result<Phi<Self>, Problem> {
        match shown {
            Shown::Full(full) => Ok(ConsentView::of(consent, *full, at).map(|view| Self::Full(Box::new(view)))),
            Shown::Listed(listed) => {
                Ok(Phi::new(Self::Listed(Box::new(ConsentListItem::of(&consent, *listed, at)))))
            }
            Shown::Token(_) => Err(too_little()),
        }
    }
}

impl ConsentView {
    /// Shows a consent with its evidence, still under guard.
    pub fn of(consent: Consent, _: shown::Full<AnyConsent>, at: Timestamp) -> Phi<Self> {
        let state = consent.state(at);
        let Consent { id, patient, terms, reference, recorded_at, recorded_by, revocation } = consent;
        let revoked = revocation.as_ref().map(|revocation| (revocation.at, revocation.by, revocation.evidence));
        let revoked_reference = revocation.map_or(Phi::new(None), |revocation| revocation.reference);
        reference.zip(revoked_reference).map(|(reference, revoked_reference)| Self {
            id,
            patient_id: patient,
            grantee_org_id: terms.grantee,
            purpose: terms.purpose.as_str(),
            category: terms.category.name(),
            state,
            evidence: terms.evidence.as_str(),
            reference,
            text_version: terms.text_version.as_str().to_owned(),
            locale: terms.locale.as_str().to_owned(),
            granted_at: terms.granted_at,
            expires_at: terms.expires_at,
            recorded_at,
            recorded_by,
            revoked_at: revoked.map(|(at, _, _)| at),
            revoked_by: revoked.map(|(_, by, _)| by),
            revoked_evidence: revoked.map(|(_, _, evidence)| evidence.as_str()),
            revoked_reference,
        })
    }
}

impl ConsentListItem {
    fn of(consent: &Consent, _: shown::Listed<AnyConsent>, at: Timestamp) -> Self {
        let terms = &consent.terms;
        Self {
            id: consent.id,
            patient_id: consent.patient,
            grantee_org_id: terms.grantee,
            purpose: terms.purpose.as_str(),
            category: terms.category.name(),
            state: consent.state(at),
            expires_at: terms.expires_at,
        }
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
