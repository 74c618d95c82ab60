//! The one decision point: who may do what, with what, and why.
//!
//! The rules are data: Cedar policies in `policies/`, checked against `policies/schema.cedarschema` when they are
//! loaded, and refused with file, line and column when they do not fit. The alternative refused is a table in the
//! program, which nobody can change, try out or cite without building it anew; and a check in each handler, which
//! nobody can read as a whole.
//!
//! What must stay true:
//! - What no policy permits is refused, and a policy that cannot be evaluated refuses too.
//! - A question holds no id of anybody and no value of PHI. Time and place are facts in it.
//! - Every policy has an id and the citation it rests on.
//! - Taking away a consent, a licence or a purpose never allows more (property-tested).

mod decide;
mod documents;
mod explain;
mod load;
mod matrix;
mod names;
mod plan;
mod recorded;
mod refused;
mod request;
mod rule;
mod shipped;
mod slice;
mod sources;
mod terms;

pub use decide::{Decision, Verdict, decide};
pub use documents::{access_document, fields_document};
pub use explain::{Change, Explanation, explain};
pub use load::{Loaded, PolicyFile};
pub use matrix::{Line, Need, covering, matrix};
pub use plan::{Difference, differences};
pub use recorded::{CLASSES_MAX, Class, Recorded};
pub use refused::PolicyError;
pub use request::{Facts, Request};
pub use rule::{Effects, Obligation, Rule};
pub use shipped::{POLICIES, SCHEMA};
pub use sources::{Source, Sources};
pub use terms::{
    Action, ConsentState, Device, Entity, LicenceState, NotAPrincipal, NotAnAction, NotAnEntity, Principal,
    RefusalReason, Relationship, Shape,
};
