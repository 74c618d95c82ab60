//! An event is a name and an id.
use tests::walls::{storage::{Event, EventName, Phi}, uuid::Uuid};

pub fn event(id: Uuid, note: Phi<String>) -> Event {
    #[cfg(not(wall))]
    {
        let _ = note;
        Event::new(EventName::PatientCreated, id)
    }
    #[cfg(wall)]
    { Event { note, ..Event::new(EventName::PatientCreated, id) } } //~ E0560
}
