//! What was done at a home, for those who review it (45 CFR 164.308(a)(1)(ii)(D), 164.312(b)), and for a patient: who looked
//! at theirs. It reads the access log and has nothing of its own. To ask is itself recorded.
//!
//! What a reviewer is shown of a record is all that its leaf in the region's log commits to, and the salt, so that whoever
//! is handed it can compute the leaf (`storage::canonical`).

pub mod api;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "audit_events", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(api::list::list))
}
