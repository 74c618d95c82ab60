//! What other policies would decide otherwise.

use std::path::Path;
use std::process::ExitCode;

use node_policy::{
    Action, ConsentState, Entity, Facts, LicenceState, Loaded, Principal, Relationship, Request, decide,
    differences,
};
use residency_policy::{Category, Jurisdiction, OrgType, Purpose, Role};

use super::{asked, files, on_one_line};
use crate::exit::Stop;
use crate::tell;

/// Asks both, and prints where they differ.
pub(super) fn run(new: &Path, requests: Option<&Path>) -> Result<ExitCode, Stop> {
    let (old, new) = (files::shipped()?, files::folder(new)?);
    let questions = match requests {
        Some(file) => files::requests(file)?,
        None => with_less(&old, &new, every_question()),
    };
    let (asked_of_both, mut differ) = (questions.len(), 0_usize);
    for difference in differences(&old, &new, questions) {
        differ += 1;
        tell::line(&asked(&difference.request));
        tell::line(&format!("  now   {}", on_one_line(&difference.now)));
        tell::line(&format!("  then  {}", on_one_line(&difference.then)));
    }
    tell::line(&format!("{differ} of {asked_of_both} questions would be answered otherwise"));
    Ok(ExitCode::SUCCESS)
}

/// Every role, action, entity and purpose, in the relationship that the role has to what it works with, and with
/// nothing missing that could be asked for.
fn every_question() -> Vec<Request> {
    let mut questions = Vec::new();
    // One place is as good as another: the shipped policies do not ask for it.
    let home = Jurisdiction::all().next();
    for (principal, home) in Principal::all().zip(home.into_iter().cycle()) {
        let relationship = match principal {
            Principal::Patient => Relationship::Oneself,
            Principal::Support => Relationship::BreakGlass,
            Principal::Member(Role::Marketer) => Relationship::Referral,
            Principal::Member(Role::Pharmacist | Role::LabTech) => Relationship::Assigned,
            Principal::Member(_) => Relationship::Organisation,
        };
        let organisation = match principal {
            Principal::Member(role) => Some(role.usual_kind()),
            Principal::Patient | Principal::Support => None,
        };
        let facts = Facts {
            organisation,
            relationship,
            consent: ConsentState::General,
            licence: LicenceState::Held,
            basis: true,
            assurance: 2,
            ..Facts::least(home, 20_270_101)
        };
        for &entity in Entity::ALL {
            for &action in Action::ALL {
                for purpose in std::iter::once(None).chain(Purpose::ALL.iter().copied().map(Some)) {
                    let facts = Facts { purpose, ..facts };
                    questions.push(Request { principal, action, entity, facts });
                }
            }
        }
    }
    questions
}

/// The same, and what either set allows once more with one thing missing or worse: a prohibition that is gone shows only there.
fn with_less(old: &Loaded, new: &Loaded, mut questions: Vec<Request>) -> Vec<Request> {
    let allowed = |request: &&Request| decide(old, request).allowed() || decide(new, request).allowed();
    let worse: Vec<Request> = questions.iter().filter(allowed).flat_map(one_thing_worse).collect();
    questions.extend(worse);
    questions
}

fn one_thing_worse(request: &Request) -> Vec<Request> {
    let facts = request.facts;
    let mut worse: Vec<Facts> =
        ConsentState::ALL.iter().map(|consent| Facts { consent: *consent, ..facts }).collect();
    worse.extend(LicenceState::ALL.iter().map(|licence| Facts { licence: *licence, ..facts }));
    worse.extend(Relationship::ALL.iter().map(|relationship| Facts { relationship: *relationship, ..facts }));
    for &category in Category::ALL.iter().filter(|category| **category != facts.category) {
        worse.extend([ConsentState::None, ConsentState::Specific].map(|consent| Facts {
            category,
            consent,
            ..facts
        }));
    }
    let kinds = OrgType::ALL.iter().copied().filter(|_| facts.organisation.is_some());
    worse.extend(kinds.map(|kind| Facts { organisation: Some(kind), ..facts }));
    worse.extend([Facts { basis: false, ..facts }, Facts { assurance: 1, ..facts }]);
    worse.retain(|worse| *worse != facts);
    worse.into_iter().map(|facts| Request { facts, ..*request }).collect()
}

#[cfg(test)]
mod tests {
    use node_policy::{Difference, POLICIES, PolicyFile, SCHEMA};

    use super::*;

    #[test]
    fn a_policy_that_is_gone_shows_and_the_same_policies_do_not() {
        let questions = every_question();
        assert!(questions.len() > 40_000, "{}", questions.len());
        let of: Vec<Request> =
            questions.into_iter().filter(|q| matches!(q.entity, Entity::Region | Entity::Claim)).collect();
        let shipped = Loaded::shipped().expect("it loads");
        assert_eq!(differences(&shipped, &shipped, of.clone()).count(), 0);
        let files: Vec<PolicyFile<'_>> =
            POLICIES.iter().copied().filter(|file| file.name != "payment.cedar").collect();
        let without = Loaded::parse(SCHEMA, &files).expect("it loads");
        let found: Vec<_> = differences(&shipped, &without, of).collect();
        assert!(found.len() > 5 && found.iter().all(|d| d.request.entity == Entity::Claim), "{found:?}");
    }

    #[test]
    fn a_prohibition_that_is_gone_shows_where_something_is_missing() {
        let shipped = Loaded::shipped().expect("it loads");
        let files: Vec<PolicyFile<'_>> =
            POLICIES.iter().copied().filter(|file| file.name != "never.cedar").collect();
        let without = Loaded::parse(SCHEMA, &files).expect("it loads");
        let of: Vec<Request> = every_question().into_iter().filter(|q| q.entity == Entity::Encounter).collect();
        let found: Vec<_> = differences(&shipped, &without, with_less(&shipped, &without, of)).collect();
        let opened = |d: &&Difference| !d.now.allowed() && d.then.allowed();
        let by = |worse: fn(&Facts) -> bool| found.iter().filter(opened).any(|d| worse(&d.request.facts));
        assert!(by(|facts| facts.consent == ConsentState::Revoked), "{}", found.len());
        assert!(by(|facts| facts.category == Category::SubstanceUse), "{}", found.len());
        assert!(by(|facts| facts.organisation == Some(OrgType::Marketing)), "{}", found.len());
    }
}
