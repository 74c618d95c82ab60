//! What other policies would decide otherwise.

use std::path::Path;
use std::process::ExitCode;

use node_policy::{
    Action, ConsentState, Entity, Facts, LicenceState, Principal, Relationship, Request, differences,
};
use residency_policy::{Jurisdiction, Purpose, Role};

use super::{asked, files, on_one_line};
use crate::exit::Stop;
use crate::tell;

/// Asks both, and prints where they differ.
pub(super) fn run(new: &Path, requests: Option<&Path>) -> Result<ExitCode, Stop> {
    let (old, new) = (files::shipped()?, files::folder(new)?);
    let questions = match requests {
        Some(file) => files::requests(file)?,
        None => every_question(),
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
        let facts = Facts {
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

#[cfg(test)]
mod tests {
    use node_policy::{Loaded, POLICIES, PolicyFile, SCHEMA};

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
}
