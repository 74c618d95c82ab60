//! Shows one organisation.

use axum::Json;
use node_access::doc::OpenProblems;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused};

use crate::organisations::OrganisationBody;

/// Reading an organisation.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "organisation.read";
}

/// Shows one organisation.
#[utoipa::path(
    get, path = "/v1/orgs/{id}", operation_id = "read_organisation", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid)),
    responses((status = 200, description = "The organisation", body = OrganisationBody), OpenProblems)
)]
pub async fn read(call: OpenCall<Read>) -> Result<Json<OrganisationBody>, Refused> {
    let view = call.here.directory.organisation(call.path("id")?).ok_or_else(not_found)?;
    Ok(Json(view.into()))
}
