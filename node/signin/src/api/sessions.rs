//! Shows and ends sessions: one's own, and for an administrator those of whoever works there.

use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::StatusCode;
use jiff::Timestamp;
use node_access::body::Nothing;
use node_access::doc::{ConsistencyParameter, OpenChangeProblems, OpenProblems};
use node_access::parameters::bad;
use node_access::problem::not_found;
use node_access::{Act, Action, Credential, Entity, OpenCall, Refused, change};
use residency_control::signin::{Session, SignIns};
use residency_policy::{Role, SessionId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AtDesk, at};
use crate::logout;

const USER: &str = "user";

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(deny_unknown_fields)]
pub struct SessionBody {
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// Whose.
    #[schema(format = Uuid)]
    pub user: String,
    /// As what they signed in.
    #[schema(example = "provider")]
    pub role: &'static str,
    /// How sure it was who it is when they showed it: 1 with one factor, 2 with a second one (NIST SP 800-63B).
    #[schema(minimum = 1, maximum = 2)]
    pub assurance: u16,
    /// How they showed it (RFC 8176 section 2): `mfa` where more than one factor was shown, here or at an identity provider.
    /// Nothing else is kept of it, so that with one factor it is empty.
    #[schema(max_items = 1)]
    pub amr: Vec<&'static str>,
    /// Until when their second factor counts for what takes a fresh one, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub second_factor_until: Option<String>,
    /// When they signed in.
    #[schema(format = DateTime)]
    pub signed_in_at: String,
    /// When it is over if it is not refreshed.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Sessions. There are few of one user, so they come at once.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionList)]
#[serde(deny_unknown_fields)]
pub struct SessionListBody {
    /// The sessions, the latest first.
    pub data: Vec<SessionBody>,
}

impl SessionBody {
    fn of(session: &Session, caller: &Credential, signins: &SignIns, now: i64) -> Self {
        // A second after the epoch that a node wrote is one that a clock showed.
        let at = |second| Timestamp::from_second(second).unwrap_or_default().to_string();
        Self {
            id: session.id.to_string(),
            user: session.user.to_string(),
            role: session.role.as_str(),
            assurance: session.assurance,
            amr: if session.assurance >= 2 { vec!["mfa"] } else { Vec::new() },
            second_factor_until: signins
                .is_sure(session, now)
                .then(|| at(signins.assured_at(session).saturating_add(SignIns::SURE_SECONDS))),
            signed_in_at: at(session.created),
            expires_at: at(session.expires),
            current: caller.session == Some(session.id),
        }
    }
}

/// Listing sessions.
pub struct List;

impl Act for List {
    const ENTITY: Entity = Entity::Session;
    const ACTION: Action = Action::List;
    const NAME: &'static str = "session.list";
    const PARAMETERS: &'static [&'static str] = &[USER, change::CONSISTENCY];
}

/// Ending a session.
pub struct End;

impl Act for End {
    const ENTITY: Entity = Entity::Session;
    const ACTION: Action = Action::Delete;
    const NAME: &'static str = "session.end";
}

/// Shows the caller's own sessions; to an administrator those of any user of their organisation.
#[utoipa::path(
    get, path = "/v1/auth/sessions", operation_id = "read_sessions", tag = "signing in",
    security(("bearer" = [])),
    params(
        ("user" = Option<String>, Query, description = "Whose; the caller's own if left out.", format = Uuid),
        ConsistencyParameter
    ),
    responses((status = 200, description = "The sessions", body = SessionListBody), OpenProblems)
)]
pub async fn list(call: OpenCall<List>) -> Result<Response, Refused> {
    let whose: Option<UserId> = match call.parameters.get(USER) {
        None => call.caller.user,
        Some(text) => Some(text.parse().map_err(|_| bad(USER, "format", "is an id"))?),
    };
    if whose != call.caller.user && !administers(&call.caller) {
        return Err(not_found().into());
    }
    let index = call.read_point().await?;
    let now = call.here.clock.now().as_second();
    let signins = call.here.directory.signins();
    let held = whose.into_iter().flat_map(|user| signins.sessions_of(call.caller.org, user));
    let mut held: Vec<&Session> = held.map(|one| &**one).filter(|one| now < one.expires).collect();
    held.sort_unstable_by_key(|one| (std::cmp::Reverse(one.created), one.id));
    let data = held.into_iter().map(|one| SessionBody::of(one, &call.caller, &signins, now)).collect();
    Ok(at(Json(SessionListBody { data }).into_response(), index.0))
}

/// Ends a session: the caller's own, or as an administrator anybody's of the organisation. Every node refuses its tokens as
/// soon as it has heard, which takes no longer than a second while the control plane has a quorum.
#[utoipa::path(
    delete, path = "/v1/auth/sessions/{id}", operation_id = "end_session", tag = "signing in",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The session.", format = Uuid)),
    responses(
        (status = 204, description = "It has ended",
         headers(("x-log-index" = u64, description = "The change's place in the replicated log"))),
        OpenChangeProblems
    )
)]
pub async fn end(Extension(desk): AtDesk, call: OpenCall<End>, _: Nothing) -> Result<Response, Refused> {
    let id: SessionId = call.path("id")?;
    call.catch_up().await?;
    let held = call.here.directory.signins().session(id).cloned();
    let session = held.filter(|one| {
        let own = Some(one.user) == call.caller.user;
        one.org == call.caller.org && (own || administers(&call.caller))
    });
    let session = session.ok_or_else(not_found)?;
    Ok(at(StatusCode::NO_CONTENT.into_response(), logout::end(&desk, session.id).await?))
}

fn administers(caller: &Credential) -> bool {
    caller.role == Role::OrgAdmin.into()
}
