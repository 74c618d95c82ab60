//! Shows people their own passkeys.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use serde::Serialize;
use utoipa::ToSchema;

use super::PasskeyBody;
use crate::api::at;

/// Passkeys. There are eight of one user at most, so they come at once.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyList)]
#[serde(deny_unknown_fields)]
pub struct PasskeyListBody {
    /// The passkeys, the latest first.
    pub data: Vec<PasskeyBody>,
}

/// Listing one's own passkeys.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "passkey.list";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows the caller's own passkeys. An API key has none.
#[utoipa::path(
    get, path = "/v1/auth/authenticators/passkeys", operation_id = "read_passkeys", tag = "signing in",
    security(("bearer" = [])),
    params(ConsistencyParameter),
    responses((status = 200, description = "The passkeys", body = PasskeyListBody), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let index = call.read_point().await?;
    let signins = call.here.directory.signins();
    // A key acts for somebody, and is not they.
    let whose = call.caller.session.and(call.caller.user);
    let mut own: Vec<_> =
        whose.into_iter().flat_map(|user| signins.passkeys_of(call.caller.org, user)).collect();
    own.sort_unstable_by_key(|one| (std::cmp::Reverse(one.added), one.id));
    let data = own.into_iter().map(|one| PasskeyBody::of(one)).collect();
    Ok(at(Json(PasskeyListBody { data }).into_response(), index.0))
}
