//! Events, written in the transaction that causes them.

use residency_policy::{PatientId, RecordId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::tx::Line;
use crate::{Error, RegionTx};

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
    pub const ALL: [Self; 13] = [
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

pub(crate) const INSERT_EVENTS: &str =
    "INSERT INTO outbox (id, org_id, name, version, patient_id, entity_id, at)
    SELECT e.id, $1, e.name, e.version, $2, e.entity_id, $3
    FROM unnest($4::uuid[], $5::text[], $6::smallint[], $7::uuid[]) AS e (id, name, version, entity_id)";

/// The statements of this file.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[("outbox.insert", INSERT_EVENTS)];

/// Puts all events of a transaction on their way, as one statement.
pub(crate) async fn put(tx: &RegionTx, line: &mut Line, events: &[Event]) -> Result<(), Error> {
    let id = |_: &Event| RecordId::random(tx.pool.0.entropy.as_ref()).uuid();
    let ids: Vec<_> = events.iter().map(id).collect();
    let names: Vec<_> = events.iter().map(|e| e.name.as_str()).collect();
    let versions: Vec<_> = events.iter().map(|e| e.name.version()).collect();
    let entities: Vec<_> = events.iter().map(|e| e.entity.uuid()).collect();
    let (org, patient) = (tx.scope().org.uuid(), tx.patient().map(PatientId::uuid));
    let params: [&(dyn ToSql + Sync); 7] = [&org, &patient, &tx.now(), &ids, &names, &versions, &entities];
    line.put(tx.act(), INSERT_EVENTS, &params).await
}
