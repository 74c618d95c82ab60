//! Replaces an organisation's settings of signing in.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use node_access::body::{Object, PublicJson};
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::settings::CameFrom;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::signin::{Network, Networks, SignInChange, SignInSettings};
use residency_policy::{FieldError, OrgId, Problem, ProblemKind};
use serde_json::Value;

use super::SettingsBody;
use crate::api::{AtDesk, own_organisation, shown};
use crate::devices;

const NETWORKS_EXPECTED: &str = "expected at most 64 different networks or addresses such as 203.0.113.0/24 or \
                                 2001:db8:7::/48, with no bit set past the prefix";

/// Changing the settings.
pub struct Update;

impl Act for Update {
    const ENTITY: Entity = Entity::SignInSettings;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "sign_in_settings.update";
}

/// Replaces the settings of signing in of the caller's own organisation. It takes a session that was begun with a second
/// factor. A list of addresses without the one that this request comes from is refused, and so is known_devices_only
/// without a known device's cookie: it would shut out whoever set it.
#[utoipa::path(
    put, path = "/v1/orgs/{id}/sign-in-settings", operation_id = "replace_sign_in_settings", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), IfMatchHeader),
    request_body(content = SettingsBody, content_type = "application/json"),
    responses(
        (status = 200, description = "They are set", body = SettingsBody, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn replace(
    Extension(desk): AtDesk,
    call: OpenCall<Update>,
    CameFrom(from): CameFrom,
    headers: HeaderMap,
    if_match: IfMatch,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let settings = read(org, &body)?;
    if !settings.admit(from) {
        let detail = "would shut out the address that this change is made from: list a network that it is in";
        return Err(Problem::new(ProblemKind::Invalid).field("/addresses", "locks-out", detail).into());
    }
    call.catch_up().await?;
    let own = devices::Shown::of(&headers, &*desk.entropy);
    let own = call.caller.user.and_then(|user| own.known(&desk, org, user));
    if settings.known_devices_only && !own.is_some_and(|own| own.admitted) {
        let detail = "would shut out the device that this change is made on: sign in on it with a second factor first, and send its cookie";
        return Err(Problem::new(ProblemKind::Invalid)
            .field("/known_devices_only", "locks-out", detail)
            .into());
    }
    let expected = call.here.directory.settings(org).map_or(0, |known| known.version);
    if_match.check(expected)?;
    let body = SettingsBody::of(&settings);
    let change = SignInChange::PutSettings { settings, expected };
    let index = call.propose(Command::SignIn(change)).await?;
    Ok((shown(expected + 1, index.0), Json(body)).into_response())
}

fn read(org: OrgId, body: &Object) -> Result<SignInSettings, Problem> {
    body.only(&["second_factor_required", "known_devices_only", "addresses"])?;
    let known = body.get("known_devices_only").and_then(Value::as_bool);
    let wrong = |pointer, detail| FieldError { pointer, code: "format", detail };
    let second = body.get("second_factor_required").and_then(Value::as_bool);
    let networks = body.get("addresses").and_then(networks);
    match (second, known, networks) {
        (Some(second_factor_required), Some(known_devices_only), Some(networks)) => {
            let unset = SignInSettings::unset(org);
            Ok(SignInSettings { second_factor_required, known_devices_only, networks, ..unset })
        }
        (second, known, networks) => {
            let known = known.is_none().then(|| wrong("/known_devices_only", "expected true or false"));
            let second = second.is_none().then(|| wrong("/second_factor_required", "expected true or false"));
            let networks = networks.is_none().then(|| wrong("/addresses", NETWORKS_EXPECTED));
            Err(Problem::new(ProblemKind::Invalid).fields(second.into_iter().chain(known).chain(networks)))
        }
    }
}

fn networks(value: &Value) -> Option<Networks> {
    // Looked at before it is read: a body has room for many more.
    let listed = value.as_array().filter(|listed| listed.len() <= Networks::LEN_MAX)?;
    let read = listed.iter().map(|one| one.as_str()?.parse::<Network>().ok()).collect::<Option<Vec<_>>>()?;
    Networks::new(read).ok()
}
