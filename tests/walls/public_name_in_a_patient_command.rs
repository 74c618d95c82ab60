//! Only organisations have names in the control plane.
use tests::walls::{residency_control::{Command, Organisation, PublicName}, residency_policy::{Epoch, PatientId}, storage::Phi};

pub fn command(patient: PatientId, name: PublicName, _other: Option<(Organisation, Phi<u8>)>) -> Command {
    #[cfg(not(wall))]
    {
        let _ = name;
        Command::Retire { patient, expected: Epoch::FIRST }
    }
    #[cfg(wall)]
    { Command::Retire { patient, expected: Epoch::FIRST, name } } //~ E0559
}
