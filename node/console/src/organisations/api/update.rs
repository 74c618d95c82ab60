//! Changes an organisation, through the control plane.

use axum::Json;
use axum::response::{IntoResponse, Response};
use node_access::body::{Object, PublicMergePatch};
use node_access::doc::{IfMatchHeader, OpenIfMatchProblems};
use node_access::etag::IfMatch;
use node_access::{Act, Action, Entity, LogIndex, OpenCall, OrgView, Refused};
use residency_control::{Command, Organisation};
use residency_policy::{FieldError, Problem, ProblemKind};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::create::{NAME_EXPECTED, SERVES_EXPECTED, is_public_name, jurisdictions};
use crate::organisations::{OrganisationBody, own, shown};

/// Changing an organisation.
pub struct Update;

impl Act for Update {
    const ENTITY: Entity = Entity::Organisation;
    const ACTION: Action = Action::Update;
    const NAME: &'static str = "organisation.update";
}

/// What of an organisation is to change. Nothing of it can be taken away, so `null` is refused.
#[derive(Serialize, ToSchema)]
#[schema(as = OrganisationPatch)]
#[serde(deny_unknown_fields)]
pub struct OrganisationPatch {
    /// Its public name.
    #[schema(
        required = false,
        min_length = 1,
        max_length = 80,
        pattern = "^[^0-9]*([0-9][^0-9]*){0,3}$",
        example = "Lone Star Family Clinic"
    )]
    pub name: String,
    /// Where it serves, as ISO 3166-2 codes, each once.
    #[schema(required = false, min_items = 1, max_items = 57, example = json!(["US-TX"]))]
    pub serves: Vec<String>,
    /// Whether its keys are good. `false` ends the key that says so as well: only whoever operates the cluster can
    /// take it back.
    #[schema(required = false)]
    pub active: bool,
}

/// Changes the caller's own organisation by merge patch (RFC 7396). Its kind stays as it is. The answer comes when the
/// change is durable on a quorum of the control plane; every node follows at once.
#[utoipa::path(
    patch, path = "/v1/orgs/{id}", operation_id = "update_organisation", tag = "organisations",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The organisation.", format = Uuid), IfMatchHeader),
    request_body(description = "What is to change", content(
        (OrganisationPatch = "application/merge-patch+json"), (OrganisationPatch = "application/json")
    )),
    responses(
        (status = 200, description = "It was changed", body = OrganisationBody, headers(
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
    let before = own(&call)?;
    if_match.check(before.version)?;
    let after = patched(&before, &patch)?;
    let index = if after == before { caught_up } else { propose(&call, &after).await? };
    let version = before.version + u64::from(after != before);
    let body = OrganisationBody::from(OrgView { version, ..after });
    Ok((shown(version, index), Json(body)).into_response())
}

async fn propose(call: &OpenCall<Update>, after: &OrgView) -> Result<LogIndex, Refused> {
    let organisation = Organisation {
        id: after.id,
        name: after.name.parse().map_err(|_| Refused::internal("organisation.update: a name"))?,
        org_type: after.org_type,
        serves: after.serves.iter().collect(),
        active: after.active,
    };
    let change = Command::ChangeOrganisation { organisation, expected: after.version };
    Ok(call.propose(change).await?)
}

fn patched(before: &OrgView, patch: &Object) -> Result<OrgView, Problem> {
    patch.only(&["name", "serves", "active"])?;
    let mut after = before.clone();
    let mut wrong = Vec::new();
    let mut note = |pointer, detail| wrong.push(FieldError { pointer, code: "format", detail });
    if let Some(name) = patch.get("name") {
        match name.as_str().filter(|name| is_public_name(name)) {
            Some(name) => name.clone_into(&mut after.name),
            None => note("/name", NAME_EXPECTED),
        }
    }
    if let Some(serves) = patch.get("serves") {
        match serves.as_array().and_then(|list| jurisdictions(list)) {
            Some(serves) => after.serves = serves,
            None => note("/serves", SERVES_EXPECTED),
        }
    }
    if let Some(active) = patch.get("active") {
        match active {
            Value::Bool(active) => after.active = *active,
            _ => note("/active", "expected true or false"),
        }
    }
    if wrong.is_empty() { Ok(after) } else { Err(Problem::new(ProblemKind::Invalid).fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_policy::{OrgId, OrgType};
    use serde_json::json;

    fn before() -> OrgView {
        OrgView {
            id: OrgId::from_bytes([1; 16]),
            name: "A Clinic".to_owned(),
            org_type: OrgType::Provider,
            serves: ["US-TX".parse().expect("a place")].into_iter().collect(),
            facility: None,
            active: true,
            version: 3,
            closed: None,
        }
    }

    fn patch(value: Value) -> Result<OrgView, Problem> {
        let Value::Object(map) = value else { panic!("an object") };
        patched(&before(), &Object::from(map))
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_can_be_taken_away() {
        assert_eq!(patch(json!({})), Ok(before()));
        let after = patch(json!({"name": "B Clinic", "serves": ["US-CA", "US-TX"], "active": false}));
        let after = after.expect("is right");
        assert_eq!((after.name.as_str(), after.serves.iter().count(), after.active), ("B Clinic", 2, false));
        assert_eq!((after.org_type, after.version), (OrgType::Provider, 3));
        for wrong in [
            json!({"name": null}),
            json!({"serves": null}),
            json!({"active": null}),
            json!({"active": "false"}),
            json!({"serves": []}),
            json!({"name": "Clinic 1980"}),
            json!({"type": "lab"}),
            json!({"id": "x"}),
        ] {
            assert!(patch(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
