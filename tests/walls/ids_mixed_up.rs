//! One kind of id is not another.
use tests::walls::{residency_policy::{EncounterId, PatientId}, storage::{Access, AccessAction}};

pub fn access(patient: PatientId, encounter: EncounterId) -> Access {
    #[cfg(not(wall))]
    {
        Access::to(AccessAction::Read, "encounter", encounter.uuid(), patient)
    }
    #[cfg(wall)]
    { Access::to(AccessAction::Read, "encounter", patient.uuid(), encounter) } //~ E0308
}
