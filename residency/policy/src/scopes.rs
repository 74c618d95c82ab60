//! What an API key was issued for. A scope takes away from what the key's role may do, and never adds to it.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

crate::words! {
    /// One thing that a key was issued for: a family of things, and whether they may be changed.
    KeyScope, NotAKeyScope, "a scope of API keys" {
        /// Looks at patients, what they answered, their consents and break-glass grants.
        PatientsRead = "patients:read",
        /// And changes them.
        PatientsWrite = "patients:write",
        /// Looks at consults, encounters and messages.
        CareRead = "care:read",
        /// And changes them.
        CareWrite = "care:write",
        /// Looks at prescriptions, laboratory orders and results, parcels and kits.
        OrdersRead = "orders:read",
        /// And changes them.
        OrdersWrite = "orders:write",
        /// Looks at appointments, waiting lists, calendars and holds.
        SchedulingRead = "scheduling:read",
        /// And changes them.
        SchedulingWrite = "scheduling:write",
        /// Looks at coverage, claims, payments and prior authorisations.
        BillingRead = "billing:read",
        /// And changes them.
        BillingWrite = "billing:write",
        /// Looks at organisations, regions and clinicians.
        DirectoryRead = "directory:read",
        /// And changes them.
        DirectoryWrite = "directory:write",
        /// Looks at users, sessions, identity providers, settings and keys.
        AdministrationRead = "administration:read",
        /// And changes them.
        AdministrationWrite = "administration:write",
        /// Looks at the access log, exports and policies.
        OversightRead = "oversight:read",
        /// And makes exports.
        OversightWrite = "oversight:write",
    }
}

/// A set of scopes: one bit for each, in the order of the list above.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyScopes(u16);

impl KeyScopes {
    /// Every scope: for a key that was issued for all that its role may do.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the set has a scope. Who may change things of a family may look at them.
    pub fn covers(self, scope: KeyScope) -> bool {
        let bit = 1_u16 << scope as u16;
        // The even ones look, and the one after each changes.
        let changes = if (scope as u16).is_multiple_of(2) { bit << 1 } else { 0 };
        self.0 & (bit | changes) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in the order of the list.
    pub fn iter(self) -> impl Iterator<Item = KeyScope> {
        KeyScope::ALL.iter().copied().filter(move |scope| self.0 & (1 << *scope as u16) != 0)
    }
}

impl FromIterator<KeyScope> for KeyScopes {
    fn from_iter<I: IntoIterator<Item = KeyScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u16))
    }
}

impl fmt::Debug for KeyScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Words where people read it, their bits where only programs do.
impl Serialize for KeyScopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_u16(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for KeyScopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Ok(Vec::<KeyScope>::deserialize(deserializer)?.into_iter().collect())
        } else {
            let bits = u16::deserialize(deserializer)?;
            if bits == 0 { Err(D::Error::custom("a key without a scope")) } else { Ok(Self(bits)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_covers_what_is_in_it_and_who_may_change_may_look() {
        let set: KeyScopes = [KeyScope::OrdersWrite, KeyScope::CareRead].into_iter().collect();
        for (scope, covered) in [
            (KeyScope::OrdersWrite, true),
            (KeyScope::OrdersRead, true),
            (KeyScope::CareRead, true),
            (KeyScope::CareWrite, false),
            (KeyScope::PatientsRead, false),
            (KeyScope::SchedulingRead, false),
        ] {
            assert_eq!(set.covers(scope), covered, "{scope}");
        }
        assert!(KeyScope::ALL.iter().all(|scope| KeyScopes::ALL.covers(*scope)));
        assert_eq!(KeyScopes::ALL.iter().count(), KeyScope::ALL.len());
        assert!(KeyScopes::from_iter([]).is_empty());
        assert_eq!(set.iter().collect::<Vec<_>>(), [KeyScope::CareRead, KeyScope::OrdersWrite]);
    }

    #[test]
    fn the_even_scopes_look_and_the_odd_ones_change() {
        for (at, scope) in KeyScope::ALL.iter().enumerate() {
            let ends = if at.is_multiple_of(2) { ":read" } else { ":write" };
            assert!(scope.as_str().ends_with(ends) && *scope as usize == at, "{scope}");
        }
    }
}
