//! Break-glass: access in an emergency (45 CFR 164.312(a)(2)(ii)). A clinician who has shown a second factor says why, and
//! has for an hour what the patient's consent would not give. It is counted, logged as a security event, and waits for
//! the privacy officer's review; every access under the grant is recorded with it.
//!
//! Whether a grant lives is read with the fence (`storage::Known`) by every act on a patient whose purpose is ETREAT or
//! BTG, and so is no matter of this feature. There is no way to make one longer: whoever needs more breaks the glass
//! again, and that is reviewed too.

pub mod api;
pub mod model;
pub mod store;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Feature;

/// What this feature supplies.
pub fn feature() -> Feature {
    Feature { name: "break_glass", routes: routes(), statements: store::STATEMENTS.to_vec() }
}

fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(api::grant::grant))
        .routes(routes!(api::list::list))
        .routes(routes!(api::review::review))
}
