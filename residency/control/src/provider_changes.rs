//! What a command does to the clinicians of the state.

use std::sync::Arc;

use residency_policy::Npi;
use residency_policy::licensure::{EnteredBy, Licence, Licences};

use crate::command::{Provider, Refusal};
use crate::machine::State;

/// Adds a clinician (`expected` is 0), or replaces what is known of one.
pub(crate) fn put(state: &mut State, mut provider: Provider, expected: u64) -> Result<(), Refusal> {
    provider.version = expected.checked_add(1).ok_or(Refusal::Full)?;
    let known = state.providers.get(provider.id);
    if known.is_none() && expected != 0 {
        return Err(Refusal::UnknownProvider);
    }
    match known {
        // The same command again, as after an answer that was lost.
        Some(known) if **known == provider => return Ok(()),
        Some(_) if expected == 0 => return Err(Refusal::AlreadyKnown),
        Some(known) if known.version != expected => return Err(Refusal::StaleVersion),
        Some(known) if known.npi != provider.npi || known.synthetic != provider.synthetic => {
            return Err(Refusal::OtherProvider);
        }
        None if state.providers.by_npi(provider.npi).is_some() => return Err(Refusal::NpiTaken),
        None if state.providers.len() >= State::PROVIDERS_MAX => return Err(Refusal::Full),
        Some(_) | None => {}
    }
    if !provider.orgs.as_slice().iter().all(|org| state.organisations.contains_key(org)) {
        return Err(Refusal::UnknownOrg);
    }
    // Whoever lets go of a clinician takes their own word back.
    let gone = |by| matches!(by, EnteredBy::Organisation(org) if !provider.orgs.contains(org));
    if provider.licences.by().any(gone) {
        return Err(Refusal::UnknownOrg);
    }
    if provider.collaborating.is_some_and(|id| id == provider.id || state.providers.get(id).is_none()) {
        return Err(Refusal::UnknownProvider);
    }
    if provider.unfit().is_some() {
        return Err(Refusal::NotTheirProfession);
    }
    Arc::make_mut(&mut state.providers).put(provider);
    Ok(())
}

/// Notes what the operator found. What an organisation entered stays as it is.
pub(crate) fn verify(state: &mut State, npi: Npi, found: &Licences) -> Result<(), Refusal> {
    let known = state.providers.by_npi(npi).ok_or(Refusal::UnknownProvider)?;
    let numbered = |licence: &Licence| (licence.jurisdiction, licence.number);
    let mut verified = known.licences.of(EnteredBy::Operator).to_vec();
    for licence in found.as_slice() {
        match verified.iter_mut().find(|one| numbered(one) == numbered(licence)) {
            Some(one) => *one = *licence,
            None => verified.push(*licence),
        }
    }
    let verified = Licences::new(verified).map_err(|_| Refusal::Full)?;
    let licences = known.licences.with(EnteredBy::Operator, verified).map_err(|_| Refusal::Full)?;
    let version = known.version.checked_add(1).ok_or(Refusal::Full)?;
    let provider = Provider { licences, version, ..Provider::clone(known) };
    // The same command again, as after an answer that was lost.
    if provider.licences == known.licences {
        return Ok(());
    }
    if provider.unfit().is_some() {
        return Err(Refusal::NotTheirProfession);
    }
    Arc::make_mut(&mut state.providers).put(provider);
    Ok(())
}
