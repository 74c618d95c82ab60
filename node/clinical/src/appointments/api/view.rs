//! What each role is shown of an appointment, and the bodies that are taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{self, Views};
use residency_policy::{AppointmentId, PatientId, ProviderId};
use serde::Serialize;
use storage::Phi;
use utoipa::ToSchema;

use crate::appointments::model::{Appointment, Facts, State};
use crate::encounters::model::ClinicalText;

/// An appointment.
#[derive(Serialize, ToSchema)]
#[schema(as = Appointment)]
#[serde(deny_unknown_fields)]
pub struct AppointmentView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: AppointmentId,
    /// Who comes.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `booked` or `cancelled`; `pending`, `moving` or `cancelling` while it is on its way; `failed` when its time was
    /// not to be had.
    #[schema(pattern = "^(pending|booked|moving|cancelling|cancelled|failed)$", example = "booked")]
    status: &'static str,
    /// With whom.
    #[schema(value_type = String, format = Uuid)]
    provider_id: ProviderId,
    /// Where the patient will be.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    service_jurisdiction: &'static str,
    /// How they meet.
    #[schema(pattern = "^(video|phone|in-person)$", example = "video")]
    kind: &'static str,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    /// Why the patient comes.
    #[schema(required, value_type = Option<String>)]
    reason: Option<ClinicalText>,
    /// Why it was cancelled.
    #[schema(required)]
    cancel_code: Option<&'static str>,
    /// Why it was cancelled, in words.
    #[schema(required, value_type = Option<String>)]
    cancel_note: Option<ClinicalText>,
    /// Why it was not to be had: the last part of a problem's `type`.
    #[schema(required)]
    failure: Option<&'static str>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Raised by every change; the `ETag` without its quotes.
    #[schema(minimum = 1)]
    version: i32,
}

/// An appointment without why.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointmentListItem {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: AppointmentId,
    /// Who comes.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `booked` or `cancelled`; `pending`, `moving` or `cancelling` while it is on its way; `failed` when its time was
    /// not to be had.
    #[schema(pattern = "^(pending|booked|moving|cancelling|cancelled|failed)$", example = "booked")]
    status: &'static str,
    /// With whom.
    #[schema(value_type = String, format = Uuid)]
    provider_id: ProviderId,
    /// Where the patient will be.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    service_jurisdiction: &'static str,
    /// How they meet.
    #[schema(pattern = "^(video|phone|in-person)$", example = "video")]
    kind: &'static str,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    /// Why it was cancelled.
    #[schema(required)]
    cancel_code: Option<&'static str>,
    /// Why it was not to be had: the last part of a problem's `type`.
    #[schema(required)]
    failure: Option<&'static str>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Raised by every change; the `ETag` without its quotes.
    #[schema(minimum = 1)]
    version: i32,
}

/// An appointment, as an auditor sees it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointmentToken {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: AppointmentId,
    /// Who comes.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// Where it is in its life.
    #[schema(pattern = "^(pending|booked|moving|cancelling|cancelled|failed)$")]
    status: &'static str,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// An appointment, as the caller's role is shown it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyAppointment {
    /// For those who treat, and their staff.
    Full(Box<AppointmentView>),
    /// For those who check.
    Token(AppointmentToken),
}

/// An appointment in a list.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyAppointmentItem {
    /// For those who treat, and their staff.
    Listed(AppointmentListItem),
    /// For those who check.
    Token(AppointmentToken),
}

/// A page of appointments, the latest first. None of them is shown with why.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointmentPage {
    /// The appointments, as the caller's role is shown them.
    pub data: Vec<AnyAppointmentItem>,
    /// How the list goes on.
    pub page: PageInfo,
}

impl Views for AnyAppointment {
    const ENTITY: Entity = Entity::Appointment;
}

/// Everything of an appointment may be shown.
pub(super) type Full = shown::Full<AnyAppointment>;

impl AppointmentView {
    /// Shows an appointment, still under guard.
    pub fn of(appointment: Appointment, full: Full) -> Phi<Self> {
        let Appointment { facts, reason, note } = appointment;
        let item = AppointmentListItem::of(&facts, full.into());
        reason.zip(note).map(|(reason, cancel_note)| Self {
            id: item.id,
            patient_id: item.patient_id,
            status: item.status,
            provider_id: item.provider_id,
            service_jurisdiction: item.service_jurisdiction,
            kind: item.kind,
            starts_at: item.starts_at,
            ends_at: item.ends_at,
            reason,
            cancel_code: item.cancel_code,
            cancel_note,
            failure: item.failure,
            created_at: item.created_at,
            updated_at: item.updated_at,
            version: item.version,
        })
    }
}

impl AppointmentListItem {
    /// Shows an appointment without why.
    pub fn of(facts: &Facts, _: shown::Listed<AnyAppointment>) -> Self {
        let cancel_code = match facts.state {
            State::Cancelling(code) | State::Cancelled(code) => Some(code.as_str()),
            State::Pending | State::Booked | State::Moving(_) | State::Failed(_) => None,
        };
        let failure = match facts.state {
            State::Failed(failure) => Some(failure.as_str()),
            _ => None,
        };
        Self {
            id: facts.id,
            patient_id: facts.patient,
            status: facts.state.as_str(),
            provider_id: facts.place.provider,
            service_jurisdiction: facts.service.code(),
            kind: facts.kind.as_str(),
            starts_at: facts.place.start.timestamp(),
            ends_at: facts.place.end.timestamp(),
            cancel_code,
            failure,
            created_at: facts.created_at,
            updated_at: facts.updated_at,
            version: facts.version,
        }
    }
}

impl AppointmentToken {
    /// Shows an appointment to somebody who checks.
    pub fn of(facts: &Facts, _: shown::Token<AnyAppointment>) -> Self {
        Self {
            id: facts.id,
            patient_id: facts.patient,
            status: facts.state.as_str(),
            starts_at: facts.place.start.timestamp(),
            created_at: facts.created_at,
        }
    }
}

/// An appointment to be booked, by when it begins or by a hold that was taken before.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAppointment)]
#[serde(deny_unknown_fields)]
pub struct NewAppointmentBody {
    /// With whom.
    #[schema(format = Uuid)]
    pub provider: String,
    /// When it begins: an instant, or a time on a wall with its zone, such as `2027-01-04T09:00[America/Chicago]`.
    #[schema(max_length = 80, example = "2027-01-04T15:00:00Z")]
    pub start: Option<String>,
    /// The hold, in place of `start`.
    #[schema(format = Uuid, example = json!(null))]
    pub hold: Option<String>,
    /// Where the patient will be: the provider must be allowed to practise there on that day.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub service_jurisdiction: String,
    /// How they meet.
    #[schema(pattern = "^(video|phone|in-person)$", example = "video")]
    pub kind: String,
    /// Why the patient comes.
    #[schema(min_length = 1, max_length = 1000, example = "cough")]
    pub reason: Option<String>,
}

/// Another time, or another provider.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTimeBody {
    /// With whom, if with somebody else.
    #[schema(format = Uuid, example = json!(null))]
    pub provider: Option<String>,
    /// When it begins.
    #[schema(max_length = 80, example = "2027-01-05T15:00:00Z")]
    pub start: Option<String>,
    /// The hold, in place of `start`.
    #[schema(format = Uuid, example = json!(null))]
    pub hold: Option<String>,
}

/// A cancellation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCancellationBody {
    /// Why.
    #[schema(
        pattern = "^(patient-request|provider-unavailable|no-longer-needed|entered-in-error)$",
        example = "patient-request"
    )]
    pub code: String,
    /// Why, in words.
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}
