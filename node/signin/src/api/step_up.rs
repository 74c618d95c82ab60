//! Shows a second factor again in a session that goes on.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::PublicJson;
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Refusal;
use residency_control::signin::SignInChange;
use residency_policy::{Problem, ProblemKind};

use super::authenticators::{ConfirmBody, own_account, six_digits};
use super::{AtDesk, at};
use crate::NotSignedIn;
use crate::login::second;

/// Showing a second factor again.
pub struct StepUp;

impl Act for StepUp {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "session.step_up";
}

/// Shows a code of the caller's authenticator again. What takes a second factor is allowed for an hour after it was shown,
/// at every node; the session and its tokens go on as they are. A code is good once, and a wrong one counts as a failed
/// sign-in does. A recovery code is for signing in.
#[utoipa::path(
    post, path = "/v1/auth/step-up", operation_id = "step_up", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = ConfirmBody, content_type = "application/json"),
    responses(
        (status = 204, description = "It counts for an hour",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn step_up(
    Extension(desk): AtDesk,
    call: OpenCall<StepUp>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let code = six_digits(&body)?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    if !account.has_authenticator() {
        return Err(Problem::new(ProblemKind::IllegalTransition)
            .detail(
                "there is no authenticator: enrol one at /v1/auth/totp, or sign in again through your provider",
            )
            .into());
    }
    let now = desk.now();
    // During a lock-out nothing is looked at, here as at the sign-in.
    if now < account.not_before {
        return Err(NotSignedIn::Nobody.into());
    }
    let second = second(&desk, &account, Some(code), now)?;
    let (org, user, expected) = (account.org, account.user, account.version);
    let change = SignInChange::StepUp { org, user, second, session, expected, at: now };
    let index = desk.propose(change).await?.map_err(|refusal| match refusal {
        Refusal::StaleVersion => Refused::from(
            Problem::new(ProblemKind::IllegalTransition).detail("what signs you in was changed meanwhile"),
        ),
        refusal => NotSignedIn::from(refusal).into(),
    })?;
    tracing::info!("a second factor was shown again");
    Ok(at(StatusCode::NO_CONTENT.into_response(), index))
}
