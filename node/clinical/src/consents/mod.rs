//! Consents: what a patient allowed whom, for what and of which category, and what they took back. A ledger: it is only
//! ever added to, and a consent is revoked once.
//!
//! What the ledger says counts at once: it is read with the fence (`storage::Known`) in the snapshot that answers, by
//! every act on a patient, and so is no matter of this feature.

pub mod api;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "consents", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::list::list, api::grant::grant))
        .routes(routes!(api::read::read))
        .routes(routes!(api::revoke::revoke))
}
