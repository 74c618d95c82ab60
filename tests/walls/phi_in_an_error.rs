//! An error displays ids, and PHI cannot be displayed.
use std::fmt;

use tests::walls::{residency_policy::PatientId, storage::Phi};

pub struct Refused {
    pub patient: PatientId,
    pub name: Phi<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(not(wall))]
        return write!(f, "patient {} was refused", self.patient);
        #[cfg(wall)]
        return write!(f, "{} was refused", self.name); //~ E0277
    }
}
