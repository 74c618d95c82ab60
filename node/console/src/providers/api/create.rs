//! Adds a clinician, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use node_access::body::PublicJson;
use node_access::doc::{IdempotencyHeader, OpenChangeProblems};
use node_access::idempotency::{IdempotencyKey, derived};
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::{Command, Provider, ProviderOrgs};
use residency_policy::licensure::Attested;
use residency_policy::{Problem, ProblemKind, ProviderId, wire};

use super::changing::{Unchanged, collaborates, employs};
use crate::organisations;
use crate::providers::told;
use crate::providers::view::{NewProviderBody, ProviderBody};

/// Adding a clinician.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::Provider;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "provider.create";
}

/// Adds a clinician who works for the caller's organisation, and the licences that it answers for. Those take a second factor
/// that was shown within the hour, where an administrator has one. The answer comes when the change is durable on a quorum of
/// the control plane.
#[utoipa::path(
    post, path = "/v1/providers", operation_id = "create_provider", tag = "providers",
    security(("bearer" = [])),
    params(IdempotencyHeader),
    request_body(content = NewProviderBody, description = "The clinician", content_type = "application/json"),
    responses(
        (status = 201, description = "They were added", body = ProviderBody, headers(
            ("location" = String, description = "Where they are shown"),
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn create(
    call: OpenCall<Create>,
    key: IdempotencyKey,
    body: PublicJson,
) -> Result<Response, Refused> {
    let full = call.full()?;
    employs(&call.caller)?;
    let told = told::read(&body.0, call.caller.org)?;
    let own =
        ProviderOrgs::new(vec![call.caller.org]).map_err(|_| Refused::internal("provider.create: orgs"))?;
    if told.orgs.as_ref().is_some_and(|orgs| *orgs != own) {
        let detail = "each organisation is put there and taken away by its own administrator";
        return Err(Problem::new(ProblemKind::Forbidden).field("/organisations", "not-yours", detail).into());
    }
    let id = ProviderId::from_bytes(derived("provider id v1", &call.caller, &key));
    let provider = told.of(id, own, call.caller.org, &Attested::default())?;
    if provider.licences.by().next().is_some() {
        call.sure_enough()?;
    }
    collaborates(&call, &provider)?;
    let before = call.here.directory.provider(id).is_some();
    let command = Command::PutProvider { provider: provider.clone(), expected: 0 };
    let index = call.propose(command).await.map_err(Unchanged)?;
    let location = HeaderValue::from_str(&format!("/v1/providers/{id}"));
    let headers = organisations::shown(1, index);
    let body = Json(ProviderBody::of(&Provider { version: 1, ..provider }, None, full));
    let mut response = (StatusCode::CREATED, headers, body).into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, location.map_err(|_| Refused::internal("provider.create: location"))?);
    if before {
        headers.insert(HeaderName::from_static(wire::IDEMPOTENT_REPLAYED), HeaderValue::from_static("true"));
    }
    Ok(response)
}
