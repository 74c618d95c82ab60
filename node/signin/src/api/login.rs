//! Signs somebody in.

use axum::Extension;
use axum::response::Response;
use http::{HeaderMap, Method};
use node_access::body::{Object, PublicJson};
use node_access::doc::SignInProblems;
use node_access::settings::CameFrom;
use node_access::{Refused, cookies};
use residency_policy::{FieldError, Problem, ProblemKind, Role, SessionId};
use residency_tokens::cookie;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{AtDesk, SignedInBody, Tokens, signed_in};
use crate::cookies::{keep, refused};
use crate::hashing::Password;
use crate::login::{self, Shown};
use crate::{Desk, NotSignedIn, Opened, devices, logout};

/// What is shown to sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignIn)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// The organisation.
    #[schema(format = Uuid)]
    pub organisation: String,
    /// The name to sign in with, which the organisation gave out.
    #[schema(example = "robin@clinic.example")]
    pub login: String,
    /// The password.
    #[schema(format = Password, example = "a long sentence is a good one")]
    pub password: String,
    /// What the authenticator shows, where one is enrolled; or one of its recovery codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "123456")]
    pub code: Option<String>,
    /// As what, for whoever has several roles there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "provider")]
    pub role: Option<String>,
    /// `cookies` (if left out), for browsers: no script can read them. `body`, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(cookies|body)$", example = "body")]
    pub tokens: Option<String>,
}

/// Signs in. An access token is good for a quarter of an hour, and the refresh token for an hour after its last use. Whatever
/// is wrong, the answer is the same; after five failures in a row it is so for a while whatever is shown. A
/// browser that shows the cookie of a session gets a new one in its place; the one before ends.
#[utoipa::path(
    post, path = "/v1/auth/login", operation_id = "login", tag = "signing in",
    request_body(content = LoginBody, content_type = "application/json"),
    responses(
        (status = 200, description = "Signed in", body = SignedInBody,
         headers(("set-cookie" = String, description = "The tokens, unless they were asked for in the body"))),
        SignInProblems
    )
)]
pub async fn login(
    Extension(desk): AtDesk,
    CameFrom(from): CameFrom,
    method: Method,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let (shown, tokens) = read(&body)?;
    let before = before(&desk, &method, &headers, tokens)?;
    // What cannot be anybody's is told from what is nobody's by nothing.
    let shown = shown.ok_or(NotSignedIn::Nobody)?;
    let device = devices::Shown::of(&headers, &*desk.entropy);
    let opened = login::login(&desk, shown, &device, from).await;
    begun(&desk, opened, before, tokens, &device).await
}

/// The session that a browser gives up: it has one, its cookies are replaced, and nobody could end the one before.
pub(super) fn before(
    desk: &Desk,
    method: &Method,
    headers: &HeaderMap,
    tokens: Tokens,
) -> Result<Option<SessionId>, Problem> {
    match cookie::cookie(headers, cookie::REFRESH) {
        Some(held) if tokens == Tokens::Cookies => {
            cookies::from_our_own_page(method, headers)?;
            Ok(logout::session_of(desk, held))
        }
        _ => Ok(None),
    }
}

/// The answer to whoever showed what signs them in.
pub(super) async fn begun(
    desk: &Desk,
    opened: Result<Opened, NotSignedIn>,
    before: Option<SessionId>,
    tokens: Tokens,
    device: &devices::Shown,
) -> Result<Response, Refused> {
    match opened {
        Ok(opened) => {
            if let Some(before) = before {
                logout::end(desk, before).await?;
            }
            let mut response = signed_in(&opened, tokens)?;
            let kept = devices::after(desk, &opened.session, device, tokens == Tokens::Cookies).await;
            kept.map_or(Ok(()), |line| keep(response.headers_mut(), &line))?;
            Ok(response)
        }
        Err(NotSignedIn::DeviceNotAdmitted) => Err(refused(NotSignedIn::DeviceNotAdmitted, device.to_keep())),
        Err(error) => Err(error.into()),
    }
}

/// As what somebody wants to sign in.
pub(super) fn role_of(body: &Object) -> Result<Option<Role>, Problem> {
    match body.get("role").map(|role| role.as_str().and_then(|role| role.parse::<Role>().ok())) {
        None => Ok(None),
        Some(Some(role)) => Ok(Some(role)),
        Some(None) => {
            Err(Problem::new(ProblemKind::Invalid).field("/role", "not-a-code", "is a role such as provider"))
        }
    }
}

fn read(body: &Object) -> Result<(Option<Shown>, Tokens), Problem> {
    body.only(&["organisation", "login", "password", "code", "role", "tokens"])?;
    let tokens = Tokens::read(body)?;
    let missing = [("organisation", "/organisation"), ("login", "/login"), ("password", "/password")]
        .into_iter()
        .filter(|(name, _)| !body.has(name))
        .map(|(_, pointer)| FieldError { pointer, code: "required", detail: "is required" });
    let missing: Vec<FieldError> = missing.collect();
    if !missing.is_empty() {
        return Err(Problem::new(ProblemKind::Invalid).fields(missing));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let role = role_of(body)?;
    let shown = || {
        Some(Shown {
            org: text("organisation")?.parse().ok()?,
            name: text("login")?.to_ascii_lowercase().parse().ok()?,
            password: Password::new(text("password")?)?,
            code: body.has("code").then(|| text("code").unwrap_or_default().to_owned()),
            role,
        })
    };
    Ok((shown(), tokens))
}
