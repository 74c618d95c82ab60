//! What is shown of the ledger of purposes: codes, opaque ids and times, and no words that anybody wrote.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Shown, Views, too_little};
use residency_policy::{ConsentId, KeyId, OrgId, Problem, RecordId, RequestId, UserId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::purposes::model::{Done, Entry, Said, What};

/// One thing that happened to a patient's records: an access, or what the patient said of a purpose.
#[derive(Serialize, ToSchema)]
#[schema(as = PurposeEvent)]
#[serde(deny_unknown_fields)]
pub struct PurposeEventView {
    /// The id of the access record, or one of its own.
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The organisation that acted, or that was allowed it.
    #[schema(value_type = String, format = Uuid)]
    organisation_id: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    purpose: String,
    /// What was done or refused; null of a consent.
    #[schema(required)]
    access: Option<PurposeAccess>,
    /// What became of a consent; null of an access.
    #[schema(required)]
    consent: Option<PurposeConsent>,
}

/// What was done or refused.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeAccess {
    /// The credential that was used.
    #[schema(value_type = String, format = Uuid)]
    key_id: KeyId,
    /// Whose that is; null where it is no person's.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    user_id: Option<UserId>,
    /// In which role.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "provider")]
    role: String,
    /// What was done.
    #[schema(
        pattern = "^(create|read|update|delete|search|list|export|print|sign-in|policy|key)$",
        example = "read"
    )]
    action: String,
    /// To what kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "encounter")]
    entity: String,
    /// To which record; null of what was done to several.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    entity_id: Option<RecordId>,
    /// How it ended.
    #[schema(pattern = "^(done|not-found|refused)$", example = "done")]
    outcome: String,
    /// Whether the caller had broken the glass for it. Why is put before those who review it.
    break_glass: bool,
    /// In which request.
    #[schema(value_type = String, format = Uuid)]
    request_id: RequestId,
}

/// What became of a consent.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeConsent {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    id: ConsentId,
    /// What became of it.
    #[schema(pattern = "^(granted|revoked|expired)$", example = "granted")]
    event: &'static str,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "general"
    )]
    category: String,
    /// Which version of the text was agreed to.
    #[schema(pattern = "^[a-z0-9-]{1,63}$", example = "part2-2026-02")]
    text_version: String,
    /// The credential that entered it; null of an expiry.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    recorded_by: Option<KeyId>,
}

/// One thing that happened to a patient's records, as the patient is told it: by which organisation and in which role, and
/// without anybody's id or credential.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeEventListItem {
    /// The id of the access record, or one of its own.
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The organisation that acted, or that was allowed it.
    #[schema(value_type = String, format = Uuid)]
    organisation_id: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    purpose: String,
    /// What was done or refused; null of a consent.
    #[schema(required)]
    access: Option<PurposeAccessListItem>,
    /// What became of a consent; null of an access.
    #[schema(required)]
    consent: Option<PurposeConsentListItem>,
}

/// What was done or refused, without who did it, in which request and to which record.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeAccessListItem {
    /// In which role.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "provider")]
    role: String,
    /// What was done.
    #[schema(
        pattern = "^(create|read|update|delete|search|list|export|print|sign-in|policy|key)$",
        example = "read"
    )]
    action: String,
    /// To what kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "encounter")]
    entity: String,
    /// How it ended.
    #[schema(pattern = "^(done|not-found|refused)$", example = "done")]
    outcome: String,
    /// Whether the caller had broken the glass for it.
    break_glass: bool,
}

/// What became of a consent, without who entered it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeConsentListItem {
    /// Which.
    #[schema(value_type = String, format = Uuid)]
    id: ConsentId,
    /// What became of it.
    #[schema(pattern = "^(granted|revoked|expired)$", example = "granted")]
    event: &'static str,
    /// The legal category of the PHI that it is about.
    #[schema(
        pattern = "^(general|psychotherapy-notes|substance-use|reproductive|minor-sensitive)$",
        example = "general"
    )]
    category: String,
    /// Which version of the text was agreed to.
    #[schema(pattern = "^[a-z0-9-]{1,63}$", example = "part2-2026-02")]
    text_version: String,
}

/// One thing that happened, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyPurposeEvent {
    /// For those who review.
    Full(Box<PurposeEventView>),
    /// For the patient.
    Listed(Box<PurposeEventListItem>),
}

/// A page of the ledger, the last first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposePage {
    /// What happened.
    pub data: Vec<AnyPurposeEvent>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyPurposeEvent {
    const ENTITY: Entity = Entity::AuditEvent;
}

impl AnyPurposeEvent {
    /// Shows one thing that happened.
    pub(super) fn of(entry: Entry, shown: &Shown<Self>) -> Result<Self, Problem> {
        match shown {
            Shown::Full(full) => Ok(Self::Full(Box::new(PurposeEventView::of(entry, *full)))),
            Shown::Listed(listed) => Ok(Self::Listed(Box::new(PurposeEventListItem::of(entry, *listed)))),
            Shown::Token(_) => Err(too_little()),
        }
    }
}

impl PurposeEventView {
    fn of(entry: Entry, _: shown::Full<AnyPurposeEvent>) -> Self {
        let (access, consent) = match entry.what {
            What::Access(done) => (Some(PurposeAccess::of(done)), None),
            What::Consent(said) => (None, Some(PurposeConsent::of(said))),
        };
        Self {
            id: entry.id,
            at: entry.at,
            organisation_id: entry.organisation,
            purpose: entry.purpose,
            access,
            consent,
        }
    }
}

impl PurposeEventListItem {
    fn of(entry: Entry, _: shown::Listed<AnyPurposeEvent>) -> Self {
        let (access, consent) = match entry.what {
            What::Access(done) => (Some(PurposeAccessListItem::of(done)), None),
            What::Consent(said) => (None, Some(PurposeConsentListItem::of(said))),
        };
        Self {
            id: entry.id,
            at: entry.at,
            organisation_id: entry.organisation,
            purpose: entry.purpose,
            access,
            consent,
        }
    }
}

impl PurposeAccessListItem {
    fn of(done: Done) -> Self {
        Self {
            role: done.role,
            action: done.action,
            entity: done.entity,
            outcome: done.outcome,
            break_glass: done.under_grant,
        }
    }
}

impl PurposeConsentListItem {
    fn of(said: Said) -> Self {
        Self {
            id: said.consent,
            event: said.event.as_str(),
            category: said.category,
            text_version: said.text_version,
        }
    }
}

impl PurposeAccess {
    fn of(done: Done) -> Self {
        Self {
            key_id: done.key,
            user_id: done.user,
            role: done.role,
            action: done.action,
            entity: done.entity,
            entity_id: done.record,
            outcome: done.outcome,
            break_glass: done.under_grant,
            request_id: done.request,
        }
    }
}

impl PurposeConsent {
    fn of(said: Said) -> Self {
        Self {
            id: said.consent,
            event: said.event.as_str(),
            category: said.category,
            text_version: said.text_version,
            recorded_by: said.by,
        }
    }
}
