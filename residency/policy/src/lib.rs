//! The vocabulary of residency: who lives where, under which rules, and what follows.
//!
//! Everything here is pure. There is no I/O, no clock and no random source in this crate; each is an
//! argument. Nothing here can name a person: patients are random ids, and text is limited to [`Label`]s.
//!
//! What must stay true:
//! - [`decide`] is the only way to a [`Permit`] or a [`RegionPermit`].
//! - There is no default region. What is unknown, stale or not covered by a rule is refused.
//! - Adding a restriction never allows more (property-tested in `tests/properties`).

pub mod access_policies;
mod category;
mod clock;
pub mod decide;
pub mod exposition;
pub mod facility;
mod ids;
mod jurisdiction;
mod label;
pub mod licensure;
mod may_have;
mod npi;
mod permit;
mod placement;
mod places;
mod problem;
pub mod ruleset;
mod scopes;
mod spelt;
pub mod verify_keys;
pub mod wire;
mod workforce;

pub use category::Category;
pub use clock::{Clock, Entropy};
pub use decide::{Act, Decision, Reason, Standing, View, decide, decide_region};
pub use facility::{Clia, Facility, Ncpdp};
pub use ids::{
    AppointmentId, BookingHandle, ConsentId, DeviceId, DiskId, EncounterId, GrantId, IdentityProviderId, KeyId,
    NodeId, OrgId, PasskeyId, PatientId, ProviderId, RecordId, RequestId, SessionId, SigningKeyId, UserId,
    WaitlistId,
};
pub use jurisdiction::{Jurisdiction, NotAJurisdiction, Region};
pub use label::{Label, NotALabel};
pub use npi::{NotAnNpi, Npi, luhn_checks};
pub use permit::{Permit, RegionPermit};
pub use placement::{Epoch, Placement, PlacementState};
pub use places::{Accessor, Home, Ingress, ServiceJurisdiction};
pub use problem::{FieldError, Problem, ProblemKind};
pub use ruleset::{Ruleset, TransitMode};
pub use scopes::{KeyScope, KeyScopes, NotAKeyScope};
pub use workforce::{BasisKind, Closure, OrgType, Purpose, Role};
