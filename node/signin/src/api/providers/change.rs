//! Changes an identity provider's secret or domain, or sets it aside.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use node_access::body::{Object, PublicMergePatch};
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Command;
use residency_control::signin::{IdentityProvider, Preset, RoleMapping, SignInChange};
use residency_policy::{FieldError, OrgType, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::create::{DOMAIN_EXPECTED, SECRET_EXPECTED, domain, secret};
use super::role_mapping::{self, RoleMappingBody};
use super::{ProviderBody, own_provider, shown};
use crate::api::AtDesk;
use crate::federation::client_secret;
use crate::{Desk, NotSignedIn};

/// Changing an identity provider.
pub struct Update;

impl Act for Update {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "identity_provider.update";
}

/// What of an identity provider is to change. Its issuer and client never do: whom it called what rests on them.
#[derive(Serialize, ToSchema)]
#[schema(as = IdentityProviderPatch)]
#[serde(deny_unknown_fields)]
pub struct ProviderPatch {
    /// A new secret, for one that is about to expire.
    #[schema(required = false, format = Password, min_length = 1, max_length = 126)]
    pub client_secret: String,
    /// The domain whose verified addresses it may vouch for; `null` takes it away.
    #[schema(required = false, max_length = 60, example = "clinic.example")]
    pub mail_domain: Option<String>,
    /// Whether anybody may come in through it. Once set aside, the sessions of everybody linked to it end.
    #[schema(required = false)]
    pub active: bool,
    /// What its groups make of people, from their next sign-in on, in place of what was said before; `null` takes it away.
    #[schema(required = false)]
    pub role_mapping: Option<RoleMappingBody>,
}

/// Changes an identity provider of the caller's own organisation by merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/v1/orgs/{id}/identity-providers/{provider}", operation_id = "update_identity_provider",
    tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("provider" = String, Path, description = "The provider.", format = Uuid),
        IfMatchHeader
    ),
    request_body(description = "What is to change", content(
        (ProviderPatch = "application/merge-patch+json"), (ProviderPatch = "application/json")
    )),
    responses(
        (status = 200, description = "It was changed", body = ProviderBody, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn update(
    Extension(desk): AtDesk,
    call: OpenCall<Update>,
    if_match: IfMatch,
    PublicMergePatch(patch): PublicMergePatch,
) -> Result<Response, Refused> {
    let caught_up = call.catch_up().await?;
    let before = own_provider(&call)?;
    if_match.check(before.version)?;
    let decided = call.here.directory.signins().federation().mapping(before.id).map(|one| (**one).clone());
    let after = patched(&desk, &before, &patch)?;
    let decides = mapping(&patch, before.preset, call.caller.org_type, decided.as_ref())?;
    let (body, expected) = (ProviderBody::of(&after, decides.as_ref()), before.version);
    if after == *before && decides == decided {
        return Ok((shown(expected, caught_up.0), Json(body)).into_response());
    }
    let change = if decides == decided {
        SignInChange::ChangeIdentityProvider { provider: after, expected }
    } else {
        SignInChange::PutIdentityProvider { provider: after, mapping: decides, expected }
    };
    let index = call.propose(Command::SignIn(change)).await?;
    Ok((shown(expected + 1, index.0), Json(body)).into_response())
}

fn mapping(
    patch: &Object,
    preset: Preset,
    kind: OrgType,
    before: Option<&RoleMapping>,
) -> Result<Option<RoleMapping>, Problem> {
    let wrong = || Problem::new(ProblemKind::Invalid).field("/role_mapping", "format", role_mapping::EXPECTED);
    match patch.get("role_mapping") {
        None => Ok(before.cloned()),
        Some(Value::Null) => Ok(None),
        Some(value) => role_mapping::read(value, preset, kind).map(Some).ok_or_else(wrong),
    }
}

fn patched(desk: &Desk, before: &IdentityProvider, patch: &Object) -> Result<IdentityProvider, Refused> {
    patch.only(&["client_secret", "mail_domain", "active", "role_mapping"])?;
    let mut after = before.clone();
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    match patch.get("client_secret").map(secret) {
        None => {}
        Some(None) => note("/client_secret", SECRET_EXPECTED),
        Some(Some(secret)) => {
            let sealed = client_secret::seal(&desk.keys, (before.org, before.id), secret, &*desk.entropy);
            after.secret = Some(sealed.ok_or(NotSignedIn::NotOffered)?);
        }
    }
    match patch.get("mail_domain") {
        None => {}
        Some(Value::Null) => after.mail_domain = None,
        Some(value) => match domain(value) {
            Some(domain) => after.mail_domain = Some(domain),
            None => note("/mail_domain", DOMAIN_EXPECTED),
        },
    }
    match patch.get("active") {
        None => {}
        Some(Value::Bool(active)) => after.active = *active,
        Some(_) => note("/active", "expected true or false"),
    }
    if wrong.is_empty() { Ok(after) } else { Err(Problem::new(ProblemKind::Invalid).fields(wrong).into()) }
}
