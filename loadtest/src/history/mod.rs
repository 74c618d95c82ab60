//! What clients did and saw, and whether a correct system could have answered so.
//!
//! A [`Recorder`] writes one [`Operation`] a line. Four judges read them, none of which knows the system:
//! [`linearize`] (every answer fits one order of all operations on a key that respects time), [`homes`] (one home
//! for a patient at any time), [`bookings`] (no two visits in one slot), [`ledger`] (nothing acknowledged is lost).

pub mod bookings;
mod file;
pub mod homes;
pub mod ledger;
pub mod linearize;
pub mod model;
mod operation;

pub use file::{Recorder, read};
pub use operation::{Act, Operation, Outcome, State};
