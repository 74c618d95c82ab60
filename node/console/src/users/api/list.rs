//! Lists the users of the caller's organisation.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems, PageParameters};
use node_access::page::{self, Position};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use residency_policy::UserId;

use crate::organisations::stands_at;
use crate::users::own::own_organisation;
use crate::users::{UserBody, UserPage};

/// Listing users.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "user.list";
    const PARAMETERS: &'static [&'static str] = &["limit", "cursor", change::CONSISTENCY];
}

/// Lists the users of the caller's own organisation, those who work there no longer included.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/users", operation_id = "list_users", tag = "users",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        PageParameters, ConsistencyParameter
    ),
    responses((status = 200, description = "A page of users", body = UserPage, headers(
        ("x-log-index" = u64, description = "How far in the replicated log the answer is")
    )), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let request = call.page(&[])?;
    let index = call.read_point().await?;
    let after = request.after.map(|after| UserId::from(after.id));
    let fetch = usize::try_from(request.fetch()).unwrap_or(usize::MAX);
    let mut users = call.here.directory.users_of(org, after, fetch);
    let place = |user: &std::sync::Arc<residency_control::User>| {
        Position::of_rank(u128::from_be_bytes(user.id.to_bytes()))
    };
    let page = request.cut(&mut users, &*call.here.entropy, place)?;
    let body = |user: &std::sync::Arc<residency_control::User>| {
        Some(UserBody::of(user, user.memberships.of(org)?, call.here.directory.clinician(user.id, org)))
    };
    let data = users.iter().filter_map(body).collect();
    Ok((page::link(&call.uri, &page), stands_at(index), Json(UserPage { data, page })).into_response())
}
