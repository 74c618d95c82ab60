//! A permit is made by a decision and by nothing else.
use tests::walls::residency_policy::{Act, Epoch, Home, PatientId, Permit};

pub fn permit(decided: Permit, patient: PatientId, home: Home) -> Permit {
    #[cfg(not(wall))]
    {
        let _ = (patient, home, Epoch::FIRST, Act::Write);
        decided
    }
    #[cfg(wall)]
    { let _ = decided; Permit { patient, home, epoch: Epoch::FIRST, act: Act::Write } } //~ E0451
}
