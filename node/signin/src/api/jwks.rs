//! The public halves of the keys that sign access tokens (RFC 7517, RFC 8037).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use data_encoding::BASE64URL_NOPAD;
use node_access::Here;
use node_access::doc::PublicProblems;
use residency_control::signin::SigningKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::AtDesk;

/// A key.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKey)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    /// An octet key pair.
    #[schema(pattern = "^OKP$")]
    pub kty: &'static str,
    /// The curve.
    #[schema(pattern = "^Ed25519$")]
    pub crv: &'static str,
    /// It signs.
    #[serde(rename = "use")]
    #[schema(pattern = "^sig$")]
    pub used_for: &'static str,
    /// With this algorithm and no other.
    #[schema(pattern = "^EdDSA$")]
    pub alg: &'static str,
    /// Its id, which its tokens name.
    #[schema(format = Uuid)]
    pub kid: String,
    /// The key, in base64url.
    pub x: String,
}

/// The keys of every node.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKeys)]
#[serde(deny_unknown_fields)]
pub struct KeysBody {
    /// The keys.
    pub keys: Vec<KeyBody>,
}

impl KeyBody {
    fn of(key: &SigningKey) -> Self {
        let (kid, x) = (key.id.to_string(), BASE64URL_NOPAD.encode(&key.public));
        Self { kty: "OKP", crv: "Ed25519", used_for: "sig", alg: "EdDSA", kid, x }
    }
}

/// Shows every key that signs access tokens, or whose tokens may still be good. A key is here a day before it signs.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "read_signing_keys", tag = "signing in",
    responses((status = 200, description = "The keys", body = KeysBody), PublicProblems)
)]
pub async fn jwks(Extension(desk): AtDesk, State(here): State<Here>) -> Response {
    let now = desk.now();
    let signins = here.directory.signins();
    let good = signins.signing_keys().filter(|key| now < key.not_after);
    Json(KeysBody { keys: good.map(KeyBody::of).collect() }).into_response()
}
