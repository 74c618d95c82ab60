//! Synthetic people: made up, repeatable, and as awkward as real ones.
//!
//! The same seed gives the same bytes on every machine and in every year: randomness is ChaCha8 with the range
//! reduction written here, and the day that counts as today is an argument. Person `i` depends on the seed, the
//! jurisdiction and `i` alone, so a longer run begins with the shorter one.
//!
//! Nobody here can be rung up or written to: telephone numbers are `555-01XX`, which the North American Numbering
//! Plan keeps for fiction, e-mail goes to `example.com` (RFC 2606), streets are called `SAMPLE`. Towns, ZIP Codes
//! and time zones are real. Clinicians have NPIs from before the register's first.
//!
//! Like every load tool this crate is a stranger to the system: it knows the wire form of a patient and the list of
//! jurisdictions, and nothing else.

mod canary;
mod draw;
mod edge;
mod encounter;
mod names;
mod near_duplicate;
mod person;
mod place;
mod population;
mod provider;

pub use canary::{canary, canary_encounter, canary_in, encounter_markers, markers};
pub use edge::edge_cases;
pub use encounter::{EncounterText, encounter};
pub use person::{Address, Note, Person};
pub use place::{Place, places};
pub use population::{people, person};
pub use provider::{CAST, Cast, SyntheticProvider, cast, npi, provider};
