//! Forgets a passkey of whoever is signed in.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::Nothing;
use node_access::doc::OpenChangeProblems;
use node_access::problem::not_found;
use node_access::{Act, Action, Entity, OpenCall, Refused, step_up_required};
use residency_control::Refusal;
use residency_control::signin::SignInChange;
use residency_policy::PasskeyId;

use crate::NotSignedIn;
use crate::api::authenticators::own_account;
use crate::api::{AtDesk, at};

/// How long ago the session may have begun, in seconds: one that was left open takes nothing away.
const FRESH_SECONDS: i64 = 15 * 60;

/// Forgetting a passkey.
pub struct Remove;

impl Act for Remove {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "passkey.remove";
}

/// Forgets a passkey of the caller's own: it signs nobody in any more, and their other sessions end. It takes a session that was
/// begun with two factors in the last quarter of an hour.
#[utoipa::path(
    delete, path = "/v1/auth/authenticators/passkeys/{id}", operation_id = "remove_passkey", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The passkey.", format = Uuid)),
    responses(
        (status = 204, description = "It is forgotten",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn remove(Extension(desk): AtDesk, call: OpenCall<Remove>, _: Nothing) -> Result<Response, Refused> {
    let id: PasskeyId = call.path("id")?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    let (org, user) = (account.org, account.user);
    let signins = desk.directory.signins();
    if signins.passkey(org, user, id).is_none() {
        return Err(not_found().into());
    }
    let now = desk.now();
    let fresh = signins.session(session).is_some_and(|held| now < signins.assured_at(held) + FRESH_SECONDS);
    if !fresh || call.caller.assurance < 2 {
        return Err(step_up_required()
            .detail("sign in again, with a passkey or a code of your authenticator, and remove it then")
            .into());
    }
    match desk.propose(SignInChange::RemovePasskey { org, user, id, session }).await? {
        Ok(index) => Ok(at(StatusCode::NO_CONTENT.into_response(), index)),
        Err(Refusal::UnknownPasskey) => Err(not_found().into()),
        Err(refusal) => Err(NotSignedIn::from(refusal).into()),
    }
}
