//! What public registers call the laboratories and pharmacies.

use std::sync::Arc;

use residency_policy::{Facility, OrgId};

use crate::command::{Organisation, Refusal};
use crate::machine::State;
use crate::organisations;

impl State {
    /// What identifies a laboratory or a pharmacy. One that an earlier release added has none, nor has one that an
    /// operator made another kind since.
    pub fn facility(&self, org: OrgId) -> Option<Facility> {
        let kind = self.organisations.get(&org)?.org_type;
        self.facilities.get(&org).copied().filter(|facility| facility.kind() == kind)
    }
}

/// Adds a laboratory or a pharmacy. The same one again changes nothing; one that is there with other numbers, or with
/// none, stays as it is.
pub(crate) fn add(state: &mut State, organisation: Organisation, facility: Facility) -> Result<(), Refusal> {
    let org = organisation.id;
    if state.organisations.contains_key(&org) && state.facilities.get(&org) != Some(&facility) {
        return Err(Refusal::AlreadyKnown);
    }
    organisations::add(state, organisation)?;
    Arc::make_mut(&mut state.facilities).insert(org, facility);
    Ok(())
}
