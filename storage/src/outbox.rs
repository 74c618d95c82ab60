//! Events, written in the transaction that causes them.

use residency_policy::RecordId;
use uuid::Uuid;

/// The closed list of events, each with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// A patient was registered.
    PatientCreated,
    /// A patient's record was changed.
    PatientUpdated,
    /// A patient's record was removed from view.
    PatientDeleted,
    /// An encounter was opened.
    EncounterOpened,
    /// An open encounter was changed.
    EncounterAmended,
    /// An encounter was signed.
    EncounterSigned,
    /// An addendum was added to a signed encounter.
    EncounterAddendumAdded,
    /// An appointment was booked.
    AppointmentBooked,
    /// An appointment was moved to another time or provider.
    AppointmentMoved,
    /// An appointment was cancelled.
    AppointmentCancelled,
    /// A patient's consent was entered.
    ConsentGranted,
    /// A patient's consent was taken back.
    ConsentRevoked,
    /// The glass was broken for a patient's record.
    GlassBroken,
    /// What was done when the glass was broken was reviewed.
    GlassReviewed,
    /// A patient began to wait for an appointment.
    WaitlistJoined,
    /// A slot is held for a patient who waits.
    WaitlistOffered,
    /// A patient waits no more.
    WaitlistEnded,
}

/// One event: a name, a version and an id. It has no payload, so that none can hold PHI.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// To which record.
    pub entity: RecordId,
}

impl Event {
    /// Something happened to one record.
    pub fn new(name: EventName, entity: Uuid) -> Self {
        Self { name, entity: RecordId::from(entity) }
    }
}

impl EventName {
    /// Every event.
    pub const ALL: [Self; 17] = [
        Self::PatientCreated,
        Self::PatientUpdated,
        Self::PatientDeleted,
        Self::EncounterOpened,
        Self::EncounterAmended,
        Self::EncounterSigned,
        Self::EncounterAddendumAdded,
        Self::AppointmentBooked,
        Self::AppointmentMoved,
        Self::AppointmentCancelled,
        Self::ConsentGranted,
        Self::ConsentRevoked,
        Self::GlassBroken,
        Self::GlassReviewed,
        Self::WaitlistJoined,
        Self::WaitlistOffered,
        Self::WaitlistEnded,
    ];

    /// The name in the outbox.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatientCreated => "patient.created",
            Self::PatientUpdated => "patient.updated",
            Self::PatientDeleted => "patient.deleted",
            Self::EncounterOpened => "encounter.opened",
            Self::EncounterAmended => "encounter.amended",
            Self::EncounterSigned => "encounter.signed",
            Self::EncounterAddendumAdded => "encounter.addendum-added",
            Self::AppointmentBooked => "appointment.booked",
            Self::AppointmentMoved => "appointment.moved",
            Self::AppointmentCancelled => "appointment.cancelled",
            Self::ConsentGranted => "consent.granted",
            Self::ConsentRevoked => "consent.revoked",
            Self::GlassBroken => "break-glass.granted",
            Self::GlassReviewed => "break-glass.reviewed",
            Self::WaitlistJoined => "waitlist.joined",
            Self::WaitlistOffered => "waitlist.offered",
            Self::WaitlistEnded => "waitlist.ended",
        }
    }

    /// The version of the event's shape.
    pub const fn version(self) -> i16 {
        1
    }
}
