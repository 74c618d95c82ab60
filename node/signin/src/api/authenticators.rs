//! Enrols an authenticator.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::StatusCode;
use node_access::body::{Object, PublicJson};
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::Refusal;
use residency_control::signin::{Account, SignInChange};
use residency_policy::{Problem, ProblemKind, SessionId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{AtDesk, at};
use crate::hashing::Password;
use crate::login::{note_failure, second_again, use_up};
use crate::{Desk, NotSignedIn};

/// Enrolling an authenticator.
pub struct Enrol;

impl Act for Enrol {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "authenticator.enrol";
}

/// Confirming it.
pub struct Confirm;

impl Act for Confirm {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "authenticator.confirm";
}

/// What enrolling asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAuthenticator)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// The password again: a session that was left open enrols nothing.
    #[schema(format = Password)]
    pub password: String,
}

/// An authenticator that is not asked for yet. This is the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Authenticator)]
#[serde(deny_unknown_fields)]
pub struct EnrolledBody {
    /// The secret, in base32.
    pub secret: String,
    /// The same for an authenticator's camera, as a picture of it would say.
    #[schema(
        example = "otpauth://totp/Domicile:robin%40clinic.example?secret=JBSWY3DPEHPK3PXP&issuer=Domicile"
    )]
    pub uri: String,
    /// Codes for when it is lost, each good once.
    #[schema(min_items = 10, max_items = 10)]
    pub recovery_codes: Vec<String>,
}

/// What confirming asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthenticatorCode)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// What the authenticator shows now.
    #[schema(pattern = "^[0-9]{6}$", example = "123456")]
    pub code: String,
}

/// Makes a secret for an authenticator (RFC 6238) of whoever is signed in. It is asked for once a code of it was shown.
#[utoipa::path(
    post, path = "/v1/auth/totp", operation_id = "enrol_authenticator", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = EnrolBody, content_type = "application/json"),
    responses((status = 201, description = "To be confirmed", body = EnrolledBody), OpenChangeProblems)
)]
pub async fn enrol(
    Extension(desk): AtDesk,
    call: OpenCall<Enrol>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let password = text(&body, "password", "/password")?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    password_again(&desk, &account, password).await?;
    if !account.has_authenticator() {
        // Whoever has passkeys shows that they have one; of whoever has nothing, nothing is asked.
        code_again(&desk, &account, session, None).await?;
    }
    let (org, user) = (account.org, account.user);
    let enrolled = desk.keys.enrol(org, user, &*desk.entropy).ok_or_else(|| {
        Problem::new(ProblemKind::IllegalTransition)
            .detail("this cluster was given no key to keep authenticators with")
    })?;
    let (totp, recovery, expected) = (enrolled.totp, enrolled.recovery, account.version);
    made(&desk, SignInChange::EnrolTotp { org, user, totp, recovery, expected }).await?;
    let label = account.name.as_str().replace('@', "%40").replace('+', "%2B");
    let uri = format!("otpauth://totp/Domicile:{label}?secret={}&issuer=Domicile", enrolled.secret);
    let body = EnrolledBody { secret: enrolled.secret, uri, recovery_codes: enrolled.codes };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// From now on the authenticator is asked for whenever they sign in. Their other sessions end; this one counts as signed in
/// with it.
#[utoipa::path(
    post, path = "/v1/auth/totp/confirm", operation_id = "confirm_authenticator", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = ConfirmBody, content_type = "application/json"),
    responses(
        (status = 204, description = "It is asked for from now on",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn confirm(
    Extension(desk): AtDesk,
    call: OpenCall<Confirm>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let code = six_digits(&body)?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    let now = desk.now();
    if account.has_authenticator() || account.totp.is_none() {
        return Err(Problem::new(ProblemKind::IllegalTransition).detail("there is none to confirm").into());
    }
    let step = desk.keys.step(&account, code, now).ok_or_else(|| {
        Problem::new(ProblemKind::Invalid).field("/code", "wrong", "is not what the authenticator shows now")
    })?;
    let (org, user, expected) = (account.org, account.user, account.version);
    let index = made(&desk, SignInChange::ConfirmTotp { org, user, step, session, expected }).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index))
}

/// Refuses whoever does not know the password of the account that they are signed in to.
pub(super) async fn password_again(desk: &Desk, account: &Account, shown: &str) -> Result<(), NotSignedIn> {
    let now = desk.now();
    let looked_at = now >= account.not_before;
    let same = match Password::new(shown) {
        Some(password) => desk.hashing.verify(password, account.password.clone()).await?,
        None => false,
    };
    if looked_at && !same {
        note_failure(desk, account, now);
    }
    if looked_at && same { Ok(()) } else { Err(NotSignedIn::Nobody) }
}

/// Refuses whoever has an authenticator and shows no code of it, or one that was used. The code is used up.
pub(super) async fn code_again(
    desk: &Desk,
    account: &Account,
    session: SessionId,
    shown: Option<&str>,
) -> Result<(), NotSignedIn> {
    let at = desk.now();
    let second = second_again(desk, account, session, shown, at)?;
    use_up(desk, account, second, at).await
}

/// The account of whoever is signed in. A key has none.
pub(super) fn own_account<A: Act>(call: &OpenCall<A>) -> Result<(Account, SessionId), Problem> {
    let caller = &call.caller;
    let held = caller.session.zip(caller.user).and_then(|(session, user)| {
        let account = call.here.directory.signins().account(caller.org, user).cloned()?;
        Some((Account::clone(&account), session))
    });
    held.ok_or_else(|| {
        Problem::new(ProblemKind::IllegalTransition)
            .detail("an API key has no authenticator: sign in as somebody")
    })
}

async fn made(desk: &Desk, change: SignInChange) -> Result<u64, Refused> {
    desk.propose(change).await?.map_err(|refusal| match refusal {
        Refusal::AlreadyKnown | Refusal::StaleVersion => Problem::new(ProblemKind::IllegalTransition)
            .detail("an authenticator is enrolled, or was meanwhile")
            .into(),
        refusal => NotSignedIn::from(refusal).into(),
    })
}

/// The only member of a body: what an authenticator shows.
pub(super) fn six_digits(body: &Object) -> Result<&str, Problem> {
    let code = text(body, "code", "/code")?;
    if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::new(ProblemKind::Invalid).field("/code", "format", "is six digits"));
    }
    Ok(code)
}

fn text<'b>(body: &'b Object, name: &'static str, pointer: &'static str) -> Result<&'b str, Problem> {
    body.only(&[name])?;
    let text = body.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Problem::new(ProblemKind::Invalid).field(pointer, "required", "is required"))
}
