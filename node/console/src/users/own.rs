//! What an administrator may touch: their own organisation, and who works for it.

use std::sync::Arc;

use node_access::problem::not_found;
use node_access::{Act, OpenCall, Refused};
use residency_control::{Membership, RoleSet, StaffName, User};
use residency_policy::{OrgId, OrgType, Problem, Role};
use serde_json::Value;

pub(crate) const NAME_EXPECTED: &str = "expected 1 to 60 letters, spaces and ' . , -, with a letter";
pub(crate) const ROLES_EXPECTED: &str =
    "expected a list of roles that an organisation of this kind may have, each once, and at least one";

/// The organisation in the path, which must be the caller's own: another one has no users to this caller.
pub(crate) fn own_organisation<A: Act>(call: &OpenCall<A>) -> Result<OrgId, Problem> {
    let org: OrgId = call.path("id")?;
    if org == call.caller.org { Ok(org) } else { Err(not_found()) }
}

/// The user in the path and their membership in the caller's organisation. Somebody who works elsewhere only is as
/// unknown as nobody.
pub(crate) fn colleague<A: Act>(call: &OpenCall<A>) -> Result<(Arc<User>, Membership), Refused> {
    let user = call.here.directory.user(call.path("id")?).ok_or_else(not_found)?;
    let there = user.memberships.of(call.caller.org).copied().ok_or_else(not_found)?;
    Ok((user, there))
}

pub(crate) fn name(value: &Value) -> Option<StaffName> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// Roles that an organisation of this kind may have.
pub(crate) fn roles(value: &Value, kind: OrgType) -> Option<RoleSet> {
    let list = value.as_array()?;
    let named: Option<Vec<Role>> = list.iter().map(|item| item.as_str()?.parse().ok()).collect();
    let set: RoleSet = named?.into_iter().collect();
    let fit = set.iter().all(|role| kind.may_have(role));
    (fit && !list.is_empty() && set.iter().count() == list.len()).then_some(set)
}
