//! An organisation's name is bounded; a String is not.
use tests::walls::{residency_control::{Command, Organisation, PublicName}, residency_policy::{Epoch, PatientId}, storage::Phi};

pub fn named(org: Organisation, name: PublicName, text: String, _o: Option<(Command, PatientId, Epoch, Phi<u8>)>) -> Organisation {
    #[cfg(not(wall))]
    {
        let _ = text;
        Organisation { name, ..org }
    }
    #[cfg(wall)]
    { let _ = name; Organisation { name: text, ..org } } //~ E0308
}
