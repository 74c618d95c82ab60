//! What is shown of a wish, and the body that is taken.

use jiff::Timestamp;
use node_access::Entity;
use node_access::page::PageInfo;
use node_access::shown::{Full, Views};
use residency_control::calendar::Wanted;
use residency_policy::{BookingHandle, PatientId, ProviderId, WaitlistId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::appointments::waitlist::model::{Outcome, State, Wish};

/// A wish for an appointment.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitlistEntry)]
#[serde(deny_unknown_fields)]
pub struct WishView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    id: WaitlistId,
    /// Who waits.
    #[schema(value_type = String, format = Uuid)]
    patient_id: PatientId,
    /// `joining`, `waiting`, `offering` and `offered`; then `leaving` and `ended`.
    #[schema(pattern = "^(joining|waiting|offering|offered|leaving|ended)$", example = "waiting")]
    status: &'static str,
    /// For whom, if for one provider.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    provider_id: Option<ProviderId>,
    /// For which specialty otherwise, as a NUCC code.
    #[schema(required, pattern = "^[0-9]{3}[0-9A-Z]{6}X$")]
    specialty: Option<String>,
    /// Where the patient will be.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    service_jurisdiction: &'static str,
    /// The earliest beginning.
    #[schema(value_type = String, format = DateTime)]
    wanted_from: Timestamp,
    /// No slot that begins then or later is offered.
    #[schema(value_type = String, format = DateTime)]
    wanted_to: Timestamp,
    /// What is held for the patient. Book it with `hold`.
    #[schema(required)]
    offer: Option<OfferView>,
    /// How it ended.
    #[schema(required, pattern = "^(booked|removed|expired)$")]
    outcome: Option<&'static str>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Raised by every change.
    #[schema(minimum = 1)]
    version: i32,
}

/// A slot that is held for whoever waits.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitlistOffer)]
#[serde(deny_unknown_fields)]
pub struct OfferView {
    /// The hold.
    #[schema(value_type = String, format = Uuid)]
    hold: BookingHandle,
    /// With whom.
    #[schema(value_type = String, format = Uuid)]
    provider_id: ProviderId,
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    /// Until when it is held.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// A page of wishes, the newest first.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitlistPage {
    /// The wishes.
    pub data: Vec<WishView>,
    /// How the list goes on.
    pub page: PageInfo,
}

/// A wish to be made, for one provider or for anybody of a specialty.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWaitlistEntry)]
#[serde(deny_unknown_fields)]
pub struct NewWishBody {
    /// For whom.
    #[schema(format = Uuid, example = json!(null))]
    pub provider: Option<String>,
    /// For which specialty otherwise, as a NUCC code.
    #[schema(pattern = "^[0-9]{3}[0-9A-Z]{6}X$", example = "207Q00000X")]
    pub specialty: Option<String>,
    /// Where the patient will be.
    #[schema(pattern = "^US-[A-Z]{2}$", example = "US-TX")]
    pub service_jurisdiction: String,
    /// The earliest beginning: an instant, or a time on a wall with its zone.
    #[schema(max_length = 80, example = "2027-01-04T00:00:00Z")]
    pub from: String,
    /// No slot that begins then or later is offered.
    #[schema(max_length = 80, example = "2027-01-30T00:00:00Z")]
    pub to: String,
}

/// There is one view of it, which shows everything.
impl Views for WishView {
    const ENTITY: Entity = Entity::Waitlist;
}

impl WishView {
    /// Shows a wish.
    pub fn of(wish: &Wish, _: Full<Self>) -> Self {
        let (provider_id, specialty) = match wish.asked.wanted {
            Wanted::Provider(provider) => (Some(provider), None),
            Wanted::Specialty(code) => (None, Some(code.as_str().to_owned())),
        };
        let offer = match wish.state {
            // What is still being held is nobody's yet.
            State::Offered(offer) => Some(OfferView {
                hold: offer.place.handle,
                provider_id: offer.place.provider,
                starts_at: offer.place.start.timestamp(),
                ends_at: offer.place.end.timestamp(),
                until: offer.until,
            }),
            _ => None,
        };
        Self {
            id: wish.id,
            patient_id: wish.patient,
            status: wish.state.as_str(),
            provider_id,
            specialty,
            service_jurisdiction: wish.asked.service.code(),
            wanted_from: wish.asked.from.timestamp(),
            wanted_to: wish.asked.to.timestamp(),
            offer,
            outcome: wish.state.outcome().map(Outcome::as_str),
            created_at: wish.created_at,
            updated_at: wish.updated_at,
            version: wish.version,
        }
    }
}
