//! Proof, in the type system, that this node may serve.
//!
//! A permit says that the directory, as this node knew it, names this region as the home. It does not say that
//! this is still so: the fence in the home's own Postgres checks the epoch again, in the same transaction.

use crate::{Act, Epoch, Home, PatientId};

/// This node may serve this patient at this epoch. Made by [`crate::decide`] and by nothing else.
#[derive(Debug)]
pub struct Permit {
    pub(crate) patient: PatientId,
    pub(crate) home: Home,
    pub(crate) epoch: Epoch,
    pub(crate) act: Act,
}

impl Permit {
    /// Whom it is for.
    pub fn patient(&self) -> PatientId {
        self.patient
    }

    /// The region that may serve.
    pub fn home(&self) -> Home {
        self.home
    }

    /// The version of the placement that was decided on.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether writing was asked for.
    pub fn act(&self) -> Act {
        self.act
    }
}

/// This node may serve lists and searches of its own region. Made by [`crate::decide_region`] and by nothing else.
#[derive(Debug)]
pub struct RegionPermit {
    pub(crate) home: Home,
}

impl RegionPermit {
    /// The region that may serve.
    pub fn home(&self) -> Home {
        self.home
    }
}
