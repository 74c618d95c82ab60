//! Invites somebody to choose a password, and takes the invitation up.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use node_access::body::{Object, PublicJson};
use node_access::doc::{OpenChangeProblems, SignInProblems};
use node_access::problem::not_found;
use node_access::settings::CameFrom;
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused, step_up_required};
use residency_control::signin::LoginName;
use residency_control::{Command, Refusal};
use residency_policy::{FieldError, Problem, ProblemKind, Role, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{AtDesk, at};
use crate::NotSignedIn;
use crate::hashing::{PASSWORD_LEN_MIN, Password};
use crate::invitation::{self, Token};

pub(super) const PASSWORD_EXPECTED: &str =
    "expected 15 characters or more, and at most 256 bytes: a sentence is a good one";
// The text above says it in words.
const _: () = assert!(PASSWORD_LEN_MIN == 15);

/// Whom to invite.
#[derive(Serialize, ToSchema)]
#[schema(as = NewInvitation)]
#[serde(deny_unknown_fields)]
pub struct NewInvitationBody {
    /// What they will sign in with, in lower case. Every node keeps it; the organisation has no second, and it never changes.
    #[schema(min_length = 3, max_length = 64, example = "robin@clinic.example")]
    pub login: String,
}

/// An invitation. This is the only time that its token is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Invitation)]
#[serde(deny_unknown_fields)]
pub struct InvitationBody {
    /// Whom.
    #[schema(format = Uuid)]
    pub user: String,
    /// What they will sign in with.
    pub login: String,
    /// To be given to them and nobody else: whoever has it chooses the password.
    pub invitation: String,
    /// Until when it is open.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Inviting a user.
pub struct Invite;

impl Act for Invite {
    const ENTITY: Entity = Entity::Invitation;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "invitation.create";
}

/// Invites a user of the caller's organisation to choose a password, also one who has forgotten theirs or lost their
/// authenticator. An earlier invitation ends. Taking it up forgets whatever signed in before, and ends their sessions. Where
/// an administrator has a second factor, it takes a session that was begun with one.
#[utoipa::path(
    post, path = "/v1/users/{id}/invitations", operation_id = "invite_user", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid)),
    request_body(content = NewInvitationBody, content_type = "application/json"),
    responses(
        (status = 201, description = "They are invited", body = InvitationBody,
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn invite(
    Extension(desk): AtDesk,
    call: OpenCall<Invite>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let user: UserId = call.path("id")?;
    let name = login_name(&body)?;
    call.catch_up().await?;
    let org = call.caller.org;
    let known = call.here.directory.user(user).ok_or_else(not_found)?;
    let there = known.memberships.of(org).ok_or_else(not_found)?;
    if !known.active || !there.active {
        return Err(Problem::new(ProblemKind::IllegalTransition).detail("they do not work here now").into());
    }
    if call.caller.assurance < 2 && has_a_sure_administrator(&call) {
        return Err(step_up_required().into());
    }
    let invited = invitation::mint(org, user, name.clone(), desk.now(), &*call.here.entropy);
    let index = match call.propose(Command::SignIn(invited.change)).await {
        Err(NotMade::Refused(Refusal::LoginNameTaken | Refusal::AlreadyKnown)) => {
            let why = "the login name is another user's, or this user has another one";
            return Err(Problem::new(ProblemKind::AlreadyExists).detail(why).into());
        }
        proposed => proposed?,
    };
    let body = InvitationBody {
        user: user.to_string(),
        login: name.to_string(),
        invitation: invited.token.reveal(),
        // A second after the epoch that this node's clock showed is one.
        expires_at: Timestamp::from_second(invited.expires).unwrap_or_default().to_string(),
    };
    Ok(at((StatusCode::CREATED, Json(body)).into_response(), index.0))
}

/// Whether an administrator of an organisation has a second factor. From then on nobody comes in on the word of one factor,
/// which whoever steals a key could give; before, the first administrator does.
fn has_a_sure_administrator(call: &OpenCall<Invite>) -> bool {
    let (org, directory) = (call.caller.org, &call.here.directory);
    let signins = directory.signins();
    let first = (org, UserId::from_bytes([0; 16]));
    let accounts = signins.accounts().iter_from(&first).take_while(|((of, _), _)| *of == org);
    let mut sure = accounts.filter(|(_, account)| signins.asks_for_more(account));
    sure.any(|((_, user), _)| directory.user(*user).is_some_and(|user| user.may_be(org, Role::OrgAdmin)))
}

fn login_name(body: &Object) -> Result<LoginName, Problem> {
    body.only(&["login"])?;
    let text = body.get("login").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = "expected 3 to 64 characters such as robin@clinic.example, in lower case";
        Problem::new(ProblemKind::Invalid).field("/login", "format", detail)
    })
}

/// What somebody takes an invitation up with.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedInvitation)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// The invitation's token.
    pub invitation: String,
    /// The password that they choose: any characters, as long as others do not guess it soon (NIST SP 800-63B-4, section
    /// 3.1.1.2). Frequent and breached ones, and what is made of names of theirs or of the organisation, are refused.
    #[schema(format = Password, min_length = 15, max_length = 256, example = "a long sentence is a good one")]
    pub password: String,
}

/// Takes an invitation up and sets the password. It signs nobody in.
#[utoipa::path(
    post, path = "/v1/auth/invitations/accept", operation_id = "accept_invitation", tag = "signing in",
    request_body(content = AcceptBody, content_type = "application/json"),
    responses(
        (status = 204, description = "The password is set",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        SignInProblems
    )
)]
pub async fn accept(
    Extension(desk): AtDesk,
    CameFrom(from): CameFrom,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["invitation", "password"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let wrong = |pointer, detail| FieldError { pointer, code: "format", detail };
    let token = text("invitation");
    let password = text("password").and_then(Password::new).filter(Password::is_long_enough);
    let (Some(token), Some(password)) = (token, password) else {
        let missing = token.is_none().then(|| wrong("/invitation", "is required"));
        let short = wrong("/password", PASSWORD_EXPECTED);
        return Err(Problem::new(ProblemKind::Invalid).fields(missing.into_iter().chain([short])).into());
    };
    let token = Token::parse(token).ok_or(NotSignedIn::Nobody)?;
    desk.admit(token.org(), from)?;
    let index = invitation::accept(&desk, &token, password).await?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), index))
}
