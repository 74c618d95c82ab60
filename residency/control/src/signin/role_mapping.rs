//! What the groups of an identity provider make of people: as what they may come in through it.

use residency_policy::Role;
use serde::{Deserialize, Serialize};

use super::{ClaimName, GroupName};
use crate::RoleSet;
use crate::command::{must_be_replicated, record};

record! {
    /// The roles that a provider's groups give. Where there is one, it decides at every sign-in through that provider.
    #[derive(Debug)]
    pub struct RoleMapping {
        /// The claim that lists somebody's groups.
        pub claim: ClaimName,
        /// What each group makes of its members.
        pub groups: GroupRoles,
    }
}

/// 1 to 32 groups, ascending, each with a role and none of them twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(GroupName, Role)>", into = "Vec<(GroupName, Role)>")]
pub struct GroupRoles(Box<[(GroupName, Role)]>);

/// There are none or too many groups, or one is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a table of groups: expected 1 to 32, none of them twice")]
pub struct NotGroupRoles;

impl GroupRoles {
    /// The most groups.
    pub const LEN_MAX: usize = 32;

    /// These groups, in any order.
    pub fn new(mut all: Vec<(GroupName, Role)>) -> Result<Self, NotGroupRoles> {
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let bounded = (1..=Self::LEN_MAX).contains(&all.len());
        if !bounded || all.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(NotGroupRoles);
        }
        Ok(Self(all.into()))
    }

    /// The groups, ascending.
    pub fn as_slice(&self) -> &[(GroupName, Role)] {
        &self.0
    }
}

impl TryFrom<Vec<(GroupName, Role)>> for GroupRoles {
    type Error = NotGroupRoles;

    fn try_from(all: Vec<(GroupName, Role)>) -> Result<Self, NotGroupRoles> {
        Self::new(all)
    }
}

impl From<GroupRoles> for Vec<(GroupName, Role)> {
    fn from(all: GroupRoles) -> Self {
        all.0.into_vec()
    }
}

impl RoleMapping {
    /// What somebody of these groups is made. Groups are compared byte for byte.
    pub fn roles_of(&self, groups: &[String]) -> RoleSet {
        let held = |name: &GroupName| groups.iter().any(|group| group == name.as_str());
        self.groups.as_slice().iter().filter(|(name, _)| held(name)).map(|(_, role)| *role).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, role: Role) -> (GroupName, Role) {
        (name.parse().expect("a group"), role)
    }

    #[test]
    fn a_table_is_bounded_and_without_doubles_also_on_the_wire() {
        let many = |n: usize| (0..n).map(|n| pair(&format!("g{n}"), Role::Provider)).collect();
        assert!(GroupRoles::new(many(32)).is_ok());
        for wrong in [many(0), many(33), vec![pair("a", Role::Provider), pair("a", Role::Auditor)]] {
            assert_eq!(GroupRoles::new(wrong.clone()), Err(NotGroupRoles));
            let bytes = postcard::to_allocvec(&wrong).expect("encodes");
            assert!(postcard::from_bytes::<GroupRoles>(&bytes).is_err());
        }
        let some = GroupRoles::new(vec![pair("b", Role::Provider), pair("a", Role::Auditor)]).expect("a table");
        let bytes = postcard::to_allocvec(&some).expect("encodes");
        assert_eq!(postcard::from_bytes::<GroupRoles>(&bytes), Ok(some));
    }

    #[test]
    fn who_is_in_several_groups_may_be_several_things_and_who_is_in_none_nothing() {
        let all = vec![pair("Admins", Role::OrgAdmin), pair("Doctors", Role::Provider)];
        let mapping = RoleMapping {
            claim: "groups".parse().expect("a claim"),
            groups: GroupRoles::new(all).expect("a table"),
        };
        let roles = |groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|&one| one.to_owned()).collect();
            mapping.roles_of(&groups).iter().collect::<Vec<_>>()
        };
        assert_eq!(roles(&["Everybody", "Doctors"]), [Role::Provider]);
        assert_eq!(roles(&["Doctors", "Admins"]), [Role::Provider, Role::OrgAdmin]);
        for none in [&[][..], &["Everybody"], &["doctors"], &["Doctors "], &["Doctor"]] {
            assert!(roles(none).is_empty());
        }
    }
}
