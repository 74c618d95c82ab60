//! One question, decided and explained.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use node_access::policies::InForce;
use node_policy::{Line, covering, explain};

use super::{asked, files, on_one_line, said, show};
use crate::exit::{Cause, Stop};
use crate::tell;

/// A whole question. `null` is what is not known.
macro_rules! question {
    () => {
        r#"{"principal": "pharmacist", "action": "read", "entity": "prescription", "facts": {"organisation": "pharmacy", "purpose": "TREAT", "relationship": "organisation", "consent": "none", "licence": "unasked", "basis": false, "category": "general", "home": "US-TX", "ingress": "US-TX", "service": null, "accessor": null, "day": 20261122, "device": "unknown", "assurance": 1}}"#
    };
}

/// What the help shows.
pub(super) const EXAMPLE: &str =
    concat!("A question is one line of the file; null is what is not known:\n  ", question!());

/// Decides each question of a file by a folder of policies, by what is in force for the node of a configuration, or by
/// the set of this program, and prints why and what would turn it.
pub(super) fn run(request: &Path, policies: Option<&Path>, config: Option<&Path>) -> Result<ExitCode, Stop> {
    let asked_of = match policies {
        Some(folder) => Arc::new(InForce { version: None, loaded: files::folder(folder)? }),
        None => show::in_force(config)?,
    };
    let policies = &asked_of.loaded;
    let questions = files::requests(request)?;
    if questions.is_empty() {
        let what = format!("{} holds no question", request.display());
        return Err(Stop::new(Cause::Other, what, "see `domicile policy test --help` for a whole question"));
    }
    for question in questions {
        let explanation = explain(policies, &question);
        tell::line(&asked(&question));
        tell::line(&format!("  {}", on_one_line(&explanation.decision)));
        let line = covering(&question).map_or_else(|| "no line covers it".to_owned(), Line::text);
        tell::line(&format!("  matrix: {line}"));
        for change in &explanation.would_change {
            tell::line(&format!("  {} with {} = {}", said(change.verdict), change.fact, change.to));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use node_policy::{Loaded, RefusalReason, Request, Verdict};

    use super::*;

    #[test]
    fn the_question_in_the_help_is_one() {
        let request: Request = serde_json::from_str(question!()).expect("it is whole");
        let explanation = explain(&Loaded::shipped().expect("it loads"), &request);
        assert_eq!(explanation.decision.verdict, Verdict::Refuse(RefusalReason::NotPermitted));
        let changes: Vec<_> = explanation.would_change.iter().map(|c| (c.fact, c.to)).collect();
        assert_eq!(changes, [("relationship", "assigned")]);
    }
}
