//! Which organisations a user works for, and as what.

use std::fmt;

use residency_policy::{OrgId, Role};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of roles in one word: bit `n` stands for the role at place `n` of [`Role::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RoleSet(u16);

impl RoleSet {
    /// Whether the set holds this role.
    pub fn contains(self, role: Role) -> bool {
        self.iter().any(|held| held == role)
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in the set, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0).map(|(_, role)| *role)
    }

    fn from_bits(bits: u16) -> Option<Self> {
        (u32::from(bits) >> Role::ALL.len() == 0).then_some(Self(bits))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        let bit = |role| Role::ALL.iter().position(|known| *known == role).map_or(0, |at| 1 << at);
        Self(roles.into_iter().fold(0, |bits, role| bits | bit(role)))
    }
}

impl From<Role> for RoleSet {
    fn from(one: Role) -> Self {
        [one].into_iter().collect()
    }
}

/// Words where people read it, one number where only programs do.
impl Serialize for RoleSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_u16(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for RoleSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Ok(Vec::<Role>::deserialize(deserializer)?.into_iter().collect())
        } else {
            Self::from_bits(u16::deserialize(deserializer)?)
                .ok_or_else(|| D::Error::custom("not a set of roles"))
        }
    }
}

impl fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One organisation that a user works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The organisation.
    pub org: OrgId,
    /// What the user may be there.
    pub roles: RoleSet,
    /// Whether the user works there now. Each organisation says so for itself.
    pub active: bool,
}

/// 1 to 16 memberships in different organisations, ascending by organisation, each with a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Memberships(Box<[Membership]>);

/// The memberships are none, too many, twice in one organisation, or without a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not memberships: expected 1 to 16 different organisations, each with at least one role")]
pub struct NotMemberships;

impl Memberships {
    /// The most organisations that one user works for.
    pub const LEN_MAX: usize = 16;

    /// These memberships, in any order.
    pub fn new(mut all: Vec<Membership>) -> Result<Self, NotMemberships> {
        all.sort_unstable_by_key(|one| one.org);
        Self::ascending(all)
    }

    /// The memberships, ascending by organisation.
    pub fn as_slice(&self) -> &[Membership] {
        &self.0
    }

    /// The membership in an organisation.
    pub fn of(&self, org: OrgId) -> Option<&Membership> {
        self.0.iter().find(|one| one.org == org)
    }

    /// The same memberships with this one in place of the one in its organisation.
    pub fn with(&self, one: Membership) -> Result<Self, NotMemberships> {
        let others = self.0.iter().filter(|other| other.org != one.org).copied();
        Self::new(others.chain([one]).collect())
    }

    fn ascending(all: Vec<Membership>) -> Result<Self, NotMemberships> {
        let ascending = all.windows(2).all(|pair| pair[0].org < pair[1].org);
        let bounded = (1..=Self::LEN_MAX).contains(&all.len());
        if !bounded || !ascending || all.iter().any(|one| one.roles.is_empty()) {
            return Err(NotMemberships);
        }
        Ok(Self(all.into()))
    }
}

impl<'de> Deserialize<'de> for Memberships {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::ascending(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(org: u8, roles: &[Role]) -> Membership {
        Membership { org: OrgId::from_bytes([org; 16]), roles: roles.iter().copied().collect(), active: true }
    }

    #[test]
    fn a_set_of_roles_holds_what_was_put_in() {
        let set: RoleSet = [Role::Auditor, Role::Provider].into_iter().collect();
        assert!(set.contains(Role::Provider) && set.contains(Role::Auditor) && !set.contains(Role::OrgAdmin));
        let bytes = postcard::to_allocvec(&set).expect("encodes");
        assert_eq!(postcard::from_bytes::<RoleSet>(&bytes), Ok(set));
        let beyond = postcard::to_allocvec(&u16::MAX).expect("encodes");
        assert!(postcard::from_bytes::<RoleSet>(&beyond).is_err());
    }

    #[test]
    fn memberships_are_bounded_and_in_different_organisations() {
        let two = vec![one(2, &[Role::Provider]), one(1, &[Role::OrgAdmin])];
        let memberships = Memberships::new(two).expect("two");
        assert_eq!(memberships.as_slice()[0].org, OrgId::from_bytes([1; 16]));
        let changed = memberships.with(one(1, &[Role::Provider])).expect("still two");
        assert_eq!(changed.as_slice().len(), 2);
        assert!(changed.of(OrgId::from_bytes([1; 16])).is_some_and(|m| m.roles.contains(Role::Provider)));
        assert_eq!(Memberships::new(Vec::new()), Err(NotMemberships));
        assert_eq!(Memberships::new(vec![one(1, &[])]), Err(NotMemberships));
        assert_eq!(Memberships::new(vec![one(1, &[Role::Provider]); 2]), Err(NotMemberships));
        let many = (0..17).map(|org| one(org, &[Role::Provider])).collect::<Vec<_>>();
        assert_eq!(Memberships::new(many.clone()), Err(NotMemberships));
        let bytes = postcard::to_allocvec(&many).expect("encodes");
        assert!(postcard::from_bytes::<Memberships>(&bytes).is_err(), "nor by the wire");
    }
}
