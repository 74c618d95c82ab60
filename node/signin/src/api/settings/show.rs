//! Shows an organisation's settings of signing in.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use node_access::doc::{ConsistencyParameter, OpenProblems};
use node_access::{Act, Action, Entity, OpenCall, Refused, change};
use residency_control::signin::SignInSettings;

use super::SettingsBody;
use crate::api::{own_organisation, shown};

/// Reading the settings.
pub struct Read;

impl Act for Read {
    const ENTITY: Entity = Entity::SignInSettings;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "sign_in_settings.read";
    const PARAMETERS: &'static [&'static str] = &[change::CONSISTENCY];
}

/// Shows the settings of signing in of the caller's own organisation.
#[utoipa::path(
    get, path = "/v1/orgs/{id}/sign-in-settings", operation_id = "read_sign_in_settings", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), ConsistencyParameter),
    responses(
        (status = 200, description = "The settings", body = SettingsBody, headers(
            ("etag" = String, description = "Their version; `\"0\"` before they were first set"),
            ("x-log-index" = u64, description = "How far in the replicated log this is")
        )),
        OpenProblems
    )
)]
pub async fn show(call: OpenCall<Read>) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let index = call.read_point().await?;
    let settings = call.here.directory.settings(org);
    let settings = settings.map_or_else(|| SignInSettings::unset(org), |one| SignInSettings::clone(&one));
    Ok((shown(settings.version, index.0), Json(SettingsBody::of(&settings))).into_response())
}
