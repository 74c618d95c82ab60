//! What came of each check.

use std::fmt::Write as _;

use serde::Serialize;

/// How many pieces of evidence are shown of one check; how many there are is said in any case.
pub const SHOWN: usize = 50;

/// The word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It was looked at, and is as it must be.
    Pass,
    /// It was looked at, and is not.
    Fail,
    /// It was not looked at, or not all of it.
    NotCovered,
}

/// One check and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Its name, which does not change.
    pub check: &'static str,
    /// What it asks, in plain words.
    pub question: &'static str,
    /// The word.
    pub verdict: Word,
    /// What was looked at.
    pub looked_at: Vec<String>,
    /// What is not as it must be: ids and names, never a value.
    pub evidence: Vec<String>,
    /// How many pieces of evidence there are.
    pub found: usize,
    /// Why it was not looked at.
    pub not_covered: Vec<String>,
}

impl Verdict {
    /// Of what was found wrong and of what could not be looked at. To have looked at nothing is not to pass.
    pub fn of(
        check: &'static str,
        question: &'static str,
        looked_at: Vec<String>,
        mut evidence: Vec<String>,
        mut not_covered: Vec<String>,
    ) -> Self {
        if looked_at.is_empty() && evidence.is_empty() && not_covered.is_empty() {
            not_covered.push("there was nothing to look at".into());
        }
        let verdict = match (evidence.is_empty(), not_covered.is_empty()) {
            (false, _) => Word::Fail,
            (true, false) => Word::NotCovered,
            (true, true) => Word::Pass,
        };
        evidence.sort_unstable();
        evidence.dedup();
        let found = evidence.len();
        evidence.truncate(SHOWN);
        Self { check, question, verdict, looked_at, evidence, found, not_covered }
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What this is.
    pub format: &'static str,
    /// When it was made, in UTC.
    pub made_at: String,
    /// The cluster, as its databases are stamped.
    pub cluster: Option<String>,
    /// The regions that the inventory names.
    pub homes: Vec<String>,
    /// Where who lives where was read.
    pub directory_read_from: String,
    /// The checks.
    pub checks: Vec<Verdict>,
    /// Checks that the auditor said need not be covered.
    pub accepted: Vec<String>,
}

impl Report {
    /// Whether everything passed, but for what the auditor accepted as not covered.
    pub fn passes(&self) -> bool {
        self.checks.iter().all(|one| match one.verdict {
            Word::Pass => true,
            Word::NotCovered => self.accepted.iter().any(|name| name == one.check),
            Word::Fail => false,
        })
    }

    /// For people at a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for one in &self.checks {
            let word = match one.verdict {
                Word::Pass => "pass       ",
                Word::Fail => "FAIL       ",
                Word::NotCovered => "not covered",
            };
            let _ = writeln!(out, "{word}  {:<20} {}", one.check, one.question);
            for line in &one.evidence {
                let _ = writeln!(out, "               {line}");
            }
            if one.found > one.evidence.len() {
                let _ = writeln!(out, "               and {} more", one.found - one.evidence.len());
            }
            for line in &one.not_covered {
                let _ = writeln!(out, "               not looked at: {line}");
            }
        }
        let _ = writeln!(out, "\nWho lives where was read from {}.", self.directory_read_from);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_looked_at_is_no_pass_and_a_failure_is_never_accepted() {
        let word = |looked: &[&str], wrong: &[&str], open: &[&str]| {
            let own = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            Verdict::of("c", "?", own(looked), own(wrong), own(open))
        };
        assert_eq!(word(&[], &[], &[]).verdict, Word::NotCovered);
        assert_eq!(word(&["x"], &[], &[]).verdict, Word::Pass);
        assert_eq!(word(&["x"], &["y"], &["z"]).verdict, Word::Fail);
        let mut report = Report {
            format: "",
            made_at: String::new(),
            cluster: None,
            homes: vec![],
            directory_read_from: String::new(),
            checks: vec![word(&["x"], &[], &["z"])],
            accepted: vec![],
        };
        assert!(!report.passes());
        report.accepted.push("c".into());
        assert!(report.passes());
        report.checks.push(word(&["x"], &["y"], &[]));
        assert!(!report.passes());
    }
}
