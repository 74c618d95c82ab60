//! What may become of an organisation: changed, set aside, closed for good.

use std::sync::Arc;

use residency_policy::{Closure, OrgId};
use serde::{Deserialize, Serialize};

use crate::command::{Organisation, Refusal};
use crate::machine::State;
use crate::signin;

/// How often an organisation was changed, and whether it is closed. One that was never changed has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationMark {
    /// 1 when it was added, and one more with every change.
    pub version: u64,
    /// Why it was closed, if it was. Nothing opens it again.
    pub closed: Option<Closure>,
}

impl OrganisationMark {
    pub(crate) const FIRST: Self = Self { version: 1, closed: None };
}

/// An operator's word: adds, or replaces whatever is there. Only what is closed stays closed.
pub(crate) fn put(state: &mut State, mut organisation: Organisation) -> Result<(), Refusal> {
    let Some(known) = state.organisations.get(&organisation.id) else {
        return insert(state, organisation);
    };
    let mark = state.mark(organisation.id);
    organisation.active &= mark.closed.is_none();
    if *known != organisation {
        let mark = raised(mark, mark.version)?;
        replace(state, organisation, mark);
    }
    Ok(())
}

/// Two requests that took the same id apart, such as one idempotency key used twice, are told apart here, where all
/// changes have one order.
pub(crate) fn add(state: &mut State, organisation: Organisation) -> Result<(), Refusal> {
    match state.organisations.get(&organisation.id) {
        Some(known) if *known == organisation => Ok(()),
        Some(_) => Err(Refusal::AlreadyKnown),
        None => insert(state, organisation),
    }
}

/// Changes one that was read at this version. What kind it is does not change: its rows are kept by that kind's rules.
pub(crate) fn change(state: &mut State, organisation: Organisation, expected: u64) -> Result<(), Refusal> {
    let (known, mark) = open(state, organisation.id)?;
    let mark = raised(mark, expected)?;
    replace(state, Organisation { org_type: known.org_type, ..organisation }, mark);
    Ok(())
}

/// Closes one for good. Its id stays: records name it.
pub(crate) fn close(state: &mut State, org: OrgId, reason: Closure, expected: u64) -> Result<(), Refusal> {
    let (known, mark) = open(state, org)?;
    let mark = OrganisationMark { closed: Some(reason), ..raised(mark, expected)? };
    replace(state, Organisation { active: false, ..known }, mark);
    Ok(())
}

pub(crate) fn open(state: &State, org: OrgId) -> Result<(Organisation, OrganisationMark), Refusal> {
    let known = state.organisations.get(&org).ok_or(Refusal::UnknownOrg)?;
    let mark = state.mark(org);
    if mark.closed.is_some() {
        return Err(Refusal::Closed);
    }
    Ok((known.clone(), mark))
}

pub(crate) fn raised(mark: OrganisationMark, expected: u64) -> Result<OrganisationMark, Refusal> {
    if mark.version != expected {
        return Err(Refusal::StaleVersion);
    }
    Ok(OrganisationMark { version: mark.version.checked_add(1).ok_or(Refusal::Full)?, ..mark })
}

fn insert(state: &mut State, organisation: Organisation) -> Result<(), Refusal> {
    if state.organisations.len() >= State::ORGANISATIONS_MAX {
        return Err(Refusal::Full);
    }
    Arc::make_mut(&mut state.organisations).insert(organisation.id, organisation);
    Ok(())
}

fn replace(state: &mut State, organisation: Organisation, mark: OrganisationMark) {
    if !organisation.active {
        signin::act::end_all_at(state, organisation.id);
    }
    Arc::make_mut(&mut state.marks).insert(organisation.id, mark);
    Arc::make_mut(&mut state.organisations).insert(organisation.id, organisation);
}
