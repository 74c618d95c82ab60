//! Lists an organisation's identity providers.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use residency_control::signin::IdentityProvider;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ProviderBody, own_organisation};
use crate::api::at;

/// Listing identity providers.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "identity_provider.list";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Every one that there is: an organisation has few.
#[derive(Serialize, ToSchema)]
#[schema(as = IdentityProviderList)]
#[serde(deny_unknown_fields)]
pub struct ProviderList {
    /// The providers.
    #[schema(max_items = 8)]
    pub data: Vec<ProviderBody>,
}

/// Lists the identity providers of the caller's own organisation.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/identity-providers", operation_id = "read_identity_providers", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), ConsistencyParameter),
    responses((status = 200, description = "The providers", body = ProviderList), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let index = call.read_point().await?;
    let signins = call.here.directory.signins();
    let federation = signins.federation();
    let body =
        |one: &Arc<IdentityProvider>| ProviderBody::of(one, federation.mapping(one.id).map(|one| &**one));
    let data = federation.providers_of(org).map(body).collect();
    Ok(at(Json(ProviderList { data }).into_response(), index.0))
}
