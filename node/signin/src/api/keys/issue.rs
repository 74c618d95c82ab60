//! Issues an API key.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::{Object, PublicJson};
use node_access::doc::OpenChangeProblems;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused};
use residency_control::api_keys::KeyChange;
use residency_control::{Command, JurisdictionSet, KeyStanding, KeyVerifier, Refusal, keys};
use residency_policy::{FieldError, Jurisdiction, KeyScope, KeyScopes, OrgType, Problem, ProblemKind, Role};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{EXPIRES_EXPECTED, IssuedBody, KeyBody, expires};
use crate::api::{at, own_organisation};

const ROLE_EXPECTED: &str = "expected a role that an organisation of this kind may have";
const SCOPES_EXPECTED: &str = "expected a list of scopes such as scheduling:read, each once, and at least one";
const JURISDICTIONS_EXPECTED: &str = "expected a list of ISO 3166-2 codes such as US-TX, all of them served by the organisation, and at least one";

/// Issuing an API key.
pub struct Issue;

impl Act for Issue {
    const ENTITY: Entity = Entity::ApiKey;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "api_key.issue";
}

/// What a key is to be.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// What its bearer may be: a role that an organisation of this kind may have.
    #[schema(example = "provider_staff")]
    pub role: String,
    /// For what it is issued. `write` includes `read`.
    #[schema(min_items = 1, max_items = 16, example = json!(["scheduling:write", "directory:read"]))]
    pub scopes: Vec<String>,
    /// Where it works; everywhere that the organisation does, if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 57, example = json!(["US-TX"]))]
    pub jurisdictions: Option<Vec<String>>,
    /// From when on it is refused: at most 366 days ahead.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// What was read of it.
struct Wanted {
    role: Role,
    scopes: KeyScopes,
    jurisdictions: JurisdictionSet,
    expires: i64,
}

/// Issues an API key of the caller's own organisation. It takes a second factor that was shown within the hour. A request
/// that is repeated issues another key.
#[utoipa::path(
    post, path = "/v1/orgs/{id}/api-keys", operation_id = "issue_api_key", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid)),
    request_body(content = NewKeyBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It is good", body = IssuedBody,
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn issue(call: OpenCall<Issue>, PublicJson(body): PublicJson) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    call.catch_up().await?;
    let serves = call.here.directory.organisation(org).ok_or_else(not_found)?.serves.iter().collect();
    let now = call.here.clock.now().as_second();
    let Wanted { role, scopes, jurisdictions, expires } = read(&body, (call.caller.org_type, serves), now)?;
    let minted = keys::mint(&*call.here.entropy);
    let (key, secret_sha256) = (minted.key, minted.secret_sha256);
    let verifier =
        KeyVerifier { key, org, role, jurisdictions, secret_sha256, revoked: false, expires: Some(expires) };
    let change = Command::Key(KeyChange::Issue { verifier, scopes, at: now });
    let index = call.propose(change).await.map_err(|not_made| match not_made {
        NotMade::Refused(Refusal::Full) => Problem::new(ProblemKind::IllegalTransition)
            .detail("the organisation has as many keys as it may: revoke one that nobody uses")
            .into(),
        other => Refused::from(other),
    })?;
    let issued = KeyStanding {
        key,
        role,
        jurisdictions,
        user: None,
        scopes,
        created: Some(now),
        expires: Some(expires),
        overlap_until: None,
        last_used: None,
        revoked: false,
        version: 1,
    };
    let body = IssuedBody { key: KeyBody::of(&issued, now), secret: minted.text.reveal().to_owned() };
    Ok(at((StatusCode::CREATED, Json(body)).into_response(), index.0))
}

fn read(body: &Object, (kind, serves): (OrgType, JurisdictionSet), now: i64) -> Result<Wanted, Problem> {
    body.only(&["role", "scopes", "jurisdictions", "expires_at"])?;
    let role = body.get("role").and_then(Value::as_str).and_then(|role| role.parse().ok());
    let role = role.filter(|role: &Role| kind.may_have(*role));
    let scopes = body.get("scopes").and_then(scopes);
    let jurisdictions = match body.get("jurisdictions") {
        None => Some(serves),
        Some(listed) => jurisdictions(listed, serves),
    };
    let expires = expires(body, now);
    if let (Some(role), Some(scopes), Some(jurisdictions), Some(expires)) =
        (role, scopes, jurisdictions, expires)
    {
        return Ok(Wanted { role, scopes, jurisdictions, expires });
    }
    let wrong = [
        (role.is_none(), "/role", ROLE_EXPECTED),
        (scopes.is_none(), "/scopes", SCOPES_EXPECTED),
        (jurisdictions.is_none(), "/jurisdictions", JURISDICTIONS_EXPECTED),
        (expires.is_none(), "/expires_at", EXPIRES_EXPECTED),
    ];
    let wrong = wrong.into_iter().filter(|(wrong, ..)| *wrong);
    let fields = wrong.map(|(_, pointer, detail)| FieldError { pointer, code: "format", detail });
    Err(Problem::new(ProblemKind::Invalid).fields(fields))
}

fn scopes(value: &Value) -> Option<KeyScopes> {
    let listed = value.as_array().filter(|listed| (1..=KeyScope::ALL.len()).contains(&listed.len()))?;
    let read = listed.iter().map(|one| one.as_str()?.parse().ok()).collect::<Option<Vec<KeyScope>>>()?;
    let scopes: KeyScopes = read.iter().copied().collect();
    (scopes.iter().count() == read.len()).then_some(scopes)
}

fn jurisdictions(value: &Value, serves: JurisdictionSet) -> Option<JurisdictionSet> {
    let listed = value.as_array().filter(|listed| (1..=57).contains(&listed.len()))?;
    let read = listed.iter().map(|one| one.as_str()?.parse().ok().filter(|place| serves.contains(*place)));
    read.collect::<Option<Vec<Jurisdiction>>>().map(|places| places.into_iter().collect())
}
