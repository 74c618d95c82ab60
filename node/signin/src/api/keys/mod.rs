//! The API keys of an organisation, for its administrators.

pub mod issue;
pub mod list;
pub mod revoke;
pub mod rotate;

use jiff::Timestamp;
use node_access::body::Object;
use node_access::problem::not_found;
use node_access::{Act, OpenCall};
use residency_control::KeyStanding;
use residency_control::machine::State;
use residency_policy::{KeyId, OrgId, Problem};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::own_organisation;

const EXPIRES_EXPECTED: &str =
    "expected an instant such as 2027-01-31T00:00:00Z, later than now and at most 366 days ahead";
// The text above says it in words.
const _: () = assert!(State::KEY_SECONDS_MAX == 366 * 86_400);

/// An API key. Its secret is shown once, when it is issued or rotated.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    /// Its id, which is in its text.
    #[schema(format = Uuid)]
    pub id: String,
    /// What its bearer may be.
    #[schema(example = "provider")]
    pub role: &'static str,
    /// For what it was issued: the rest of what the role may do is refused.
    #[schema(max_items = 16, example = json!(["scheduling:write", "directory:read"]))]
    pub scopes: Vec<&'static str>,
    /// The jurisdictions that it works in.
    #[schema(example = json!(["US-TX"]))]
    pub jurisdictions: Vec<&'static str>,
    /// 1 when it was issued, and one more with every rotation; 0 for one that an operator put.
    pub version: u64,
    /// Whose it is, if it is a person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    pub user: Option<String>,
    /// When it was issued; not known of one that an operator put.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub created_at: Option<String>,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Until when the secret before the present one is good as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub old_secret_until: Option<String>,
    /// When it was last used, some minutes late.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
}

/// An API key with its text. This is the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedApiKey)]
#[serde(deny_unknown_fields)]
pub struct IssuedBody {
    /// The key.
    pub key: KeyBody,
    /// To be sent as `Authorization: Bearer`.
    #[schema(format = Password)]
    pub secret: String,
}

impl KeyBody {
    fn of(key: &KeyStanding, now: i64) -> Self {
        // A second after the epoch that a node wrote is one that a clock showed.
        let at = |second: i64| Timestamp::from_second(second).unwrap_or_default().to_string();
        Self {
            id: key.key.to_string(),
            role: key.role.as_str(),
            scopes: key.scopes.iter().map(residency_policy::KeyScope::as_str).collect(),
            jurisdictions: key.jurisdictions.iter().map(residency_policy::Jurisdiction::code).collect(),
            version: key.version,
            user: key.user.map(|user| user.to_string()),
            created_at: key.created.map(at),
            expires_at: key.expires.map(at),
            old_secret_until: key.overlap_until.filter(|until| now < *until).map(at),
            last_used_at: key.last_used.map(at),
        }
    }
}

/// The key in the path, of the caller's own organisation. Another's is as unknown as none.
fn own_key<A: Act>(call: &OpenCall<A>) -> Result<KeyStanding, Problem> {
    let org: OrgId = own_organisation(call)?;
    let key: KeyId = call.path("key")?;
    call.here.directory.keys_of(org).into_iter().find(|one| one.key == key).ok_or_else(not_found)
}

/// Until when a key is to be good.
fn expires(body: &Object, now: i64) -> Option<i64> {
    let at: Timestamp = body.get("expires_at").and_then(Value::as_str)?.parse().ok()?;
    let at = at.as_second();
    (now < at && at <= now + State::KEY_SECONDS_MAX).then_some(at)
}
