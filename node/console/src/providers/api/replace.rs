//! Replaces what is known of a clinician, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::PublicJson;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems, ProviderPath};
use node_access::etag::IfMatch;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::{Command, Provider};
use residency_policy::ProviderId;

use super::changing::{Unchanged, collaborates, employs, in_order, may_change};
use crate::organisations;
use crate::providers::told;
use crate::providers::view::{NewProviderBody, ProviderBody};

/// Replacing what is known of a clinician.
pub struct Replace;

impl Act for Replace {
    const ENTITY: Entity = Entity::Provider;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "provider.replace";
}

/// Replaces what is known of a clinician: whatever is left out is gone, but the organisations, and the licences that others
/// entered. The caller's organisation is one that they work for, or joins them with nothing else changed. It changes the
/// licences that it entered itself, which takes a second factor that was shown within the hour where an administrator has
/// one; those that it leaves with are gone. What is common to all is kept by the first of the organisations.
#[utoipa::path(
    put, path = "/v1/providers/{id}", operation_id = "replace_provider", tag = "providers",
    security(("bearer" = [])),
    params(ProviderPath, IfMatchHeader),
    request_body(content = NewProviderBody, description = "The clinician", content_type = "application/json"),
    responses(
        (status = 200, description = "They were changed", body = ProviderBody, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn replace(
    call: OpenCall<Replace>,
    if_match: IfMatch,
    body: PublicJson,
) -> Result<Response, Refused> {
    let full = call.full()?;
    employs(&call.caller)?;
    let told = told::read(&body.0, call.caller.org)?;
    let id: ProviderId = call.path("id")?;
    // The version that the caller has read may be of another node.
    let caught_up = call.catch_up().await?;
    let before = call.here.directory.provider(id).ok_or_else(not_found)?;
    if_match.check(before.version)?;
    let orgs = told.orgs.as_ref().map_or_else(|| before.orgs.clone(), |named| in_order(&before.orgs, named));
    let after = told.of(id, orgs, call.caller.org, &before.licences)?;
    may_change(call.caller.org, &before, &after)?;
    if after.licences != before.licences {
        call.sure_enough()?;
    }
    collaborates(&call, &after)?;
    if (Provider { version: before.version, ..after.clone() }) == *before {
        let headers = organisations::shown(before.version, caught_up);
        return Ok((headers, Json(ProviderBody::of(&before, None, full))).into_response());
    }
    let command = Command::PutProvider { provider: after.clone(), expected: before.version };
    let index = call.propose(command).await.map_err(Unchanged)?;
    let headers = organisations::shown(before.version + 1, index);
    Ok((headers, Json(ProviderBody::of(&after, None, full))).into_response())
}
