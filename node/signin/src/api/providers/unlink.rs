//! Forgets what an identity provider calls one person.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::OpenChangeProblems;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused};
use residency_control::signin::SignInChange;
use residency_control::{Command, Refusal};
use residency_policy::UserId;

use super::own_provider;
use crate::api::at;

/// Unlinking.
pub struct Unlink;

impl Act for Unlink {
    const ENTITY: Entity = Entity::IdentityProvider;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "identity_provider.unlink";
}

/// Forgets what an identity provider of the caller's own organisation calls one user, and ends that user's sessions. They come
/// in through it again once they are linked anew: by an invitation, from a session, or by their verified address.
#[utoipa::path(
    delete, path = "/v1/orgs/{id}/identity-providers/{provider}/links/{user}", operation_id = "unlink_user",
    tag = "signing in",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The organisation.", format = Uuid),
        ("provider" = String, Path, description = "The provider.", format = Uuid),
        ("user" = String, Path, description = "The user.", format = Uuid)
    ),
    responses(
        (status = 204, description = "They are not linked",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn unlink(call: OpenCall<Unlink>, _: Nothing) -> Result<Response, Refused> {
    call.catch_up().await?;
    let provider = own_provider(&call)?;
    let user: UserId = call.path("user")?;
    let change = SignInChange::Unlink { org: provider.org, user, provider: provider.id };
    let index = call.propose(Command::SignIn(change)).await.map_err(|not_made| match not_made {
        NotMade::Refused(Refusal::UnknownAccount) => Refused::from(not_found()),
        other => other.into(),
    })?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index.0))
}
