//! What can be done with encounters over HTTP.

pub mod add_addendum;
pub mod amend;
pub mod list;
pub mod open;
pub mod read;
pub mod segregated;
pub mod sign;
pub mod view;

use residency_policy::{Category, EncounterId, PatientId};

/// What the access log calls an encounter.
pub(super) const ENTITY: &str = "encounter";

/// Where an encounter is shown.
fn path(patient: PatientId, category: Category, id: EncounterId) -> String {
    match category {
        Category::General => format!("/v1/patients/{patient}/encounters/{id}"),
        segregated => format!("/v1/patients/{patient}/segregated/{segregated}/encounters/{id}"),
    }
}
