//! What can be done with calendars over HTTP.

pub mod hold;
pub mod put;
pub mod read;
pub mod read_hold;
pub mod release;
pub mod slots;
