//! Every cell of the access matrix, compared with what the policies decide.

use std::collections::BTreeSet;

use node_policy::{
    Action, Entity, Facts, LicenceState, Line, Loaded, Need, POLICIES, PolicyFile, Principal, Relationship,
    SCHEMA, Shape, Verdict, decide, matrix,
};
use residency_policy::Purpose;

use crate::situation::{able, ask, shipped};

/// What the matrix says of a cell: how much is shown, and what must be done with it.
fn expected(
    matrix: &[Line],
    (principal, entity, action, purpose, relationship): (
        Principal,
        Entity,
        Action,
        Option<Purpose>,
        Relationship,
    ),
) -> Option<(Shape, BTreeSet<String>)> {
    let mut fitting = matrix.iter().filter(|line| {
        line.principal == principal
            && line.entity == entity
            && line.actions.contains(&action)
            && line.relationships.contains(&relationship)
            && if entity.is_phi() { purpose.is_some_and(|p| line.purposes.contains(&p)) } else { true }
    });
    let found = fitting.next().map(|line| (line.shape, line.obligations.iter().cloned().collect()));
    assert!(fitting.next().is_none(), "two lines for {principal} {entity} {action}");
    found
}

/// How many cells there are and how many allow, or the first cells that differ.
fn compare(policies: &Loaded, at_most: usize) -> Result<(usize, usize), Vec<String>> {
    let (matrix, mut cells, mut allowed, mut wrong) = (matrix(), 0, 0, Vec::new());
    let purposes = || std::iter::once(None).chain(Purpose::ALL.iter().copied().map(Some));
    for principal in Principal::all() {
        if wrong.len() >= at_most {
            break;
        }
        for (entity, action) in Entity::ALL.iter().flat_map(|e| Action::ALL.iter().map(move |a| (*e, *a))) {
            // Where no line names role, entity and action, one relationship shows it as well as six.
            let spoken =
                |l: &Line| l.principal == principal && l.entity == entity && l.actions.contains(&action);
            let relationships = if matrix.iter().any(spoken) { Relationship::ALL } else { &RELATED };
            for purpose in purposes() {
                for &relationship in relationships {
                    let facts = Facts { purpose, relationship, ..able() };
                    let decision = decide(policies, &ask(principal, action, entity, facts));
                    let got = match decision.verdict {
                        Verdict::Allow(shape) => {
                            Some((shape, decision.obligations.iter().map(ToString::to_string).collect()))
                        }
                        Verdict::Refuse(_) => None,
                    };
                    cells += 1;
                    allowed += usize::from(got.is_some());
                    let want = expected(matrix, (principal, entity, action, purpose, relationship));
                    if got != want {
                        wrong.push(format!(
                            "{principal} {action} {entity} for {purpose:?} as {relationship}: {got:?}, not {want:?}"
                        ));
                    }
                }
            }
        }
    }
    if wrong.is_empty() { Ok((cells, allowed)) } else { Err(wrong) }
}

const RELATED: [Relationship; 1] = [Relationship::Organisation];

#[test]
fn every_cell_is_decided_as_the_matrix_says() {
    let (cells, allowed) = compare(shipped(), 20).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    assert!(cells > 70_000, "only {cells} cells");
    let lines: usize = matrix()
        .iter()
        .map(|line| {
            let purposes = if line.entity.is_phi() { line.purposes.len() } else { Purpose::ALL.len() + 1 };
            line.actions.len() * purposes * line.relationships.len()
        })
        .sum();
    assert_eq!(allowed, lines, "every line of the matrix allows what it says");
}

#[test]
fn a_seeded_wrong_policy_is_caught() {
    let seeds = [
        // A role too many.
        r#"permit (principal == Role::"marketer", action == Action::"read", resource is Patient);"#,
        // More than may be shown.
        r#"permit (principal == Role::"auditor", action == Action::"list", resource is Encounter);"#,
        // A purpose too many.
        r#"permit (principal == Role::"provider", action == Action::"sign", resource is Encounter)
           when { context.purpose == Purpose::"HRESCH" };"#,
    ];
    for seed in seeds {
        let text = format!("@id(\"seeded\")\n@citation(\"none\")\n@shape(\"full\")\n{seed}");
        let seeded = PolicyFile { name: "seeded.cedar", text: &text };
        let files: Vec<PolicyFile<'_>> = POLICIES.iter().copied().chain([seeded]).collect();
        let loaded = Loaded::parse(SCHEMA, &files).expect("it loads");
        assert!(compare(&loaded, 1).is_err(), "{seed}");
    }
    for missing in POLICIES.iter().filter(|file| file.name != "never.cedar") {
        let files: Vec<PolicyFile<'_>> =
            POLICIES.iter().copied().filter(|file| file.name != missing.name).collect();
        let differs = Loaded::parse(SCHEMA, &files).map(|loaded| compare(&loaded, 1).is_err());
        assert_eq!(differs, Ok(true), "without {}", missing.name);
    }
}

/// How many needs there are, or those that are not needed.
fn needs(policies: &Loaded) -> Result<usize, Vec<String>> {
    let (mut taken, mut wrong) = (0, Vec::new());
    for line in matrix() {
        for need in &line.needs {
            let without = match need {
                Need::Basis => Facts { basis: false, ..able() },
                Need::Licence => Facts { licence: LicenceState::Unasked, ..able() },
                Need::Assurance => Facts { assurance: 1, ..able() },
            };
            for &action in &line.actions {
                let allowed = |facts: Facts| {
                    let (purpose, relationship) = (line.purposes.first().copied(), line.relationships[0]);
                    let facts = Facts { purpose, relationship, ..facts };
                    decide(policies, &ask(line.principal, action, line.entity, facts)).allowed()
                };
                taken += 1;
                if !allowed(able()) || allowed(without) {
                    wrong.push(format!("{} {action} {} without {need}", line.principal, line.entity));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(taken) } else { Err(wrong) }
}

#[test]
fn what_a_cell_needs_is_needed() {
    let taken = needs(shipped()).unwrap_or_else(|wrong| panic!("{}", wrong.join("\n")));
    assert!(taken > 20, "only {taken} needs");
    let files: Vec<_> = POLICIES.iter().copied().filter(|file| file.name != "never.cedar").collect();
    let without = Loaded::parse(SCHEMA, &files).expect("it loads");
    assert_eq!(needs(&without).map_err(|wrong| wrong.len()), Err(taken), "the control");
}
