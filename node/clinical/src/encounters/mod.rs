//! An encounter: one visit, and what was found and decided.
//!
//! It is open until it is signed or cancelled. A signed one never changes; what is said later is an addendum.
//! Its category chooses its data key and the consent that it takes, and is part of its path: what is asked for under
//! `/encounters` is of the general category, and what is under `/segregated` never appears there.

pub mod api;
mod licensed;
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
        .routes(routes!(api::segregated::list_all, api::segregated::open_one))
        .routes(routes!(api::segregated::read_one, api::segregated::amend_one))
        .routes(routes!(api::segregated::sign_one))
        .routes(routes!(api::segregated::add_one))
}
