//! Adds a user to the caller's organisation, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};
use node_access::body::{Object, PublicJson};
use node_access::doc::{IdempotencyHeader, OpenChangeProblems};
use node_access::idempotency::{IdempotencyKey, derived};
use node_access::{Act, Action, Entity, NotMade, OpenCall, Refused};
use residency_control::{Command, Membership, Memberships, Refusal, User};
use residency_policy::{FieldError, OrgId, OrgType, Problem, ProblemKind, UserId, wire};
use serde::Serialize;
use utoipa::ToSchema;

use crate::organisations::shown;
use crate::users::UserBody;
use crate::users::own::{NAME_EXPECTED, ROLES_EXPECTED, name, own_organisation, roles};

/// Adding a user.
pub struct Create;

impl Act for Create {
    const ENTITY: Entity = Entity::User;
    const ACTION: Action = Action::Create;
    const NAME: &'static str = "user.create";
}

/// A user to be added.
#[derive(Serialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub struct NewUserBody {
    /// The name on the badge: letters, spaces and `' . , -`. Every node keeps it; it is never a patient's.
    #[schema(min_length = 1, max_length = 60, pattern = "^[^0-9]+$", example = "Robin Sample")]
    pub name: String,
    /// What they may be, each once. A provider organisation has `provider`, `provider_staff`, `org_admin` and `auditor`;
    /// a laboratory `lab_tech`, `org_admin` and `auditor`; a pharmacy `pharmacist`, `org_admin` and `auditor`; a
    /// marketing partner `marketer` and `org_admin`; an auditor `auditor` and `org_admin`.
    #[schema(min_items = 1, max_items = 7, example = json!(["provider"]))]
    pub roles: Vec<String>,
}

/// Adds a user to the caller's own organisation. The answer comes when the change is durable on a quorum of the control
/// plane. Where an administrator has a second factor, it takes a session that was begun with one.
#[utoipa::path(
    post, path = "/v1/orgs/{id}/users", operation_id = "create_user", tag = "users",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), IdempotencyHeader),
    request_body(content = NewUserBody, description = "The user", content_type = "application/json"),
    responses(
        (status = 201, description = "They were added", body = UserBody, headers(
            ("location" = String, description = "Where they are shown"),
            ("etag" = String, description = "The version"),
            ("x-log-index" = u64, description = "The change's place in the replicated log")
        )),
        OpenChangeProblems
    )
)]
pub async fn create(
    call: OpenCall<Create>,
    key: IdempotencyKey,
    PublicJson(body): PublicJson,
) -> Result<Response, Refused> {
    let org = own_organisation(&call)?;
    let id = UserId::from_bytes(derived("user id v1", &call.caller, &key));
    let user = read(&body, id, (org, call.caller.org_type))?;
    call.catch_up().await?;
    call.sure_enough()?;
    let replayed = call.here.directory.user(user.id).is_some();
    let index = match call.propose(Command::AddUser(user.clone())).await {
        // The id follows from the key, so whoever has it was added with this key, and otherwise.
        Err(NotMade::Refused(Refusal::AlreadyKnown)) => {
            return Err(Problem::new(ProblemKind::IdempotencyReused).into());
        }
        proposed => proposed?,
    };
    let location = HeaderValue::from_str(&format!("/v1/users/{}", user.id));
    let location = location.map_err(|_| Refused::internal("user.create: location"))?;
    let there = user.memberships.of(org).ok_or_else(|| Refused::internal("user.create: membership"))?;
    let body = Json(UserBody::of(&user, there, call.here.directory.clinician(user.id, org)));
    let mut response = (StatusCode::CREATED, shown(user.version, index), body).into_response();
    response.headers_mut().insert(LOCATION, location);
    if replayed {
        let name = HeaderName::from_static(wire::IDEMPOTENT_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn read(object: &Object, id: UserId, (org, kind): (OrgId, OrgType)) -> Result<User, Problem> {
    object.only(&["name", "roles"])?;
    let name = object.get("name").and_then(name);
    let roles = object.get("roles").and_then(|listed| roles(listed, kind));
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    if name.is_none() {
        note("/name", NAME_EXPECTED);
    }
    if roles.is_none() {
        note("/roles", ROLES_EXPECTED);
    }
    let memberships =
        roles.and_then(|roles| Memberships::new(vec![Membership { org, roles, active: true }]).ok());
    match (name, memberships) {
        (Some(name), Some(memberships)) => Ok(User { id, name, memberships, active: true, version: 1 }),
        _ => Err(Problem::new(ProblemKind::Invalid).fields(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_right_body_is_read_and_every_wrong_field_is_named() {
        let read = |value: Value| {
            let Value::Object(map) = value else { panic!("an object") };
            let at = (OrgId::from_bytes([2; 16]), OrgType::Provider);
            read(&Object::from(map), UserId::from_bytes([1; 16]), at)
        };
        let right = read(json!({"name": "Robin O'Neil", "roles": ["provider", "org_admin"]}));
        assert_eq!(right.map(|user| user.memberships.as_slice()[0].roles.iter().count()), Ok(2));
        for wrong in [
            json!({}),
            json!({"name": "Robin"}),
            json!({"name": "Robin 1980", "roles": ["provider"]}),
            json!({"name": 1, "roles": ["provider"]}),
            json!({"name": "Robin", "roles": []}),
            json!({"name": "Robin", "roles": ["provider", "provider"]}),
            json!({"name": "Robin", "roles": ["owner"]}),
            json!({"name": "Robin", "roles": ["marketer"]}),
            json!({"name": "Robin", "roles": ["provider", "lab_tech"]}),
            json!({"name": "Robin", "roles": "provider"}),
            json!({"name": "Robin", "roles": ["provider"], "active": true}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
