//! Who waits for a slot, in the order in which they came: handles, and never whose.

use residency_policy::licensure::Taxonomy;
use residency_policy::{BookingHandle, OrgId, ProviderId, Region};
use serde::{Deserialize, Serialize};

use super::minute::Minute;
use crate::command::{must_be_replicated, record};

record! {
    /// Somebody who waits.
    #[derive(Debug, Copy)]
    pub struct Waiting {
        /// What they are known by here.
        pub handle: BookingHandle,
        /// For whom.
        pub wanted: Wanted,
        /// The first minute at which a visit may begin.
        pub from: Minute,
        /// The minute at or after which none may begin.
        pub to: Minute,
        /// For which organisation.
        pub org: OrgId,
        /// The home.
        pub region: Region,
    }
}

/// For whom somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// One provider.
    Provider(ProviderId),
    /// Anybody of a specialty.
    Specialty(Taxonomy),
}
