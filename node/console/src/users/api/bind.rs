//! Says which clinician a user is, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::PublicJson;
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Disclosable, Entity, NotMade, OpenCall, Refused};
use residency_control::{Command, Refusal};
use residency_policy::{FieldError, Problem, ProblemKind, ProviderId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::organisations::shown;
use crate::users::own::colleague;

/// Saying which clinician a user is.
pub struct Bind;

impl Act for Bind {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "user.bind_clinician";
}

/// Which clinician a user is at the caller's organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserClinician)]
#[serde(deny_unknown_fields)]
pub struct ClinicianBody {
    /// The clinician's id; null if they are none.
    #[schema(required, format = Uuid)]
    pub provider_id: Option<String>,
}

const EXPECTED: FieldError = FieldError {
    pointer: "/provider_id",
    code: "unknown",
    detail: "expected the id of a clinician who works for this organisation, or null",
};

/// Why nobody was made a clinician.
struct NotBound(NotMade);

impl Disclosable for NotBound {
    fn problem(&self) -> Problem {
        match self.0 {
            NotMade::Refused(Refusal::UnknownProvider) => {
                Problem::new(ProblemKind::Invalid).fields(vec![EXPECTED])
            }
            NotMade::Refused(Refusal::NotAMember) => {
                Problem::new(ProblemKind::IllegalTransition).detail("the user has not the role of a provider")
            }
            NotMade::Refused(Refusal::AlreadyKnown) => {
                Problem::new(ProblemKind::AlreadyExists).detail("another user is this clinician")
            }
            other => other.problem(),
        }
    }

    fn cause(&self) -> Option<String> {
        match self.0 {
            NotMade::Refused(Refusal::UnknownProvider | Refusal::NotAMember | Refusal::AlreadyKnown) => None,
            other => other.cause(),
        }
    }
}

/// Says which clinician a user is at the caller's organisation: whose licences are asked for when they open, sign or add
/// to an encounter. A clinician is one user of an organisation, until that user works there as a provider no longer. The
/// precondition is the version of the user.
#[utoipa::path(
    put, path = "/v1/users/{id}/clinician", operation_id = "bind_clinician", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid), IfMatchHeader),
    request_body(content = ClinicianBody, description = "Which clinician", content_type = "application/json"),
    responses(
        (status = 200, description = "They are", body = ClinicianBody, headers(
            ("etag" = String, description = "The user's new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn bind(call: OpenCall<Bind>, if_match: IfMatch, body: PublicJson) -> Result<Response, Refused> {
    body.0.only(&["provider_id"])?;
    let wrong = || Problem::new(ProblemKind::Invalid).fields(vec![EXPECTED]);
    let provider: Option<ProviderId> = match body.0.get("provider_id") {
        Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| wrong())?),
        _ => return Err(wrong().into()),
    };
    let caught_up = call.catch_up().await?;
    let (user, there) = colleague(&call)?;
    if_match.check(user.version)?;
    let body = Json(ClinicianBody { provider_id: provider.map(|id| id.to_string()) });
    if call.here.directory.clinician(user.id, there.org) == provider {
        return Ok((shown(user.version, caught_up), body).into_response());
    }
    let (expected, org) = (user.version, there.org);
    let command = Command::ChangeClinician { user: user.id, org, provider, expected };
    let index = call.propose(command).await.map_err(NotBound)?;
    Ok((shown(expected + 1, index), body).into_response())
}
