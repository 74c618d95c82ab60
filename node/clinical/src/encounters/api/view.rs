//! What each role is shown of an encounter, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Views};
use residency_policy::{EncounterId, KeyId, PatientId, RecordId};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::encounters::model::{Addendum, ClinicalText, Encounter, Heading, State};
use crate::together;
use crate::values::Icd10;

/// An encounter, as those see it who treat.
#[derive(Serialize, ToSchema)]
#[schema(as = Encounter)]
#[serde(deny_unknown_fields)]
pub struct EncounterView {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: EncounterId,
    /// Whose visit.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `open`, then `signed` or `cancelled`; nothing leads back.
    #[schema(pattern = "^(open|signed|cancelled)$", example = "open")]
    status: &'static str,
    /// The legal category.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "general"
    )]
    category: &'static str,
    /// Where the patient physically was.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    service_jurisdiction: &'static str,
    /// The clinician's National Provider Identifier.
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    provider_npi: String,
    /// Why the patient came.
    #[schema(required, value_type = Option<String>)]
    reason: Option<ClinicalText>,
    /// The note.
    #[schema(required, value_type = Option<String>)]
    note: Option<ClinicalText>,
    /// ICD-10-CM codes, most important first.
    #[schema(value_type = Vec<String>, max_items = 12, example = json!(["J06.9"]))]
    diagnoses: Vec<Icd10>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When it was signed.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
    /// The credential that signed.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    signed_by: Option<KeyId>,
    /// Keyed digest (HMAC-SHA-256 under the region's key) of what was signed, in hex. Keyed, because a plain hash of
    /// a short note can be guessed.
    #[schema(required, pattern = "^[0-9a-f]{64}$")]
    content_digest: Option<String>,
    /// Raised by every change; the `ETag` without its quotes.
    #[schema(minimum = 1)]
    version: i32,
    /// What was said after it was signed, oldest first.
    #[schema(max_items = 200)]
    addenda: Vec<AddendumView>,
}

/// What was said of a signed encounter later.
#[derive(Serialize, ToSchema)]
#[schema(as = Addendum)]
#[serde(deny_unknown_fields)]
pub struct AddendumView {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: RecordId,
    /// The text.
    #[schema(value_type = String, min_length = 1)]
    body: ClinicalText,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The credential that added it.
    #[schema(value_type = String, format = Uuid)]
    by: KeyId,
}

/// An encounter without what is clinical.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncounterListItem {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: EncounterId,
    /// Whose visit.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `open`, `signed` or `cancelled`.
    #[schema(pattern = "^(open|signed|cancelled)$")]
    status: String,
    /// Where the patient physically was.
    #[schema(pattern = "^US-[A-Z]{2}$")]
    service_jurisdiction: String,
    /// The clinician's National Provider Identifier.
    #[schema(pattern = "^[12][0-9]{9}$")]
    provider_npi: String,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When it was signed.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
    /// Raised by every change.
    #[schema(minimum = 1)]
    version: i32,
}

/// An encounter, as an auditor sees it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncounterToken {
    /// Random id.
    #[schema(value_type = String, format = Uuid)]
    id: EncounterId,
    /// Whose visit.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `open`, `signed` or `cancelled`.
    #[schema(pattern = "^(open|signed|cancelled)$")]
    status: String,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    /// When it was signed.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    signed_at: Option<Timestamp>,
}

/// An encounter, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyEncounter {
    /// For those who treat.
    Full(Box<EncounterView>),
    /// For their staff.
    Listed(EncounterListItem),
    /// For those who check.
    Token(EncounterToken),
}

/// An encounter in a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyHeading {
    /// For those who treat, and their staff.
    Listed(EncounterListItem),
    /// For those who check.
    Token(EncounterToken),
}

/// A page of encounters, newest first. None of them is shown with what is clinical.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncounterPage {
    /// The encounters, as the caller's role is shown them.
    pub data: Vec<AnyHeading>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyEncounter {
    const ENTITY: Entity = Entity::Encounter;
}

/// Everything of an encounter may be shown.
pub(super) type Full = shown::Full<AnyEncounter>;

impl EncounterView {
    /// Shows an encounter with its addenda, still under guard.
    pub fn of(encounter: Encounter, addenda: Vec<Addendum>, full: Full) -> Phi<Self> {
        let Encounter { id, patient, category, state, setting, content, opened_at, version } = encounter;
        let status = state.as_str();
        let signature = match state {
            State::Signed(signature) => Some(signature),
            State::Open | State::Cancelled => None,
        };
        let addenda = together(addenda.into_iter().map(|addendum| AddendumView::of(addendum, full)).collect());
        content.zip(addenda).map(|(content, addenda)| Self {
            id,
            patient_id: patient,
            status,
            category: category.name(),
            service_jurisdiction: setting.service.code(),
            provider_npi: setting.provider.as_str().to_owned(),
            reason: content.reason,
            note: content.note,
            diagnoses: content.diagnoses,
            opened_at,
            signed_at: signature.as_ref().map(|signature| signature.at),
            signed_by: signature.as_ref().map(|signature| signature.by),
            content_digest: signature.map(|signature| hex(&signature.digest)),
            version,
            addenda,
        })
    }
}

impl AddendumView {
    /// Shows an addendum, still under guard.
    pub fn of(addendum: Addendum, _: Full) -> Phi<Self> {
        let Addendum { id, body, at, by } = addendum;
        body.map(|body| Self { id, body, at, by })
    }
}

impl EncounterListItem {
    /// Shows an encounter to somebody who works a list.
    pub fn of(heading: Heading, _: shown::Listed<AnyEncounter>) -> Self {
        Self {
            id: heading.id,
            patient_id: heading.patient,
            status: heading.status,
            service_jurisdiction: heading.service,
            provider_npi: heading.provider,
            opened_at: heading.opened_at,
            signed_at: heading.signed_at,
            version: heading.version,
        }
    }
}

impl EncounterToken {
    /// Shows an encounter to somebody who checks.
    pub fn of(heading: Heading, _: shown::Token<AnyEncounter>) -> Self {
        Self {
            id: heading.id,
            patient_id: heading.patient,
            status: heading.status,
            opened_at: heading.opened_at,
            signed_at: heading.signed_at,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|d| char::from_digit(d.into(), 16))
        .collect()
}

/// An encounter to be opened.
#[derive(Serialize, ToSchema)]
#[schema(as = NewEncounter)]
#[serde(deny_unknown_fields)]
pub struct NewEncounterBody {
    /// Where the patient physically is: licensure, consent and prescribing follow it.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub service_jurisdiction: String,
    /// The clinician's National Provider Identifier, with its check digit.
    #[schema(pattern = "^[12][0-9]{9}$", example = "1234567893")]
    pub provider_npi: String,
    /// Why the patient came.
    #[schema(min_length = 1, max_length = 1000, example = "cough")]
    pub reason: Option<String>,
    /// The note.
    #[schema(min_length = 1, max_length = 50000)]
    pub note: Option<String>,
    /// ICD-10-CM codes, most important first.
    #[schema(max_items = 12, example = json!(["J06.9"]))]
    pub diagnoses: Option<Vec<String>>,
}

/// What is to change (RFC 7396) in an open encounter.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncounterPatch {
    /// `cancelled`: it did not take place. A signature has a route of its own.
    #[schema(pattern = "^cancelled$", nullable = false)]
    pub status: Option<String>,
    /// Where the patient physically is.
    #[schema(pattern = "^US-[A-Z]{2}$", nullable = false)]
    pub service_jurisdiction: Option<String>,
    /// The clinician's National Provider Identifier.
    #[schema(pattern = "^[12][0-9]{9}$", nullable = false)]
    pub provider_npi: Option<String>,
    /// Why the patient came.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
    /// The note.
    #[schema(min_length = 1, max_length = 50000, example = "Lungs clear.")]
    pub note: Option<String>,
    /// ICD-10-CM codes, most important first.
    #[schema(max_items = 12)]
    pub diagnoses: Option<Vec<String>>,
}

/// An addendum to be added.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAddendum)]
#[serde(deny_unknown_fields)]
pub struct NewAddendumBody {
    /// The text.
    #[schema(min_length = 1, max_length = 50000, example = "Culture came back negative.")]
    pub body: String,
}
