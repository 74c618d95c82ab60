//! A patient: who somebody is, at the one home where that is kept.
//!
//! Home and address are two facts. The home is chosen at registration and changes only by a move; an address in
//! another state is recorded as such and changes nothing about where the record lives.

pub mod api;
mod cells;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "patients", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::create::create))
        .routes(routes!(api::search::search))
        .routes(routes!(api::read::read, api::update::update, api::remove::remove))
}
