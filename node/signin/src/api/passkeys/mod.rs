//! Signing in with passkeys, and what people do about their own.

pub mod begin;
pub mod enrol;
pub mod list;
pub mod options;
pub mod remove;
pub mod sign_in;

use jiff::Timestamp;
use node_access::body::{Object, only};
use residency_control::signin::Passkey;
use residency_policy::{FieldError, Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::passkeys::TEXT_MAX;

/// A passkey. It has no name: its holder knows it by when it was added and used.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
#[serde(deny_unknown_fields)]
pub struct PasskeyBody {
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// When it was added.
    #[schema(format = DateTime)]
    pub added_at: String,
    /// When it last signed somebody in, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
    /// Whether it was copied elsewhere, as passkeys are that come along from one device to the next.
    pub backed_up: bool,
}

impl PasskeyBody {
    fn of(passkey: &Passkey) -> Self {
        // A second after the epoch that a node wrote is one that a clock showed.
        let at = |second| Timestamp::from_second(second).unwrap_or_default().to_string();
        Self {
            id: passkey.id.to_string(),
            added_at: at(passkey.added),
            last_used_at: passkey.used.map(at),
            backed_up: passkey.backed_up,
        }
    }
}

/// What every credential has, whatever it is for (WebAuthn Level 3, `PublicKeyCredential.toJSON()`).
const CREDENTIAL: &[&str] =
    &["id", "rawId", "type", "response", "authenticatorAttachment", "clientExtensionResults"];

/// The members of a body that were brought: the ceremony, and the credential as the library reads it. None of a credential
/// that cannot be anybody's.
fn brought<T: DeserializeOwned>(
    body: &Object,
    response: &[&str],
) -> Result<(Option<String>, Option<T>), Problem> {
    let missing = [("ceremony", "/ceremony"), ("credential", "/credential")]
        .into_iter()
        .filter(|(name, _)| !body.has(name))
        .map(|(_, pointer)| FieldError { pointer, code: "required", detail: "is required" });
    let missing: Vec<FieldError> = missing.collect();
    if !missing.is_empty() {
        return Err(Problem::new(ProblemKind::Invalid).fields(missing));
    }
    let ceremony = body.get("ceremony").and_then(Value::as_str).map(str::to_owned);
    let Some(Value::Object(credential)) = body.get("credential") else { return Ok((ceremony, None)) };
    only(credential, CREDENTIAL, "/credential")?;
    if let Some(Value::Object(made)) = credential.get("response") {
        only(made, response, "/credential/response")?;
    }
    let short = is_short(&Value::Object(credential.clone()));
    let read = short.then(|| serde_json::from_value(Value::Object(credential.clone())).ok()).flatten();
    Ok((ceremony, read))
}

/// Whether no text in it is longer than any that an authenticator makes.
fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= TEXT_MAX,
        Value::Array(all) => all.iter().all(is_short),
        Value::Object(all) => all.values().all(is_short),
        _ => true,
    }
}
