//! Shows one clinician.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems, ProviderPath};
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused, change};

use crate::organisations;
use crate::providers::view::AnyProvider;

/// Reading a clinician.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Provider;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "provider.read";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows one clinician.
#[utoipa::path(
    get, path = "/v1/providers/{id}", operation_id = "read_provider", tag = "providers",
    security(("bearer" = [])),
    params(ProviderPath, ConsistencyParameter),
    responses((status = 200, description = "The clinician", body = AnyProvider, headers(
        ("etag" = String, description = "The version"),
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenProblems)
)]
pub async fn read(call: OpenCall<Read>) -> Result<Response, Refused> {
    let id = call.path("id")?;
    call.read_point().await?;
    let (index, providers) = call.here.directory.providers();
    let provider = providers.get(id).ok_or_else(not_found)?;
    let headers = organisations::shown(provider.version, index);
    Ok((headers, Json(AnyProvider::of(provider, &call.shown(), None)?)).into_response())
}
