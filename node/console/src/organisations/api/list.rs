//! Lists organisations.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems, PageParameters};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};

use crate::organisations::{OrganisationPage, is_shown, page_of, stands_at};

/// Listing organisations.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "organisation.list";
    const PARAMETERS: &'static [&'static str] = &["limit", "cursor", change::CONSISTENCY];
}

/// Lists the organisations of the cluster. A marketing partner's people see their own.
#[utoipa::path(
    get, path = "/v1/orgs", operation_id = "list_organisations", tag = "organisations",
    security(("bearer" = [])),
    params(PageParameters, ConsistencyParameter),
    responses((status = 200, description = "A page of organisations", body = OrganisationPage, headers(
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let request = call.page(&[])?;
    let index = call.read_point().await?;
    let mut all = call.here.directory.organisations();
    all.retain(|view| is_shown(&call.caller, view.id));
    all.sort_by_key(|view| view.id);
    let (rows, page) =
        page_of(&call, &request, all, |view| Position::of_rank(u128::from_be_bytes(view.id.to_bytes())))?;
    let data = rows.into_iter().map(Into::into).collect();
    Ok((page::link(&call.uri, &page), stands_at(index), Json(OrganisationPage { data, page })).into_response())
}
