//! Changes a user, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::{Object, PublicMergePatch};
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, OpenCall, Refused};
use residency_control::{Command, Membership, User};
use residency_policy::{FieldError, OrgType, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::organisations::shown;
use crate::users::UserBody;
use crate::users::own::{NAME_EXPECTED, ROLES_EXPECTED, colleague, name, roles};

/// Changing a user.
pub struct Update;

impl Act for Update {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "user.update";
}

/// What of a user is to change. Nothing of it can be taken away, so `null` is refused.
#[derive(Serialize, ToSchema)]
#[schema(as = UserPatch)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// The name on the badge, which is one for all organisations.
    #[schema(
        required = false,
        min_length = 1,
        max_length = 60,
        pattern = "^[^0-9]+$",
        example = "Robin Sample"
    )]
    pub name: String,
    /// What they may be in the caller's organisation, of the roles that its kind may have. A key of another role ends at
    /// once.
    #[schema(required = false, min_items = 1, max_items = 7, example = json!(["provider"]))]
    pub roles: Vec<String>,
    /// Whether they work for the caller's organisation now.
    #[schema(required = false)]
    pub active: bool,
}

/// Changes a user by merge patch (RFC 7396): their name, and what they are in the caller's own organisation. Whoever is
/// suspended, or no provider any more, is no clinician there from then on, and has to be said to be one again.
#[utoipa::path(
    patch, path = "/v1/users/{id}", operation_id = "update_user", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The user.", format = Uuid), IfMatchHeader),
    request_body(description = "What is to change", content(
        (UserPatch = "application/merge-patch+json"), (UserPatch = "application/json")
    )),
    responses(
        (status = 200, description = "They were changed", body = UserBody, headers(
            ("etag" = String, description = "The new version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenIfMatchProblems
    )
)]
pub async fn update(
    call: OpenCall<Update>,
    if_match: IfMatch,
    PublicMergePatch(patch): PublicMergePatch,
) -> Result<Response, Refused> {
    let caught_up = call.catch_up().await?;
    let (before, there) = colleague(&call)?;
    if_match.check(before.version)?;
    let (after, there) = patched(&before, (there, call.caller.org_type), &patch)?;
    let clinician = || call.here.directory.clinician(before.id, there.org);
    if after == *before {
        let body = UserBody::of(&before, &there, clinician());
        return Ok((shown(before.version, caught_up), Json(body)).into_response());
    }
    let change = Command::ChangeUser { user: after.clone(), expected: before.version };
    let index = call.propose(change).await?;
    Ok((shown(before.version + 1, index), Json(UserBody::of(&after, &there, clinician()))).into_response())
}

fn patched(
    before: &User,
    (mut there, kind): (Membership, OrgType),
    patch: &Object,
) -> Result<(User, Membership), Problem> {
    patch.only(&["name", "roles", "active"])?;
    let mut after = before.clone();
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    if let Some(value) = patch.get("name") {
        match name(value) {
            Some(name) => after.name = name,
            None => note("/name", NAME_EXPECTED),
        }
    }
    if let Some(value) = patch.get("roles") {
        match roles(value, kind) {
            Some(roles) => there.roles = roles,
            None => note("/roles", ROLES_EXPECTED),
        }
    }
    if let Some(value) = patch.get("active") {
        match value {
            Value::Bool(active) => there.active = *active,
            _ => note("/active", "expected true or false"),
        }
    }
    match after.memberships.with(there) {
        Ok(memberships) if wrong.is_empty() => after.memberships = memberships,
        _ => return Err(Problem::new(ProblemKind::Invalid).fields(wrong)),
    }
    Ok((after, there))
}
