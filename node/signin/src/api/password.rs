//! Changes one's own password.

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use node_access::body::{Object, PublicJson};
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Refusal;
use residency_control::signin::SignInChange;
use residency_policy::{FieldError, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::authenticators::{own_account, password_again};
use super::invitations::PASSWORD_EXPECTED;
use super::{AtDesk, at};
use crate::hashing::Password;
use crate::login::second_again;
use crate::{NotSignedIn, guessable};

/// Changing one's own password.
pub struct Change;

impl Act for Change {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "password.change";
}

/// What changing a password asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPassword)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// The password until now: a session that was left open changes nothing.
    #[schema(format = Password)]
    pub current_password: String,
    /// The password from now on, chosen as at an invitation.
    #[schema(format = Password, min_length = 15, max_length = 256, example = "a long sentence is a good one")]
    pub new_password: String,
    /// What the authenticator shows, where one is enrolled; or one of its recovery codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "123456")]
    pub code: Option<String>,
}

struct Wanted<'b> {
    current: &'b str,
    new: Password,
    code: Option<&'b str>,
}

/// Replaces the password of whoever is signed in. Their other sessions end; this one goes on. A wrong current password or
/// code counts as a failed sign-in does.
#[utoipa::path(
    put, path = "/v1/auth/password", operation_id = "change_password", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = ChangeBody, content_type = "application/json"),
    responses(
        (status = 204, description = "The new one is in force",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn change(
    Extension(desk): AtDesk,
    call: OpenCall<Change>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let Wanted { current, new, code } = read(&body)?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    if account.password.is_none() {
        return Err(Problem::new(ProblemKind::IllegalTransition)
            .detail("there is no password to change: have an administrator invite you to choose one")
            .into());
    }
    password_again(&desk, &account, current).await?;
    let now = desk.now();
    let second = second_again(&desk, &account, session, code, now)?;
    guessable::refuse(&desk, &account, &new, "/new_password").await?;
    let password = desk.hashing.make(new, &*desk.entropy).await.map_err(NotSignedIn::from)?;
    let (org, user, expected) = (account.org, account.user, account.version);
    let change = SignInChange::ChangePassword { org, user, password, second, session, expected, at: now };
    let index = desk.propose(change).await?.map_err(|refusal| match refusal {
        Refusal::StaleVersion => Refused::from(
            Problem::new(ProblemKind::IllegalTransition).detail("what signs you in was changed meanwhile"),
        ),
        refusal => NotSignedIn::from(refusal).into(),
    })?;
    tracing::info!("a password was changed");
    Ok(at(StatusCode::NO_CONTENT.into_response(), index))
}

/// The longest code: a recovery code as people type it.
const CODE_LEN_MAX: usize = 40;

fn read(body: &Object) -> Result<Wanted<'_>, Problem> {
    body.only(&["current_password", "new_password", "code"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let current = text("current_password");
    let new = text("new_password").and_then(Password::new).filter(Password::is_long_enough);
    let code = text("code").filter(|code| code.len() <= CODE_LEN_MAX);
    let no_code = body.get("code").is_some_and(|value| !value.is_null()) && code.is_none();
    let (Some(current), Some(new), false) = (&current, &new, no_code) else {
        let missing = FieldError { pointer: "/current_password", code: "required", detail: "is required" };
        let short = FieldError { pointer: "/new_password", code: "format", detail: PASSWORD_EXPECTED };
        let long =
            FieldError { pointer: "/code", code: "format", detail: "expected what the authenticator shows" };
        let wrong =
            [current.is_none().then_some(missing), new.is_none().then_some(short), no_code.then_some(long)];
        return Err(Problem::new(ProblemKind::Invalid).fields(wrong.into_iter().flatten()));
    };
    Ok(Wanted { current, new: new.clone(), code })
}
