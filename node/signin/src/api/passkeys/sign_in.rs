//! Signs somebody in with a passkey.

use axum::Extension;
use axum::response::Response;
use http::{HeaderMap, Method};
use node_access::Refused;
use node_access::body::PublicJson;
use node_access::doc::PasskeyProblems;
use node_access::settings::CameFrom;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use webauthn_rs_core::proto::PublicKeyCredential;

use super::brought;
use crate::api::login::{before, begun, role_of};
use crate::api::{AtDesk, SignedInBody, Tokens};
use crate::passkeys::ceremony::Ceremony;
use crate::passkeys::sign_in::{Brought, finish};
use crate::{NotSignedIn, devices};

/// What is brought to sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignInWithPasskey)]
#[serde(deny_unknown_fields)]
pub struct SignInBody {
    /// The ceremony that the challenge came with.
    #[schema(max_length = 12_288)]
    pub ceremony: String,
    /// What the authenticator made.
    pub credential: AssertionBody,
    /// As what, for whoever has several roles there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "provider")]
    pub role: Option<String>,
    /// `cookies` (if left out), for browsers: no script can read them. `body`, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(cookies|body)$", example = "body")]
    pub tokens: Option<String>,
}

/// A credential of `navigator.credentials.get()`, as its `toJSON()` spells it. Bytes are in base64url.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAssertion)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssertionBody {
    /// What the authenticator calls the passkey.
    pub id: String,
    /// The same.
    pub raw_id: String,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was signed.
    pub response: AssertionResponseBody,
    /// Where the authenticator is. It is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<String>,
    /// What came of the extensions. None is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub client_extension_results: Option<Value>,
}

/// What an authenticator signed.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAssertionResponse)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssertionResponseBody {
    /// What the browser says: the challenge, and the page that asked.
    #[serde(rename = "clientDataJSON")]
    #[schema(max_length = 16_384)]
    pub client_data_json: String,
    /// What the authenticator says.
    #[schema(max_length = 16_384)]
    pub authenticator_data: String,
    /// Its signature over both.
    #[schema(max_length = 16_384)]
    pub signature: String,
    /// Whose passkey it is.
    pub user_handle: String,
}

const MADE: &[&str] = &["clientDataJSON", "authenticatorData", "signature", "userHandle"];

/// Signs in with a passkey. No password is asked for, and the session counts as begun with two factors: the authenticator
/// verified its holder. Whatever is wrong, the answer is the same. A browser that shows the cookie of a session gets a new one
/// in its place; the one before ends.
#[utoipa::path(
    post, path = "/v1/auth/passkeys", operation_id = "sign_in_with_passkey", tag = "signing in",
    request_body(content = SignInBody, content_type = "application/json"),
    responses(
        (status = 200, description = "Signed in", body = SignedInBody,
         headers(("set-cookie" = String, description = "The tokens, unless they were asked for in the body"))),
        PasskeyProblems
    )
)]
pub async fn sign_in(
    Extension(desk): AtDesk,
    CameFrom(from): CameFrom,
    method: Method,
    headers: HeaderMap,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["ceremony", "credential", "role", "tokens"])?;
    let tokens = Tokens::read(&body)?;
    let role = role_of(&body)?;
    let (ceremony, credential) = brought::<PublicKeyCredential>(&body, MADE)?;
    let before = before(&desk, &method, &headers, tokens)?;
    let ceremony = ceremony.and_then(|text| Ceremony::open(&desk.keys, &text, desk.now()));
    // What cannot be anybody's is told from what is nobody's by nothing.
    let (Some(ceremony), Some(credential)) = (ceremony, credential) else {
        return Err(NotSignedIn::Nobody.into());
    };
    let device = devices::Shown::of(&headers, &*desk.entropy);
    let opened = finish(&desk, Brought { ceremony, credential, role }, &device, from).await;
    begun(&desk, opened, before, tokens, &device).await
}
