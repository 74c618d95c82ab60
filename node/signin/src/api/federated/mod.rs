//! The way to an identity provider and back.

pub mod callback;
pub mod link;
pub mod start;

use http::{HeaderMap, Uri, header};
use node_access::body::Object;
use residency_policy::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::federation::return_to;

/// Where to send the browser.
#[derive(Serialize, ToSchema)]
#[schema(as = SentToProvider)]
#[serde(deny_unknown_fields)]
pub struct SentBody {
    /// The provider's own page. The cookie of this answer must be in the browser that goes there.
    pub authorization_url: String,
}

const RETURN_TO_EXPECTED: &str = "is a path of this server, such as /docs/, of at most 512 characters";

/// The host that was asked, as the browser knows it.
fn asked<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let named = uri.authority().map(http::uri::Authority::as_str);
    named.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()))
}

/// The member of a body that says where the browser goes afterwards.
fn return_to_of(body: &Object) -> Result<String, Problem> {
    match body.get("return_to") {
        None => Ok("/".to_owned()),
        Some(value) => value.as_str().and_then(return_to::read).ok_or_else(|| {
            Problem::new(ProblemKind::Invalid).field("/return_to", "format", RETURN_TO_EXPECTED)
        }),
    }
}

/// A member of a body that is a text, if it is there.
fn text_of<'b>(body: &'b Object, name: &'static str) -> Option<&'b str> {
    body.get(name).and_then(Value::as_str)
}
