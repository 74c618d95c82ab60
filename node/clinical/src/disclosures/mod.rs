//! The accounting of disclosures that an individual has a right to (45 CFR 164.528): what was disclosed of theirs in six
//! years, when, to whom and why. It is made from the access log.
//!
//! Left out, unless they are asked for: treatment, payment and operations (164.528(a)(1)(i)), what was shown to the
//! individual (ii), and what rests on their authorization or agreement (iv), (v). What else was disclosed outside the
//! program is not in the log, and so not here.

pub mod api;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "disclosures", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(api::list::list))
}
