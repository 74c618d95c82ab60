//! Where one patient lives, and which version of that fact this is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Home, PatientId};

/// The version of one patient's placement. Only the control plane raises it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch of an id that was claimed and never moved.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What may be done with a placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementState {
    /// The home serves reads and writes.
    Active,
    /// The id is retired and answers as if it never was.
    Retired,
}

/// One line of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Whose placement.
    pub patient: PatientId,
    /// Where the PHI lives now.
    pub home: Home,
    /// The version of this fact.
    pub epoch: Epoch,
    /// What may be done.
    pub state: PlacementState,
}
