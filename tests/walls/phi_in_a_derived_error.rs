//! The same with `thiserror`, whose derive names its own crate from the root.
extern crate self as thiserror;
pub use tests::walls::thiserror::*;
use tests::walls::{residency_policy::PatientId, storage::Phi};

#[derive(Debug, Error)]
pub enum Refused {
    #[error("patient {0} was refused")]
    Patient(PatientId),
    #[cfg(wall)]
    #[error("{0} was refused")] //~ E0599
    Name(Phi<String>),
    #[error("refused")]
    Kept(Phi<String>),
}
