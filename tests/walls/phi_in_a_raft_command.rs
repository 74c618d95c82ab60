//! A command's fields are ids and bounded names; there is none for PHI.
use tests::walls::{residency_control::{Command, Organisation, PublicName}, residency_policy::{Epoch, PatientId}, storage::Phi};

pub fn command(patient: PatientId, note: Phi<PatientId>, _named: Option<(Organisation, PublicName)>) -> Command {
    #[cfg(not(wall))]
    {
        let _ = note;
        Command::Retire { patient, expected: Epoch::FIRST }
    }
    #[cfg(wall)]
    { let _ = patient; Command::Retire { patient: note, expected: Epoch::FIRST } } //~ E0308
}
