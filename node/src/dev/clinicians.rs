//! The clinicians of a development cluster: twelve who do not exist, with licences of every kind, and for each key of
//! a provider the one who works with it.

use anyhow::{Context as _, Result};
use jiff::civil::Date;
use loadtest_people::{CAST, Cast, SyntheticProvider, cast, provider};
use residency_control::{Command, Languages, Provider, ProviderOrgs, Taxonomies};
use residency_policy::licensure::{Attested, Licences};
use residency_policy::{Jurisdiction, OrgId, OrgType, Role};

use super::cluster_json::{Clinician, Credential};

/// The clinics, in the order of their keys: the first has everybody but those who are cast for the second.
fn clinics(credentials: &[Credential]) -> Vec<OrgId> {
    let mut found = Vec::new();
    for credential in credentials.iter().filter(|c| c.org_type == OrgType::Provider) {
        if !found.contains(&credential.org) {
            found.push(credential.org);
        }
    }
    found
}

fn clinic_of(index: usize, clinics: &[OrgId]) -> Option<OrgId> {
    let place = usize::from(cast(index) == Cast::OtherClinic);
    clinics.get(place).or(clinics.first()).copied()
}

/// Gives each key of a provider somebody of its clinic, the same ones every time.
pub fn bind(credentials: &mut [Credential], seed: u64, states: &[Jurisdiction], today: Date) {
    let clinics = clinics(credentials);
    let mut taken = Vec::new();
    for credential in credentials.iter_mut().filter(|c| c.role == Role::Provider && c.provider.is_none()) {
        let free =
            |index: &usize| !taken.contains(index) && clinic_of(*index, &clinics) == Some(credential.org);
        let Some(index) = (0..CAST).find(free) else { continue };
        taken.push(index);
        let SyntheticProvider { id, npi, .. } = provider(seed, index, states, today);
        credential.provider = Some(Clinician { id, npi });
    }
}

/// The commands that make the control plane know them. Those that are there already stay as they are.
pub fn commands(
    credentials: &[Credential],
    seed: u64,
    states: &[Jurisdiction],
    today: Date,
) -> Result<Vec<Command>> {
    let clinics = clinics(credentials);
    let of = |index| provider(seed, index, states, today);
    let put = |index| {
        let one = of(index);
        let languages: Result<Vec<_>, _> = one.languages.iter().map(|tag| tag.parse()).collect();
        let orgs = [clinic_of(index, &clinics).context("there is no clinic")?];
        let provider = Provider {
            id: one.id,
            npi: one.npi,
            name: one.name.parse()?,
            taxonomy: Taxonomies::new(one.taxonomy)?,
            languages: Languages::new(languages?)?,
            orgs: ProviderOrgs::new(orgs.to_vec())?,
            licences: Attested::alike(&orgs, &Licences::new(one.licences)?)?,
            collaborating: one.collaborating.map(|index| of(index).id),
            active: true,
            synthetic: true,
            version: 0,
        };
        Ok(Command::PutProvider { provider, expected: 0 })
    };
    (0..CAST).map(put).collect()
}

/// The commands that make the control plane know which of them the people are who work with these credentials.
pub fn bindings(credentials: &[Credential]) -> impl Iterator<Item = Command> {
    credentials.iter().filter_map(|credential| {
        let (staff, clinician) = (credential.user.as_ref()?, credential.provider.as_ref()?);
        Some(Command::BindClinician { user: staff.id, org: credential.org, provider: Some(clinician.id) })
    })
}

#[cfg(test)]
mod tests {
    use residency_control::machine::{State, apply};
    use residency_control::system::SystemEntropy;
    use residency_control::{Outcome, Refusal};

    use super::*;
    use crate::dev::credentials;

    #[test]
    fn every_key_of_a_provider_has_a_clinician_of_its_clinic() {
        let states: Vec<Jurisdiction> = ["US-CA", "US-TX"].map(|code| code.parse().expect("a place")).to_vec();
        let today = "2026-11-22".parse().expect("a day");
        let mut keys = credentials::mint(&states, &SystemEntropy::new());
        bind(&mut keys, 1, &states, today);
        let mut state = State::default();
        for command in credentials::commands(&keys, &SystemEntropy::new()).expect("all can be said") {
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        let all = commands(&keys, 1, &states, today).expect("all can be said");
        for command in &all {
            assert_eq!(apply(&mut state, command.clone()), Outcome::Done);
        }
        for command in bindings(&keys) {
            assert_eq!(apply(&mut state, command), Outcome::Done);
        }
        let mut bound = Vec::new();
        for key in &keys {
            assert_eq!(key.provider.is_some(), key.role == Role::Provider, "{}", key.role);
            let Some(clinician) = key.provider else { continue };
            let known = state.providers().get(clinician.id).expect("is in the directory");
            assert!(known.npi == clinician.npi && known.orgs.contains(key.org) && known.synthetic);
            let staff = key.user.as_ref().expect("somebody works with it");
            assert_eq!(state.clinician(staff.id, key.org), Some(clinician.id));
            bound.push(clinician.id);
        }
        assert!(bound.len() >= 2 && bound[0] != bound[1], "two clinics, two people");
        // A second start, on another day, changes nobody.
        let before = state.clone();
        for command in commands(&keys, 1, &states, "2027-01-01".parse().expect("a day")).expect("commands") {
            assert_eq!(apply(&mut state, command), Outcome::Refused(Refusal::AlreadyKnown));
        }
        assert_eq!(state, before);
    }
}
