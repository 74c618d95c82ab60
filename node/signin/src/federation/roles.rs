//! What somebody's groups at an identity provider make of them, where its organisation says that they decide.

use residency_control::signin::{Account, ClaimName, RoleMapping};
use residency_control::{Command, Membership, Outcome, Refusal, RoleSet, User};
use residency_policy::Role;
use serde_json::Value;

use crate::{Desk, NotSignedIn};

/// The most groups of one person that are looked at.
const GROUPS_MAX: usize = 1_000;

/// The groups that a claim lists: texts, or one text. None where it is not there or is something else.
pub(crate) fn listed(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(all) if all.len() <= GROUPS_MAX => {
            all.iter().map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    }
}

/// Which claim lists the groups, where they decide.
pub(crate) fn claim(mapping: Option<&RoleMapping>) -> Option<&ClaimName> {
    mapping.map(|mapping| &mapping.claim)
}

/// What somebody may come in as: what their groups give of what an organisation of that kind may have. Nothing, where they
/// work there no more.
pub(crate) fn given(desk: &Desk, account: &Account, mapping: &RoleMapping, groups: &[String]) -> Vec<Role> {
    let at = desk.directory.organisation(account.org).filter(|org| org.active);
    let user = desk.directory.user(account.user).filter(|user| user.active);
    let there = user.and_then(|user| user.memberships.of(account.org).copied()).filter(|there| there.active);
    let (Some(at), Some(_)) = (at, there) else { return Vec::new() };
    mapping.roles_of(groups).iter().filter(|role| at.org_type.may_have(*role)).collect()
}

/// Makes somebody what their groups give, if they are something else. What they are signed in as and no longer are ends with
/// that.
pub(crate) async fn take(desk: &Desk, account: &Account, roles: &[Role]) -> Result<(), NotSignedIn> {
    let user = desk.directory.user(account.user).ok_or(NotSignedIn::Nobody)?;
    let there = user.memberships.of(account.org).copied().ok_or(NotSignedIn::Nobody)?;
    let roles: RoleSet = roles.iter().copied().collect();
    if there.roles == roles {
        return Ok(());
    }
    let memberships = user.memberships.with(Membership { roles, ..there }).map_err(|_| NotSignedIn::Nobody)?;
    let change =
        Command::ChangeUser { user: User { memberships, ..User::clone(&user) }, expected: user.version };
    match desk.changes.propose(change).await?.outcome {
        Outcome::Done => {
            tracing::info!(user.id = %account.user, "groups at an identity provider changed somebody's roles");
            Ok(())
        }
        // Somebody changed them meanwhile: what they are then is decided anew.
        Outcome::Refused(Refusal::StaleVersion) => Err(NotSignedIn::Busy),
        Outcome::Refused(refusal) => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_are_texts_or_one_text() {
        let read = |value: Value| listed(Some(&value));
        assert_eq!(read(json!(["a", "b"])), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read(json!("a")), Some(vec!["a".to_owned()]));
        assert_eq!(read(json!([])), Some(Vec::new()));
        assert!(read(json!(vec!["a"; GROUPS_MAX])).is_some());
        for wrong in
            [json!(["a", 1]), json!({"a": "b"}), json!(null), json!(7), json!(vec!["a"; GROUPS_MAX + 1])]
        {
            assert_eq!(read(wrong), None);
        }
        assert_eq!(listed(None), None);
    }
}
