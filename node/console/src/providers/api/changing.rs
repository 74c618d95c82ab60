//! Who may change what is known of a clinician, and what is said when the control plane does not.

use node_access::{Act, Credential, Disclosable, NotMade, OpenCall};
use residency_control::{Provider, ProviderOrgs, Refusal};
use residency_policy::{OrgId, OrgType, Problem, ProblemKind};

/// Clinicians work for those who care for patients.
pub(super) fn employs(caller: &Credential) -> Result<(), Problem> {
    match caller.org_type {
        OrgType::Provider | OrgType::Lab | OrgType::Pharmacy => Ok(()),
        OrgType::Marketing | OrgType::Auditor => Err(Problem::new(ProblemKind::Forbidden)),
    }
}

/// The organisations that a body names, in the order in which they came: the first keeps what is common to all.
pub(super) fn in_order(before: &ProviderOrgs, named: &ProviderOrgs) -> ProviderOrgs {
    let stay = before.as_slice().iter().filter(|org| named.contains(**org));
    let come = named.as_slice().iter().filter(|org| !before.contains(**org));
    // The same ones, so it is a list as well.
    ProviderOrgs::new(stay.chain(come).copied().collect()).unwrap_or_else(|_| named.clone())
}

/// Whether an organisation's administrator may make this of a clinician. Those who work for the organisation may be
/// changed; others may join it, with nothing else changed. No other organisation comes or goes. What is common to all is
/// kept by the first; nobody sets somebody aside whom others have patients with.
pub(super) fn may_change(caller: OrgId, before: &Provider, after: &Provider) -> Result<(), Problem> {
    let others = |provider: &Provider| -> Vec<OrgId> {
        let mut others: Vec<OrgId> = provider.orgs.as_slice().to_vec();
        others.retain(|org| *org != caller);
        others.sort_unstable();
        others
    };
    if others(before) != others(after) {
        let detail = "each organisation is put there and taken away by its own administrator";
        return Err(Problem::new(ProblemKind::Forbidden).field("/organisations", "not-yours", detail));
    }
    if before.orgs.contains(caller) {
        return shares(caller, before, after);
    }
    let joined = Provider { orgs: before.orgs.clone(), version: before.version, ..after.clone() };
    if after.orgs.contains(caller) && joined == *before {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden)
        .detail("they do not work for your organisation: join them with nothing else changed"))
}

/// Whether what an organisation changes of somebody whom it may share with others is its own to change.
fn shares(caller: OrgId, before: &Provider, after: &Provider) -> Result<(), Problem> {
    let common =
        |one: &Provider| (one.name.clone(), one.taxonomy.clone(), one.languages.clone(), one.collaborating);
    if before.keeper() != Some(caller) && common(before) != common(after) {
        let detail = "name, taxonomy, languages and collaboration are kept by the first of the organisations that \
                      they work for";
        return Err(Problem::new(ProblemKind::Forbidden).detail(detail));
    }
    if before.orgs.as_slice().len() > 1 && before.active && !after.active {
        let detail = "they work for others as well: let them leave your organisation";
        return Err(Problem::new(ProblemKind::Forbidden).field("/active", "not-yours", detail));
    }
    Ok(())
}

/// Why what is known of a clinician was not changed, with the field.
pub(super) struct Unchanged(pub(super) NotMade);

impl Disclosable for Unchanged {
    fn problem(&self) -> Problem {
        let invalid = |pointer, code, detail| Problem::new(ProblemKind::Invalid).field(pointer, code, detail);
        match self.0 {
            NotMade::Refused(Refusal::NpiTaken) => {
                let detail = "another clinician has this NPI";
                Problem::new(ProblemKind::AlreadyExists).field("/npi", "taken", detail)
            }
            NotMade::Refused(Refusal::OtherProvider) => {
                invalid("/npi", "fixed", "the NPI, and whether they are made up, never change")
            }
            NotMade::Refused(Refusal::UnknownProvider) => {
                invalid("/collaborating", "unknown", "expected the id of another clinician")
            }
            NotMade::Refused(Refusal::NotTheirProfession) => {
                let detail = "what a compact gives must fit every taxonomy code of the clinician";
                invalid("/licences", "other-profession", detail)
            }
            NotMade::Refused(Refusal::UnknownOrg) => {
                invalid("/organisations", "unknown", "there is no such organisation")
            }
            // The id follows from the idempotency key, so it was used for somebody else.
            NotMade::Refused(Refusal::AlreadyKnown) => Problem::new(ProblemKind::IdempotencyReused),
            other => other.problem(),
        }
    }

    fn cause(&self) -> Option<String> {
        match self.0 {
            NotMade::Refused(
                Refusal::NpiTaken
                | Refusal::OtherProvider
                | Refusal::UnknownProvider
                | Refusal::NotTheirProfession
                | Refusal::UnknownOrg
                | Refusal::AlreadyKnown,
            ) => None,
            other => other.cause(),
        }
    }
}

/// The physician with whom a clinician collaborates must be one.
pub(super) fn collaborates<A: Act>(call: &OpenCall<A>, provider: &Provider) -> Result<(), Problem> {
    let Some(id) = provider.collaborating else { return Ok(()) };
    let detail = "expected the id of another clinician who is a physician";
    let wrong = |code| Problem::new(ProblemKind::Invalid).field("/collaborating", code, detail);
    let other = call.here.directory.provider(id).filter(|other| other.id != provider.id);
    let other = other.ok_or_else(|| wrong("unknown"))?;
    let physician = |code: &residency_policy::licensure::Taxonomy| {
        code.profession() == residency_policy::licensure::Profession::Physician
    };
    if other.taxonomy.as_slice().iter().any(physician) { Ok(()) } else { Err(wrong("not-a-physician")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residency_control::{Languages, Taxonomies};
    use residency_policy::licensure::Attested;
    use residency_policy::{Npi, ProviderId};

    const OURS: OrgId = OrgId::from_bytes([1; 16]);
    const THEIRS: OrgId = OrgId::from_bytes([2; 16]);

    fn of(orgs: &[OrgId]) -> Provider {
        Provider {
            id: ProviderId::from_bytes([7; 16]),
            npi: Npi::from_nine(100_000_000).expect("an NPI"),
            name: "Robin Sample".parse().expect("a name"),
            taxonomy: Taxonomies::new(vec!["207Q00000X".parse().expect("a code")]).expect("a list"),
            languages: Languages::new(vec![]).expect("a list"),
            orgs: ProviderOrgs::new(orgs.to_vec()).expect("a list"),
            licences: Attested::default(),
            collaborating: None,
            active: true,
            synthetic: true,
            version: 3,
        }
    }

    #[test]
    fn each_organisation_speaks_for_itself() {
        let may = |before: &[OrgId], after: &[OrgId], renamed: bool| {
            let name = if renamed { "Another Name" } else { "Robin Sample" };
            let after = Provider { name: name.parse().expect("a name"), version: 0, ..of(after) };
            may_change(OURS, &of(before), &after).is_ok()
        };
        assert!(may(&[OURS], &[OURS], true), "who works for us");
        assert!(may(&[OURS, THEIRS], &[THEIRS, OURS], true), "the order says nothing");
        assert!(may(&[OURS, THEIRS], &[THEIRS], true), "who leaves us");
        assert!(may(&[THEIRS], &[THEIRS, OURS], false), "who joins us");
        assert!(!may(&[THEIRS], &[THEIRS, OURS], true), "who joins us with something changed");
        assert!(!may(&[THEIRS], &[THEIRS], true), "who does not work for us");
        assert!(!may(&[THEIRS], &[THEIRS], false), "not even with nothing changed");
        assert!(!may(&[OURS], &[OURS, THEIRS], false), "whom we would give to others");
        assert!(!may(&[OURS, THEIRS], &[OURS], false), "whom we would take from others");
        assert!(!may(&[THEIRS], &[OURS], false), "whom we would take over");
        assert!(!may(&[THEIRS, OURS], &[THEIRS, OURS], true), "the first keeps what is common");
    }

    #[test]
    fn the_first_to_come_is_the_first_in_the_list() {
        let list = |orgs: &[OrgId]| ProviderOrgs::new(orgs.to_vec()).expect("a list");
        let ordered = |before: &[OrgId], named: &[OrgId]| in_order(&list(before), &list(named));
        assert_eq!(ordered(&[THEIRS], &[OURS, THEIRS]), list(&[THEIRS, OURS]));
        assert_eq!(ordered(&[THEIRS, OURS], &[OURS, THEIRS]), list(&[THEIRS, OURS]));
        assert_eq!(ordered(&[THEIRS, OURS], &[OURS]), list(&[OURS]));
    }

    #[test]
    fn nobody_sets_aside_whom_others_share() {
        let may = |orgs: &[OrgId], before: bool, after: bool| {
            let with = |active| Provider { active, ..of(orgs) };
            may_change(OURS, &with(before), &with(after)).is_ok()
        };
        assert!(may(&[OURS], true, false), "whom we have alone");
        assert!(!may(&[OURS, THEIRS], true, false) && !may(&[THEIRS, OURS], true, false));
        assert!(may(&[THEIRS, OURS], false, true), "patients can be booked again");
    }
}
