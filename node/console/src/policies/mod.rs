//! The policies of access: trying them out.

pub mod test;

use node_access::Here;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new().routes(routes!(test::test))
}
