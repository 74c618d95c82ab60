//! What is shown of an access record.

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use node_access::Entity;
use node_access::page::{PageInfo, Position};
use node_access::shown::{self, Shown, Views, too_little};
use residency_policy::Problem;
use serde::Serialize;
use storage::canonical::AuditRecord;
use utoipa::ToSchema;
use uuid::Uuid;

/// One access record, whole: what its leaf in the region's log commits to, and the salt.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
#[serde(deny_unknown_fields)]
pub struct AuditEventView {
    /// The id of the record.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Uuid,
    /// When, to the microsecond.
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
    /// The organisation that acted.
    #[schema(value_type = String, format = Uuid)]
    pub(super) organisation_id: Uuid,
    /// The session or API key that was used.
    #[schema(value_type = String, format = Uuid)]
    pub(super) key_id: Uuid,
    /// Whose that is; null where it is no person's.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) user_id: Option<Uuid>,
    /// In which role.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "provider")]
    pub(super) role: String,
    /// For whom the caller acted, if not for themselves.
    #[schema(required, pattern = "^(organisation|patient)$")]
    pub(super) on_behalf_kind: Option<String>,
    /// Which one.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) on_behalf_of: Option<Uuid>,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    pub(super) purpose: String,
    /// The act's name in the program.
    #[schema(pattern = "^[a-z_.]{1,60}$", example = "patient.read")]
    pub(super) act: String,
    /// What was done.
    #[schema(
        pattern = "^(create|read|update|delete|search|list|export|print|sign-in|policy|key)$",
        example = "read"
    )]
    pub(super) action: String,
    /// To what kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "patient")]
    pub(super) entity: String,
    /// To which record; null of what was done to several.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) entity_id: Option<Uuid>,
    /// Whose record; null of what was done to several people's.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) patient_id: Option<Uuid>,
    /// The legal category of what was asked for.
    #[schema(required, pattern = "^[a-z-]{1,40}$", example = "general")]
    pub(super) category: Option<String>,
    /// Of a search or a list: a keyed digest of what was asked, in hexadecimal.
    #[schema(required, pattern = "^[0-9a-f]{64}$")]
    pub(super) query_mac: Option<String>,
    /// How it ended.
    #[schema(pattern = "^(done|not-found|refused)$", example = "done")]
    pub(super) outcome: String,
    /// The policies that decided, by their ids; null where nobody decided.
    #[schema(required, max_items = 16)]
    pub(super) rules: Option<Vec<String>>,
    /// In which request.
    #[schema(value_type = String, format = Uuid)]
    pub(super) request_id: Uuid,
    /// The address that the request came from.
    #[schema(required, pattern = "^[0-9a-f.:]{2,45}$", example = "192.0.2.1")]
    pub(super) client_ip: Option<String>,
    /// The device that the session was begun on, where it is known.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) device_id: Option<Uuid>,
    /// Where the record rests.
    #[schema(required, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub(super) home: Option<String>,
    /// Where the patient was at the visit.
    #[schema(required, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub(super) service_jurisdiction: Option<String>,
    /// Where the caller said they were.
    #[schema(required, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub(super) accessor: Option<String>,
    /// Where the bytes entered the cluster; null at the home's own door.
    #[schema(required, pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub(super) ingress: Option<String>,
    /// The version of the patient's placement that it was done at.
    #[schema(required, minimum = 1)]
    pub(super) home_epoch: Option<i64>,
    /// The break-glass grant that it was done under. Why is put before those who review it.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) grant_id: Option<Uuid>,
    /// The salt of its leaf, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub(super) salt: String,
}

/// One access to a patient's record, as the patient is told it: by which organisation and in which role, and without
/// anybody's id, credential or address.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEventListItem {
    /// The id of the record.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Uuid,
    /// When, to the microsecond.
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
    /// The organisation that acted.
    #[schema(value_type = String, format = Uuid)]
    pub(super) organisation_id: Uuid,
    /// In which role.
    #[schema(pattern = "^[a-z_]{1,40}$", example = "provider")]
    pub(super) role: String,
    /// For what, as a code of HL7 v3-ActReason.
    #[schema(pattern = "^[A-Z]{3,10}$", example = "TREAT")]
    pub(super) purpose: String,
    /// What was done.
    #[schema(
        pattern = "^(create|read|update|delete|search|list|export|print|sign-in|policy|key)$",
        example = "read"
    )]
    pub(super) action: String,
    /// To what kind of record.
    #[schema(pattern = "^[a-z_-]{1,40}$", example = "patient")]
    pub(super) entity: String,
    /// How it ended.
    #[schema(pattern = "^(done|not-found|refused)$", example = "done")]
    pub(super) outcome: String,
    /// Whether the caller had broken the glass for it.
    pub(super) break_glass: bool,
}

/// One access record, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyAuditEvent {
    /// For those who review.
    Full(Box<AuditEventView>),
    /// For the patient.
    Listed(Box<AuditEventListItem>),
}

/// A page of events, the last first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEventPage {
    /// What was done.
    pub data: Vec<AnyAuditEvent>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyAuditEvent {
    const ENTITY: Entity = Entity::AuditEvent;
}

impl AnyAuditEvent {
    /// Shows one record.
    pub(super) fn of(record: &AuditRecord<'_>, shown: &Shown<Self>) -> Result<Self, Problem> {
        match shown {
            Shown::Full(full) => Ok(Self::Full(Box::new(AuditEventView::of(record, *full)))),
            Shown::Listed(listed) => Ok(Self::Listed(Box::new(AuditEventListItem::of(record, *listed)))),
            Shown::Token(_) => Err(too_little()),
        }
    }

    /// Its place in the list.
    pub(super) fn position(&self) -> Position {
        match self {
            Self::Full(event) => Position { at: event.at, id: event.id },
            Self::Listed(event) => Position { at: event.at, id: event.id },
        }
    }
}

impl AuditEventView {
    fn of(record: &AuditRecord<'_>, _: shown::Full<AnyAuditEvent>) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let rules = record.rules.as_ref();
        Self {
            id: record.id,
            at: record.at,
            organisation_id: record.org,
            key_id: record.key,
            user_id: record.user,
            role: record.role.to_owned(),
            on_behalf_kind: text(record.on_behalf_kind),
            on_behalf_of: record.on_behalf_of,
            purpose: record.purpose.to_owned(),
            act: record.act.to_owned(),
            action: record.action.to_owned(),
            entity: record.entity.to_owned(),
            entity_id: record.entity_id,
            patient_id: record.patient,
            category: text(record.category),
            query_mac: record.query_mac.map(|mac| HEXLOWER.encode(mac)),
            outcome: record.outcome.to_owned(),
            rules: rules.map(|rules| rules.iter().map(|rule| (*rule).to_owned()).collect()),
            request_id: record.request,
            client_ip: record.client_ip.as_ref().map(ToString::to_string),
            device_id: record.device,
            home: text(record.home),
            service_jurisdiction: text(record.service),
            accessor: text(record.accessor),
            ingress: text(record.ingress),
            home_epoch: record.home_epoch,
            grant_id: record.grant,
            salt: HEXLOWER.encode(&record.salt),
        }
    }
}

impl AuditEventListItem {
    fn of(record: &AuditRecord<'_>, _: shown::Listed<AnyAuditEvent>) -> Self {
        Self {
            id: record.id,
            at: record.at,
            organisation_id: record.org,
            role: record.role.to_owned(),
            purpose: record.purpose.to_owned(),
            action: record.action.to_owned(),
            entity: record.entity.to_owned(),
            outcome: record.outcome.to_owned(),
            break_glass: record.grant.is_some(),
        }
    }
}
