//! Which scope of an API key an act takes.

use node_policy::{Action, Entity};
use residency_policy::KeyScope;

/// The scope without which a key may not do this, whatever its role may.
pub(crate) const fn of(action: Action, entity: Entity) -> KeyScope {
    use KeyScope as S;
    let (looks, changes) = match entity {
        Entity::Patient | Entity::Intake | Entity::Consent | Entity::BreakGlass | Entity::PatientLogin => {
            (S::PatientsRead, S::PatientsWrite)
        }
        Entity::Consult | Entity::Encounter | Entity::Message => (S::CareRead, S::CareWrite),
        Entity::Prescription
        | Entity::PrescriptionStatus
        | Entity::Fulfillment
        | Entity::LabOrder
        | Entity::LabResult
        | Entity::Shipment
        | Entity::Kit => (S::OrdersRead, S::OrdersWrite),
        Entity::Appointment | Entity::Waitlist | Entity::Calendar | Entity::Hold | Entity::SlotOverride => {
            (S::SchedulingRead, S::SchedulingWrite)
        }
        Entity::Coverage | Entity::Claim | Entity::Payment | Entity::PriorAuthorization => {
            (S::BillingRead, S::BillingWrite)
        }
        Entity::Organisation | Entity::LegalBasis | Entity::Region | Entity::Provider => {
            (S::DirectoryRead, S::DirectoryWrite)
        }
        Entity::User
        | Entity::Session
        | Entity::Authenticator
        | Entity::Invitation
        | Entity::IdentityProvider
        | Entity::SignInSettings
        | Entity::ApiKey
        | Entity::SignInDevice => (S::AdministrationRead, S::AdministrationWrite),
        Entity::AuditEvent | Entity::Export | Entity::Policy => (S::OversightRead, S::OversightWrite),
    };
    if action.writes() { changes } else { looks }
}
