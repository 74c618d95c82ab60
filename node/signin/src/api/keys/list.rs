//! Lists an organisation's API keys.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use residency_control::machine::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyBody;
use crate::api::{at, own_organisation};

/// How long after it expired a key is still shown, in seconds: it may be rotated.
const SHOWN_SECONDS: i64 = State::KEY_KEPT_SECONDS;
// The text of the list says it in words.
const _: () = assert!(SHOWN_SECONDS == 90 * 86_400);

/// Listing API keys.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::ApiKey;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "api_key.list";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// The keys that are good, and those that expired lately.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyList)]
#[serde(deny_unknown_fields)]
pub struct KeyList {
    /// The keys.
    pub data: Vec<KeyBody>,
}

/// Lists the API keys of the caller's own organisation that were not revoked, without those that expired more than 90 days ago.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/api-keys", operation_id = "read_api_keys", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), ConsistencyParameter),
    responses((status = 200, description = "The keys", body = KeyList), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let index = call.read_point().await?;
    let now = call.here.clock.now().as_second();
    let keys = call.here.directory.keys_of(org).into_iter();
    let shown = keys.filter(|key| !key.revoked && key.expires.is_none_or(|at| now < at + SHOWN_SECONDS));
    let data = shown.map(|key| KeyBody::of(&key, now)).collect();
    Ok(at(Json(KeyList { data }).into_response(), index.0))
}
