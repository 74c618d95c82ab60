//! The ledger of purposes: who asked for what of a patient and why, and what the patient allowed and took back, in one
//! timeline (45 CFR 164.312(b), 164.528). It reads the access log and the consents, and has nothing of its own.
//!
//! It shows codes, ids and times. Words that somebody wrote, such as why the glass was broken, are shown where they are
//! reviewed and not here.

pub mod api;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "purposes", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(api::list::list))
}
