//! What whoever holds a node's own key may ask of it, over the peers' door: changes of the control plane, and how
//! its member is doing.
//!
//! Organisations, keys and rules have to begin somewhere, before any API key exists. That beginning is the
//! possession of a node's private key, not a password and not an address.

pub mod basis;
pub mod client;
pub mod found;
pub mod keys;
pub mod open;
pub mod orgs;
pub mod resume;
pub mod revoke;
pub mod verify;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use node_access::policies::{InForce, NotInForce, Policies};
use residency_control::{Command, Control, PolicyVersion, ProposeError, Proposed};
use residency_policy::OrgId;
use residency_policy::ruleset::Digest;
use serde::{Deserialize, Serialize};

/// `POST`: a JSON array of commands, done in order. Answers with what came of each.
pub const COMMANDS: &str = "/operate/commands";
/// `GET`: how this node's member is doing.
pub const STATUS: &str = "/operate/status";

/// `GET`: which rules the control plane says are in force, or `null`.
pub const POLICY: &str = "/operate/policy";

/// `GET`: which access policies the control plane says are in force, and what decides at this node.
pub const ACCESS_POLICIES: &str = "/operate/access-policies";

/// `GET`: what this node's policies were asked since it began, as [`node_policy::Class`]es, one JSON object a line.
pub const DECISIONS: &str = "/operate/decisions";

/// `GET`, with an organisation's id after it: the organisation and its version, or `null`.
pub const ORGANISATIONS: &str = "/operate/organisations/";

/// `GET`, with an organisation's id after it: its settings of signing in, or `null`.
pub const SETTINGS: &str = "/operate/sign-in-settings/";

/// `GET`, with an organisation's id after it: its API keys.
pub const KEYS: &str = "/operate/keys/";

/// `GET`: how every member is doing, asked of each. `POST`: one change of who is a member; answers with what came of it.
pub const ROSTER: &str = "/operate/roster";

const BODY_BYTES_MAX: usize = 4 << 20;

/// What came of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// It was committed, and did this.
    Of(Proposed),
    /// There is no quorum, or it did not answer in time. To be tried again: commands may be repeated.
    NoQuorum,
    /// It can never be done: it is too large, or another region's business.
    Impossible,
}

/// Which access policies are in force, and which decide at a node: the same, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deciding {
    /// What the control plane says. `None` where the set that comes with the program is in force.
    pub said: Option<PolicyVersion>,
    /// The version that decides. `None` is the set that comes with the program.
    pub version: Option<u64>,
    /// The set that decides.
    pub digest: Option<Digest>,
    /// How many policies are in it.
    pub rules: usize,
    /// Why nothing decides, if nothing does.
    pub wrong: Option<String>,
}

impl Deciding {
    fn of(said: Option<PolicyVersion>, current: Result<Arc<InForce>, NotInForce>) -> Self {
        let wrong = current.as_ref().err().map(|refused| refused.says().to_owned());
        let deciding = current.ok();
        let deciding = deciding.as_ref();
        Self {
            said,
            version: deciding.and_then(|in_force| in_force.version),
            digest: deciding.map(|in_force| in_force.loaded.digest()),
            rules: deciding.map_or(0, |in_force| in_force.loaded.rules().count()),
            wrong,
        }
    }
}

/// Answers a request of the node's own operator.
pub async fn answer(control: &Control, policies: &Policies, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, COMMANDS) => commands(control, request.into_body()).await,
        (&Method::GET, STATUS) => json(&control.reader().status()),
        (&Method::GET, ROSTER) => json(&control.roster().await),
        (&Method::POST, ROSTER) => change_roster(control, request.into_body()).await,
        (&Method::GET, POLICY) => json(&control.reader().policy()),
        (&Method::GET, ACCESS_POLICIES) => {
            json(&Deciding::of(control.reader().access_policies(), policies.current()))
        }
        (&Method::GET, DECISIONS) => lines(&policies.recorded().classes()),
        (&Method::GET, path) if path.starts_with(ORGANISATIONS) => {
            let org = path[ORGANISATIONS.len()..].parse().ok();
            json(&org.and_then(|org| control.reader().marked_organisation(org)))
        }
        (&Method::GET, path) if path.starts_with(SETTINGS) => {
            let org: Option<OrgId> = path[SETTINGS.len()..].parse().ok();
            let of = |org| control.reader().at(|state| state.signin().settings(org).cloned()).1;
            json(&org.and_then(of).as_deref())
        }
        (&Method::GET, path) if path.starts_with(KEYS) => {
            let org: Option<OrgId> = path[KEYS.len()..].parse().ok();
            json(&org.map(|org| control.reader().keys_of(org)).unwrap_or_default())
        }
        _ => empty(StatusCode::NOT_FOUND),
    }
}

async fn change_roster(control: &Control, body: Incoming) -> Response<Body> {
    let Ok(bytes) = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    match serde_json::from_slice(&bytes) {
        Ok(change) => json(&control.change_roster(change).await),
        Err(_) => empty(StatusCode::BAD_REQUEST),
    }
}

async fn commands(control: &Control, body: Incoming) -> Response<Body> {
    let Ok(bytes) = Limited::new(body, BODY_BYTES_MAX).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Ok(commands) = serde_json::from_slice::<Vec<Command>>(&bytes) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let writer = control.writer();
    let mut came = Vec::with_capacity(commands.len());
    for command in commands {
        came.push(match writer.propose(command).await {
            Ok(proposed) => Came::Of(proposed),
            Err(ProposeError::TooLarge | ProposeError::NotAllowed) => Came::Impossible,
            Err(_) => Came::NoQuorum,
        });
    }
    json(&came)
}

fn json(value: &impl Serialize) -> Response<Body> {
    typed("application/json", serde_json::to_vec(value))
}

/// One JSON object a line (<https://jsonlines.org>).
fn lines(values: &[impl Serialize]) -> Response<Body> {
    let mut bytes = Vec::new();
    let written: serde_json::Result<()> = values.iter().try_for_each(|value| {
        serde_json::to_writer(&mut bytes, value)?;
        bytes.push(b'\n');
        Ok(())
    });
    typed("application/jsonl", written.map(|()| bytes))
}

fn typed(kind: &'static str, bytes: serde_json::Result<Vec<u8>>) -> Response<Body> {
    match bytes {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(Bytes::from(bytes)));
            response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
            response
        }
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
