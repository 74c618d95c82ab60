//! The matrix and the list of fields as documents for an auditor, in Markdown.

use std::collections::BTreeSet;

use residency_policy::{Jurisdiction, Purpose};

use crate::matrix::rows;
use crate::{ConsentState, Effects, Facts, LicenceState, Line, Loaded, Principal, Request, decide, matrix};

const FIELDS: &str = include_str!("../fields.tsv");

/// Who need not sign in.
const ANYONE: &str = "anyone";

const ACCESS_HEAD: &str = "\
# Who may do what, why, and how much is shown

Written by `domicile policy matrix` from the access matrix (`node/policy/matrix.tsv`) and the policies that come with
the program; do not edit it. The policies are compared with every cell of the matrix, and a running node is asked every
operation as every role. What no row names is refused.

- *Purposes* are codes of HL7 v3-ActReason; `-` where nothing of a patient is shown, which takes none.
- *Relationship*: `organisation`, it is of their own organisation, or assigned to them; `assigned`, it was assigned to
  them; `referral`, they referred it; `self`, it is about themselves; `break-glass`, they broke the glass for it and the
  grant lives; `any`, none is asked for.
- *Shown*: `token`, ids, homes and times; `listed`, without what is clinical; `full`, everything.
- *With it*: fields that are left out or masked, counts below which nothing is told, a watermark, who is told.
- *Needs*: `basis`, a recorded legal basis; `licence`, authority to practise where the patient is; `assurance`, a fresh
  second factor.
- *Rests on*: what the policies that permit it cite.";

const NEVER_HEAD: &str = "\
## What no permit overrides

| rule | refuses with | rests on |
|---|---|---|";

const FIELDS_HEAD: &str = "\
# Which fields a role is shown

Written by `domicile policy fields` from `node/policy/fields.tsv`; do not edit it. A field that is not here is shown to
nobody (45 CFR 164.502(b), 164.514(d)). The document of the API and the answers of a running node are compared with it.
A dot leads into an object; the frame of a list is left out. `anyone` is who need not sign in, and whoever is signing
in.";

/// Who may do what, for which purposes, how much is shown, and what it rests on: a table for each role, and after them
/// what no permit overrides.
pub fn access_document(policies: &Loaded) -> String {
    let mut all = vec![ACCESS_HEAD.to_owned()];
    for principal in Principal::all() {
        let lines = matrix().iter().filter(|line| line.principal == principal);
        let table: Vec<String> = lines.map(|line| row(policies, line)).collect();
        if !table.is_empty() {
            let head = "| entity | actions | purposes | relationship | shown | with it | needs | rests on |";
            let rule = "|---|---|---|---|---|---|---|---|";
            all.push(format!("## {principal}\n\n{head}\n{rule}\n{}", table.join("\n")));
        }
    }
    let mut never: Vec<_> = policies.rules().collect();
    never.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let never = never.into_iter().filter_map(|rule| match rule.effect {
        Effects::Forbids(reason) => Some(format!("| {} | {reason} | {} |", rule.id, rule.citation)),
        Effects::Permits(_) => None,
    });
    all.push(format!("{NEVER_HEAD}\n{}", never.collect::<Vec<_>>().join("\n")));
    all.join("\n\n")
}

fn row(policies: &Loaded, line: &Line) -> String {
    // The role is the heading.
    let cells = line.cells[1..].iter().map(|cell| cell.replace(',', ", "));
    let rests: Vec<String> = citations(policies, line).into_iter().collect();
    let cells: Vec<String> = cells.chain([rests.join("; ")]).collect();
    format!("| {} |", cells.join(" | "))
}

/// What the rules cite that permit what a line says.
fn citations(policies: &Loaded, line: &Line) -> BTreeSet<String> {
    let organisation = match line.principal {
        Principal::Member(role) => Some(role.usual_kind()),
        Principal::Patient | Principal::Support => None,
    };
    // One place and one day are as good as another: the shipped policies ask for neither.
    let able = Jurisdiction::all().take(1).map(|home| Facts {
        organisation,
        consent: ConsentState::General,
        licence: LicenceState::Held,
        basis: true,
        assurance: 2,
        ..Facts::least(home, 20_261_122)
    });
    let purposes: Vec<Option<Purpose>> =
        if line.purposes.is_empty() { vec![None] } else { line.purposes.iter().copied().map(Some).collect() };
    let mut cited = BTreeSet::new();
    for facts in able {
        for &action in &line.actions {
            for &purpose in &purposes {
                for &relationship in &line.relationships {
                    let facts = Facts { purpose, relationship, ..facts };
                    let (principal, entity) = (line.principal, line.entity);
                    let decision = decide(policies, &Request { principal, action, entity, facts });
                    if decision.allowed() {
                        cited.extend(decision.rules.iter().map(|rule| rule.citation.clone()));
                    }
                }
            }
        }
    }
    cited
}

/// Which fields of which entities each role is shown.
pub fn fields_document() -> String {
    let mut all = vec![FIELDS_HEAD.to_owned()];
    for role in Principal::all().map(Principal::as_str).chain([ANYONE]) {
        let table: Vec<String> = rows(FIELDS)
            .skip(1)
            .filter_map(|line| {
                let cells: [&str; 3] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
                let [roles, entity, fields] = cells;
                let shown = roles.split(',').any(|named| named == role);
                shown.then(|| format!("| {entity} | {} |", fields.replace(',', ", ")))
            })
            .collect();
        if !table.is_empty() {
            all.push(format!("## {role}\n\n| entity | fields |\n|---|---|\n{}", table.join("\n")));
        }
    }
    all.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_told_once_and_rests_on_something() {
        let policies = Loaded::shipped().expect("it loads");
        let text = access_document(&policies);
        let rows: Vec<&str> = text.lines().filter(|line| line.matches(" | ").count() == 7).collect();
        let heads = Principal::all().count();
        assert_eq!(rows.len(), matrix().len() + heads, "a row a line, and a head a role");
        for row in rows.iter().filter(|row| !row.starts_with("| entity |")) {
            let cited = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
            assert!(cited.chars().any(|c| c.is_ascii_digit()), "{row}");
        }
        for rule in policies.rules().filter(|rule| matches!(rule.effect, Effects::Forbids(_))) {
            assert!(text.contains(&format!("| {} | ", rule.id)), "{}", rule.id);
        }
        let provider = text.split("\n## ").find(|part| part.starts_with("provider\n")).expect("a part");
        let own = "| claim | read, list | HPAYMT | organisation | full | - | - | 45 CFR 164";
        assert!(provider.contains(own), "{provider}");
    }

    #[test]
    fn every_field_is_told_to_every_role_that_is_shown_it() {
        let text = fields_document();
        let known: Vec<&str> = Principal::all().map(Principal::as_str).chain([ANYONE]).collect();
        let mut told = 0;
        for line in rows(FIELDS).skip(1) {
            let [roles, entity, fields] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            for role in roles.split(',') {
                assert!(known.contains(&role), "{role}");
                let (_, part) = text.split_once(&format!("\n## {role}\n")).expect("a part of the role");
                let part = part.split("\n## ").next().unwrap_or_default();
                assert!(
                    part.contains(&format!("| {entity} | {} |", fields.replace(',', ", "))),
                    "{role} {entity}"
                );
                told += 1;
            }
        }
        assert_eq!(
            text.lines().filter(|line| line.starts_with("| ")).count(),
            told + text.matches("\n## ").count()
        );
    }
}
