//! Who asks, in the terms of the policies.

use node_policy::Principal;
use residency_policy::KeyScopes;
use storage::Acting;

use crate::Credential;

/// Who asks, as far as it matters for what they may do.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// As what.
    pub role: Principal,
    /// For what their key was issued. It takes away from what the role may do.
    pub scopes: KeyScopes,
}

impl From<&Credential> for Asker {
    fn from(caller: &Credential) -> Self {
        Self { role: principal(caller.role), scopes: caller.scopes }
    }
}

/// Who that is to the policies.
pub(crate) const fn principal(acting: Acting) -> Principal {
    match acting {
        Acting::Member(role) => Principal::Member(role),
        Acting::Patient(_) => Principal::Patient,
    }
}
