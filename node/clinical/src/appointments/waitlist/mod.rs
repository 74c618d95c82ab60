//! Patients who wait for an appointment.
//!
//! The wish is kept here, with whom it is for and where the patient will be. Its place in the order is in the control
//! plane, under a random handle, so that a slot which gets free anywhere is offered to whoever came first. Who has an
//! offer does not stand in the order any more; an offer that lapses puts its wish at the end.

pub mod api;
pub mod matching;
pub mod model;
pub mod settle;
pub mod store;
