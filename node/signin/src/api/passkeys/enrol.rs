//! Adds a passkey to the account of whoever is signed in.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::StatusCode;
use node_access::body::PublicJson;
use node_access::doc::OpenChangeProblems;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_policy::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use webauthn_rs_core::proto::RegisterPublicKeyCredential;

use super::options::CreationOptions;
use super::{PasskeyBody, brought};
use crate::api::authenticators::{code_again, own_account, password_again};
use crate::api::{AtDesk, at};
use crate::passkeys::ceremony::Ceremony;
use crate::passkeys::enrol::{NotAdded, begin, finish};

/// Asking for a challenge.
pub struct Begin;

impl Act for Begin {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "passkey.begin";
}

/// Adding a passkey.
pub struct Enrol;

impl Act for Enrol {
    const ENTITY: Entity = Entity::Authenticator;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "passkey.enrol";
}

/// What asking for a challenge takes.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPasskeyChallenge)]
#[serde(deny_unknown_fields)]
pub struct BeginBody {
    /// The password again: a session that was left open adds nothing.
    #[schema(format = Password)]
    pub password: String,
    /// What the authenticator shows, where one is enrolled; or one of its recovery codes. It is used up, also where no passkey
    /// is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "123456")]
    pub code: Option<String>,
}

/// A challenge for an authenticator that shall make a passkey.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyEnrolment)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentBody {
    /// To be brought along with what the authenticator makes, once, within five minutes, by this session.
    pub ceremony: String,
    #[schema(inline)]
    options: CreationOptions,
}

/// What an authenticator made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewPasskey)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// The ceremony that the challenge came with.
    #[schema(max_length = 12_288)]
    pub ceremony: String,
    /// What the authenticator made.
    pub credential: AttestationBody,
}

/// A credential of `navigator.credentials.create()`, as its `toJSON()` spells it. Bytes are in base64url.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAttestation)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationBody {
    /// What the authenticator calls the passkey. What counts is what it says in the response.
    pub id: String,
    /// The same.
    pub raw_id: String,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was made.
    pub response: AttestationResponseBody,
    /// Where the authenticator is. It is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticator_attachment: Option<String>,
    /// What came of the extensions. It is not relied on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub client_extension_results: Option<Value>,
}

/// What an authenticator says of the passkey that it made.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAttestationResponse)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationResponseBody {
    /// What the browser says: the challenge, and the page that asked.
    #[serde(rename = "clientDataJSON")]
    #[schema(max_length = 16_384)]
    pub client_data_json: String,
    /// What the authenticator says.
    #[schema(max_length = 16_384)]
    pub attestation_object: String,
    /// How the authenticator is reached. It is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transports: Option<Vec<String>>,
    /// A part of what the authenticator says. It is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticator_data: Option<String>,
    /// A part of what the authenticator says. It is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// A part of what the authenticator says. It is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key_algorithm: Option<i64>,
}

const MADE: &[&str] = &[
    "clientDataJSON",
    "attestationObject",
    "transports",
    "authenticatorData",
    "publicKey",
    "publicKeyAlgorithm",
];

/// Gives whoever is signed in a challenge for an authenticator that shall make a passkey of theirs. It is good for five minutes
/// and once, in the same session.
#[utoipa::path(
    post, path = "/v1/auth/authenticators/passkeys/options", operation_id = "begin_passkey", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = BeginBody, content_type = "application/json"),
    responses((status = 200, description = "The challenge", body = EnrolmentBody), OpenChangeProblems)
)]
pub async fn options(
    Extension(desk): AtDesk,
    call: OpenCall<Begin>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["password", "code"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let required = || Problem::new(ProblemKind::Invalid).field("/password", "required", "is required");
    let password = text("password").ok_or_else(required)?;
    let code = body.has("code").then(|| text("code").unwrap_or_default());
    let is_code = |code: &str| (1..=40).contains(&code.len());
    if code.is_some_and(|code| !is_code(code)) {
        return Err(Problem::new(ProblemKind::Invalid).field("/code", "format", "is no code").into());
    }
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    if account.password.is_none() {
        return Err(Problem::new(ProblemKind::IllegalTransition)
            .detail("there is no password to ask for again: have an administrator invite you to choose one")
            .into());
    }
    password_again(&desk, &account, password).await?;
    code_again(&desk, &account, session, code).await?;
    let user = desk.directory.user(account.user);
    let named = user.map_or_else(|| account.name.as_str().to_owned(), |user| user.name.to_string());
    let (ceremony, options) = begin(&desk, &account, session, &named).map_err(not_added)?;
    Ok(Json(EnrolmentBody { ceremony, options: options.into() }).into_response())
}

/// Adds a passkey to the account of whoever is signed in, at most eight. From then on a password alone signs them in no more.
/// Where it is their first second factor, their other sessions end, and this one counts as begun with two.
#[utoipa::path(
    post, path = "/v1/auth/authenticators/passkeys", operation_id = "enrol_passkey", tag = "signing in",
    security(("bearer" = [])),
    request_body(content = EnrolBody, content_type = "application/json"),
    responses(
        (status = 201, description = "It is added", body = PasskeyBody,
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn enrol(
    Extension(desk): AtDesk,
    call: OpenCall<Enrol>,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    body.only(&["ceremony", "credential"])?;
    let (ceremony, credential) = brought::<RegisterPublicKeyCredential>(&body, MADE)?;
    let ceremony = ceremony.and_then(|text| Ceremony::open(&desk.keys, &text, desk.now()));
    let ceremony = ceremony.ok_or(NotAdded::Lapsed).map_err(not_added)?;
    let credential = credential.ok_or(NotAdded::Wrong).map_err(not_added)?;
    call.catch_up().await?;
    let (account, session) = own_account(&call)?;
    let added = finish(&desk, &account, session, &ceremony, &credential).await;
    let (passkey, index) = added.map_err(not_added)?;
    Ok(at((StatusCode::CREATED, Json(PasskeyBody::of(&passkey))).into_response(), index))
}

fn not_added(why: NotAdded) -> Refused {
    let transition = |detail| Problem::new(ProblemKind::IllegalTransition).detail(detail).into();
    let invalid =
        |pointer, code, detail| Problem::new(ProblemKind::Invalid).field(pointer, code, detail).into();
    match why {
        NotAdded::Lapsed => {
            invalid("/ceremony", "lapsed", "is not this session's, is over or was used: ask for another one")
        }
        NotAdded::Wrong => invalid("/credential", "wrong", "is not what an authenticator was asked for here"),
        NotAdded::Known => Problem::new(ProblemKind::AlreadyExists)
            .detail("the authenticator has made this passkey before")
            .into(),
        NotAdded::TooMany => transition("there are eight passkeys: remove one first"),
        NotAdded::Changed => transition("what signs you in was changed meanwhile"),
        NotAdded::Otherwise(why) => why.into(),
    }
}
