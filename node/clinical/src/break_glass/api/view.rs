//! What is shown of a break-glass grant, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{Full, Views};
use residency_policy::{GrantId, KeyId, PatientId, UserId};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::break_glass::model::Grant;
use crate::encounters::model::ClinicalText;

/// A break-glass grant.
#[derive(Serialize, ToSchema)]
#[schema(as = BreakGlass)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassView {
    /// Random id; access records under the grant carry it.
    #[schema(value_type = String, format = Uuid)]
    id: GrantId,
    /// For whose records.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// The session or key that has it.
    #[schema(value_type = String, format = Uuid)]
    key_id: KeyId,
    /// Whose that is.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    user_id: Option<UserId>,
    /// In which role.
    #[schema(example = "provider")]
    role: String,
    /// For which purpose.
    #[schema(pattern = "^(ETREAT|BTG)$", example = "ETREAT")]
    purpose: &'static str,
    /// What it opens.
    #[schema(min_items = 1, max_items = 5, example = json!(["general"]))]
    categories: Vec<&'static str>,
    /// Why, as a code.
    #[schema(
        pattern = "^(medical-emergency|patient-unable-to-consent|threat-to-life|other)$",
        example = "medical-emergency"
    )]
    reason_code: &'static str,
    /// Why, in words.
    #[schema(value_type = String)]
    reason: ClinicalText,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    granted_at: Timestamp,
    /// Until when, not included.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When it was reviewed.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    reviewed_at: Option<Timestamp>,
    /// The credential that reviewed it.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    reviewed_by: Option<KeyId>,
    /// What was found.
    #[schema(required, pattern = "^(justified|not-justified)$")]
    verdict: Option<&'static str>,
    /// What was found, in words.
    #[schema(required, value_type = Option<String>)]
    review: Option<ClinicalText>,
}

/// A page of grants that nobody has reviewed, newest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassPage {
    /// The grants.
    pub data: Vec<BreakGlassView>,
    /// How the list goes on.
    pub page: PageInfo,
}

/// There is one view of it, which shows everything.
impl Views for BreakGlassView {
    const ENTITY: Entity = Entity::BreakGlass;
}

impl BreakGlassView {
    /// Shows a grant, still under guard.
    pub fn of(grant: Grant, _: Full<Self>) -> Phi<Self> {
        let Grant { id, patient, key, user, role, purpose, categories, reason, text, .. } = grant;
        let (granted_at, expires_at) = (grant.granted_at, grant.expires_at);
        let reviewed = grant.review.as_ref().map(|review| (review.at, review.by, review.verdict.as_str()));
        let found = grant.review.map_or(Phi::new(None), |review| review.text);
        text.zip(found).map(|(text, found)| Self {
            id,
            patient_id: patient,
            key_id: key,
            user_id: user,
            role,
            purpose: purpose.as_str(),
            categories: categories.iter().map(|category| category.name()).collect(),
            reason_code: reason.as_str(),
            reason: text,
            granted_at,
            expires_at,
            reviewed_at: reviewed.map(|(at, _, _)| at),
            reviewed_by: reviewed.map(|(_, by, _)| by),
            verdict: reviewed.map(|(_, _, verdict)| verdict),
            review: found,
        })
    }
}

/// Why the glass is to be broken, and for what.
#[derive(Serialize, ToSchema)]
#[schema(as = NewBreakGlass)]
#[serde(deny_unknown_fields)]
pub struct NewBreakGlassBody {
    /// Why, as a code.
    #[schema(
        pattern = "^(medical-emergency|patient-unable-to-consent|threat-to-life|other)$",
        example = "medical-emergency"
    )]
    pub reason_code: String,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 1000, example = "unconscious, no relative can be reached")]
    pub reason: String,
    /// What is to be opened; the general category if not given. A segregated one for ETREAT only.
    #[schema(min_items = 1, max_items = 5, example = json!(["general"]))]
    pub categories: Option<Vec<String>>,
}

/// What a review found.
#[derive(Serialize, ToSchema)]
#[schema(as = NewReview)]
#[serde(deny_unknown_fields)]
pub struct NewReviewBody {
    /// What was found.
    #[schema(pattern = "^(justified|not-justified)$", example = "justified")]
    pub verdict: String,
    /// The same in words.
    #[schema(min_length = 1, max_length = 1000)]
    pub review: Option<String>,
}
