//! One act per file.

pub mod authenticators;
pub mod devices;
pub mod federated;
pub mod invitations;
pub mod jwks;
pub mod keys;
pub mod login;
pub mod logout;
pub mod passkeys;
pub mod password;
pub mod providers;
pub mod refresh;
pub mod sessions;
pub mod settings;
pub mod step_up;

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderMap, HeaderName, HeaderValue};
use node_access::body::Object;
use node_access::problem::not_found;
use node_access::{Act, Here, OpenCall, Refused, etag};
use residency_policy::{OrgId, Problem, ProblemKind, wire};
use residency_tokens::cookie;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cookies::{clear, set};
use crate::{Desk, Opened};

/// The desk, as handlers get it.
type AtDesk = Extension<Arc<Desk>>;

/// Every route of this crate, each with its documentation. They need the [`Desk`] as an extension.
pub fn routes() -> OpenApiRouter<Here> {
    OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(invitations::invite))
        .routes(routes!(invitations::accept))
        .routes(routes!(authenticators::enrol))
        .routes(routes!(authenticators::confirm))
        .routes(routes!(passkeys::begin::begin))
        .routes(routes!(passkeys::sign_in::sign_in))
        .routes(routes!(passkeys::enrol::options))
        .routes(routes!(passkeys::list::list, passkeys::enrol::enrol))
        .routes(routes!(passkeys::remove::remove))
        .routes(routes!(password::change))
        .routes(routes!(step_up::step_up))
        .routes(routes!(settings::show::show, settings::replace::replace))
        .routes(routes!(keys::list::list, keys::issue::issue))
        .routes(routes!(keys::revoke::revoke))
        .routes(routes!(keys::rotate::rotate))
        .routes(routes!(devices::list::list))
        .routes(routes!(devices::admit::admit))
        .routes(routes!(devices::remove::remove))
        .routes(routes!(jwks::jwks))
        .routes(routes!(providers::list::list, providers::create::create))
        .routes(routes!(providers::change::update, providers::remove::remove))
        .routes(routes!(providers::test::test))
        .routes(routes!(providers::unlink::unlink))
        .routes(routes!(federated::start::start, federated::start::start_invited))
        .routes(routes!(federated::link::link))
        .routes(routes!(federated::callback::callback))
}

/// A session that began or goes on. The tokens are here only if they were asked for here; a browser has them as cookies.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
#[serde(deny_unknown_fields)]
pub struct SignedInBody {
    /// The session.
    #[schema(format = Uuid)]
    pub session: String,
    /// Who signed in.
    #[schema(format = Uuid)]
    pub user: String,
    /// Where.
    #[schema(format = Uuid)]
    pub organisation: String,
    /// As what.
    #[schema(example = "provider")]
    pub role: &'static str,
    /// How sure it is who it is: 1 with a password, 2 with a second factor or a passkey (NIST SP 800-63B).
    #[schema(minimum = 1, maximum = 2)]
    pub assurance: u16,
    /// How long the access token is good, in seconds.
    #[schema(example = 900)]
    pub access_seconds: i64,
    /// How long the refresh token is good, in seconds.
    #[schema(example = 3600)]
    pub refresh_seconds: i64,
    /// To be sent as `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// To be sent once, to `/v1/auth/refresh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// Where tokens go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tokens {
    Cookies,
    Body,
}

impl Tokens {
    fn read(body: &Object) -> Result<Self, Problem> {
        match body.get("tokens").map(Value::as_str) {
            None | Some(Some("cookies")) => Ok(Self::Cookies),
            Some(Some("body")) => Ok(Self::Body),
            Some(_) => {
                Err(Problem::new(ProblemKind::Invalid).field("/tokens", "not-a-code", "is cookies or body"))
            }
        }
    }
}

/// The answer that hands a session's tokens out.
fn signed_in(opened: &Opened, tokens: Tokens) -> Result<Response, Refused> {
    let in_body = tokens == Tokens::Body;
    let session = &opened.session;
    let body = SignedInBody {
        session: session.id.to_string(),
        user: session.user.to_string(),
        organisation: session.org.to_string(),
        role: session.role.as_str(),
        assurance: session.assurance,
        access_seconds: opened.access_seconds,
        refresh_seconds: opened.refresh_seconds,
        access_token: in_body.then(|| opened.access.clone()),
        refresh_token: in_body.then(|| opened.refresh.clone()),
    };
    let mut response = Json(body).into_response();
    if !in_body {
        set(response.headers_mut(), cookie::ACCESS, &opened.access, opened.access_seconds)?;
        set(response.headers_mut(), cookie::REFRESH, &opened.refresh, opened.refresh_seconds)?;
    }
    Ok(response)
}

/// Takes the cookies away.
fn without_cookies(mut response: Response) -> Result<Response, Refused> {
    clear(response.headers_mut(), cookie::ACCESS)?;
    clear(response.headers_mut(), cookie::REFRESH)?;
    Ok(response)
}

/// Adds where in the log a change stands.
fn at(mut response: Response, index: u64) -> Response {
    response.headers_mut().insert(HeaderName::from_static(wire::LOG_INDEX), HeaderValue::from(index));
    response
}

/// The organisation in the path, which must be the caller's own.
fn own_organisation<A: Act>(call: &OpenCall<A>) -> Result<OrgId, Problem> {
    let org: OrgId = call.path("id")?;
    if org == call.caller.org { Ok(org) } else { Err(not_found()) }
}

/// The headers of an answer that shows a version.
fn shown(version: u64, index: u64) -> HeaderMap {
    let log_index = (HeaderName::from_static(wire::LOG_INDEX), HeaderValue::from(index));
    [(ETAG, etag::of(version)), log_index].into_iter().collect()
}
