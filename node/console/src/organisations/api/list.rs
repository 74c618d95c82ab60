//! Lists organisations.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{OpenProblems, PageParameters};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, OpenCall, Refused, parameters};

use crate::organisations::{OrganisationPage, page_of};

/// Listing organisations.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "organisation.list";
    const PARAMETERS: &'static [&'static str] = parameters::LISTING;
}

/// Lists the organisations of the cluster.
#[utoipa::path(
    get, path = "/v1/orgs", operation_id = "list_organisations", tag = "organisations",
    security(("bearer" = [])),
    params(PageParameters),
    responses((status = 200, description = "A page of organisations", body = OrganisationPage), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let request = call.page(&[])?;
    let mut all = call.here.directory.organisations();
    all.sort_by_key(|view| view.id);
    let (rows, page) =
        page_of(&call, &request, all, |view| Position::of_rank(u128::from_be_bytes(view.id.to_bytes())))?;
    let data = rows.into_iter().map(Into::into).collect();
    Ok((page::link(&call.uri, &page), Json(OrganisationPage { data, page })).into_response())
}
