//! An encounter: one visit, and what was found and decided.
//!
//! It is open until it is signed or cancelled. A signed one never changes; what is said later is an addendum.
//! Every encounter is of the general category for now: the stricter ones need a consent to be shown, and there is
//! no consent ledger yet, so they cannot be entered.

pub mod api;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "encounters", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::open::open))
        .routes(routes!(api::read::read, api::amend::amend))
        .routes(routes!(api::sign::sign))
        .routes(routes!(api::add_addendum::add_addendum))
}
