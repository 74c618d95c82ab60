//! The table of what a provider's groups make of people, as it is written and read.

use residency_control::signin::{GroupName, GroupRoles, Preset, RoleMapping};
use residency_policy::{OrgType, Role};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub(super) const EXPECTED: &str = "expected a claim and 1 to 32 different groups, each with a role that this kind of \
                                   organisation may have; Google and GitHub say nothing of groups";

/// What a provider's groups make of people. Where it is given, it decides at every sign-in through that provider: whoever
/// comes in is what their groups say and nothing else, and whose groups are not in it does not come in.
#[derive(Serialize, ToSchema)]
#[schema(as = RoleMapping)]
#[serde(deny_unknown_fields)]
pub struct RoleMappingBody {
    /// The claim that lists somebody's groups, in the ID token or else of the user's endpoint. If left out it is
    /// `groups`, and for `cognito` `cognito:groups`.
    #[schema(required = false, min_length = 1, max_length = 128, example = "groups")]
    pub claim: String,
    /// What each group makes of its members. Whoever is in several says as what they sign in.
    #[schema(min_items = 1, max_items = 32)]
    pub groups: Vec<GroupRoleBody>,
}

/// What one group makes of its members.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupRole)]
#[serde(deny_unknown_fields)]
pub struct GroupRoleBody {
    /// The group, as the claim has it: letters, digits, spaces and `. _ : / ~ - = ,`.
    #[schema(min_length = 1, max_length = 128, example = "Clinical Staff")]
    pub group: String,
    /// The role, one that an organisation of this kind may have.
    #[schema(example = "provider")]
    pub role: String,
}

impl RoleMappingBody {
    pub(super) fn of(mapping: &RoleMapping) -> Self {
        let one = |(name, role): &(GroupName, Role)| GroupRoleBody {
            group: name.to_string(),
            role: role.as_str().to_owned(),
        };
        Self { claim: mapping.claim.to_string(), groups: mapping.groups.as_slice().iter().map(one).collect() }
    }
}

/// Reads one, of an organisation of this kind.
pub(super) fn read(value: &Value, preset: Preset, kind: OrgType) -> Option<RoleMapping> {
    let usual = match preset {
        Preset::Google | Preset::Github => return None,
        Preset::Cognito => "cognito:groups",
        Preset::Custom | Preset::Okta | Preset::Entra => "groups",
    };
    let given = value.as_object()?;
    if given.keys().any(|name| !matches!(name.as_str(), "claim" | "groups")) {
        return None;
    }
    let claim = match given.get("claim") {
        None => usual,
        Some(value) => value.as_str()?,
    };
    let groups = given.get("groups")?.as_array().filter(|all| all.len() <= GroupRoles::LEN_MAX)?;
    let pairs: Option<Vec<(GroupName, Role)>> = groups.iter().map(|one| pair(one, kind)).collect();
    Some(RoleMapping { claim: claim.parse().ok()?, groups: GroupRoles::new(pairs?).ok()? })
}

fn pair(one: &Value, kind: OrgType) -> Option<(GroupName, Role)> {
    let one = one.as_object().filter(|one| one.len() == 2)?;
    let text = |name: &str| one.get(name).and_then(Value::as_str);
    let role: Role = text("role")?.parse().ok()?;
    let group: GroupName = text("group")?.parse().ok()?;
    kind.may_have(role).then_some((group, role))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_read_of_providers_that_say_groups_with_roles_of_the_organisations_kind() {
        let table = |group: &str, role: &str| json!({ "groups": [{ "group": group, "role": role }] });
        let claim = |preset| {
            let read = read(&table("Doctors", "provider"), preset, OrgType::Provider);
            read.map(|one| one.claim.to_string())
        };
        assert_eq!(claim(Preset::Okta).as_deref(), Some("groups"));
        assert_eq!(claim(Preset::Cognito).as_deref(), Some("cognito:groups"));
        assert_eq!([Preset::Google, Preset::Github].map(claim), [None, None]);
        let okta = |value: &Value, kind| read(value, Preset::Okta, kind).is_some();
        assert!(okta(&table("Lab", "lab_tech"), OrgType::Lab));
        assert!(!okta(&table("Lab", "lab_tech"), OrgType::Provider));
        assert!(!okta(&table("Doctors", "provider"), OrgType::Marketing));
        let one = json!({ "group": "a", "role": "auditor" });
        let many: Vec<Value> =
            (0..33).map(|n| json!({ "group": format!("g{n}"), "role": "auditor" })).collect();
        for wrong in [
            json!({}),
            json!({ "groups": [] }),
            json!({ "groups": many }),
            json!({ "groups": [one, one] }),
            json!({ "groups": [one], "claim": 1 }),
            json!({ "groups": [one], "claim": "a b" }),
            json!({ "groups": [one], "more": 1 }),
            json!({ "groups": [{ "group": "a", "role": "owner" }] }),
            json!({ "groups": [{ "group": " a", "role": "auditor" }] }),
            json!({ "groups": [{ "group": "a", "role": "auditor", "more": 1 }] }),
            json!([one]),
            json!("a"),
        ] {
            assert!(!okta(&wrong, OrgType::Provider), "{wrong}");
        }
        assert!(okta(&json!({ "groups": [one], "claim": "roles" }), OrgType::Provider), "the control");
    }
}
