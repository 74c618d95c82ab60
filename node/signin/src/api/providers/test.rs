//! Asks an identity provider whether it is there and is who it should be.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use node_access::body::Nothing;
use node_access::doc::OpenQuestionProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::signin::Preset;
use serde::Serialize;
use utoipa::ToSchema;

use super::own_provider;
use crate::NotSignedIn;
use crate::api::AtDesk;
use crate::federation::{NotShown, discovery, github};

/// Trying an identity provider.
pub struct Test;

impl Act for Test {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::Read;
    const NAME: &'static str = "identity_provider.test";
}

/// How an identity provider answered.
#[derive(Serialize, ToSchema)]
#[schema(as = IdentityProviderTest)]
#[serde(deny_unknown_fields)]
pub struct TestBody {
    /// Whether people can be sent to it.
    pub usable: bool,
    /// Why not: `unreachable`, `late`, `out-of-order`, `address-not-asked`, `discovery-refused`, `discovery-unreadable`, `another-issuer`
    /// or `endpoints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "another-issuer")]
    pub reason: Option<&'static str>,
}

/// Asks an identity provider of the caller's own organisation for its discovery document and its keys, past what is
/// remembered of it. Of GitHub it asks whether the API answers.
#[utoipa::path(
    post, path = "/v1/orgs/{id}/identity-providers/{provider}/test", operation_id = "test_identity_provider",
    tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("provider" = String, Path, description = "The provider.", format = Uuid)
    ),
    responses((status = 200, description = "What came of it", body = TestBody), OpenQuestionProblems)
)]
pub async fn test(Extension(desk): AtDesk, call: OpenCall<Test>, _: Nothing) -> Result<Response, Refused> {
    let provider = own_provider(&call)?;
    let out = &desk.federated.out;
    let asked = match provider.preset {
        Preset::Github => github::ask(out, &provider).await,
        _ => discovery::ask(out, &provider.issuer).await.map(|_| ()),
    };
    let reason = match asked {
        Ok(()) => None,
        Err(NotShown::Unavailable(what) | NotShown::Wrong(what)) => Some(what),
        Err(NotShown::Busy) => return Err(NotSignedIn::Busy.into()),
    };
    Ok(Json(TestBody { usable: reason.is_none(), reason }).into_response())
}
