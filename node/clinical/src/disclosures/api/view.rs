//! What is shown of a disclosure.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Shown, Views, too_little};
use residency_policy::{OrgId, Problem, RecordId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::disclosures::store::Disclosed;

/// One disclosure: when, to whom, what and why (45 CFR 164.528(b)(2)).
#[derive(Serialize, ToSchema)]
#[schema(as = Disclosure)]
#[serde(deny_unknown_fields)]
pub struct DisclosureView {
    /// The id of the access record.
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The organisation that it was disclosed to.
    #[schema(value_type = String, format = Uuid)]
    organisation_id: OrgId,
    /// The role of who was shown it.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "auditor")]
    role: String,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "PUBHLTH")]
    purpose: String,
    /// How it was shown.
    #[schema(pattern = "^(read|search|list|export|print)$", example = "read")]
    action: String,
    /// What kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "encounter")]
    entity: String,
    /// Which record; null of what was shown with others.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    entity_id: Option<RecordId>,
    /// Of which legal category; null of what was recorded before that was noted.
    #[schema(required, pattern = "^[a-z-]{1,40}$", example = "general")]
    category: Option<String>,
}

/// One disclosure, as the patient is told it: to which organisation and to which role.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosureListItem {
    /// The id of the access record.
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The organisation that it was disclosed to.
    #[schema(value_type = String, format = Uuid)]
    organisation_id: OrgId,
    /// The role of who was shown it.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "auditor")]
    role: String,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "PUBHLTH")]
    purpose: String,
    /// How it was shown.
    #[schema(pattern = "^(read|search|list|export|print)$", example = "read")]
    action: String,
    /// What kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "encounter")]
    entity: String,
    /// Of which legal category; null of what was recorded before that was noted.
    #[schema(required, pattern = "^[a-z-]{1,40}$", example = "general")]
    category: Option<String>,
}

/// One disclosure, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyDisclosure {
    /// For those who review.
    Full(DisclosureView),
    /// For the patient.
    Listed(DisclosureListItem),
}

/// A page of the accounting, the last first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisclosurePage {
    /// What was disclosed.
    pub data: Vec<AnyDisclosure>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyDisclosure {
    const ENTITY: Entity = Entity::AuditEvent;
}

impl AnyDisclosure {
    /// Shows one disclosure.
    pub(super) fn of(of: Disclosed, shown: &Shown<Self>) -> Result<Self, Problem> {
        match shown {
            Shown::Full(full) => Ok(Self::Full(DisclosureView::of(of, *full))),
            Shown::Listed(listed) => Ok(Self::Listed(DisclosureListItem::of(of, *listed))),
            Shown::Token(_) => Err(too_little()),
        }
    }
}

impl DisclosureView {
    fn of(of: Disclosed, _: shown::Full<AnyDisclosure>) -> Self {
        Self {
            id: of.id,
            at: of.at,
            organisation_id: of.organisation,
            role: of.role,
            purpose: of.purpose,
            action: of.action,
            entity: of.entity,
            entity_id: of.record,
            category: of.category,
        }
    }
}

impl DisclosureListItem {
    fn of(of: Disclosed, _: shown::Listed<AnyDisclosure>) -> Self {
        Self {
            id: of.id,
            at: of.at,
            organisation_id: of.organisation,
            role: of.role,
            purpose: of.purpose,
            action: of.action,
            entity: of.entity,
            category: of.category,
        }
    }
}
