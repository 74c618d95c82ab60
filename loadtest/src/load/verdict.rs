//! What was promised, and whether it held.

use serde::{Deserialize, Serialize};

use super::judge::Findings;
use super::tally::Summary;
use crate::history::linearize::Violation;

/// Within this 95 of 100 requests that create, read or change something are answered, in milliseconds.
pub const CRUD_MS: f64 = 300.0;
/// Within this 95 of 100 searches are answered, in milliseconds.
pub const SEARCH_MS: f64 = 500.0;

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// What was promised.
    pub what: String,
    /// How much.
    pub bound: String,
    /// What was found.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

impl Promise {
    /// A number that must be 0.
    pub fn none(what: &str, found: usize) -> Self {
        Self { what: what.to_owned(), bound: "0".to_owned(), found: found.to_string(), held: found == 0 }
    }

    /// A figure that may be so large at most.
    pub fn at_most(what: &str, bound: f64, found: f64, unit: &str) -> Self {
        Self {
            what: what.to_owned(),
            bound: format!("at most {bound:.0} {unit}"),
            found: format!("{found:.1} {unit}"),
            held: found <= bound,
        }
    }

    /// Something that must be so.
    pub fn must(what: &str, held: bool, found: impl Into<String>) -> Self {
        Self { what: what.to_owned(), bound: "yes".to_owned(), found: found.into(), held }
    }
}

/// The latency that every kind of request was promised.
pub fn latencies(summaries: &[Summary]) -> Vec<Promise> {
    let answered = summaries.iter().filter(|summary| summary.good > 0);
    answered
        .map(|summary| {
            let bound = if summary.act == "search" { SEARCH_MS } else { CRUD_MS };
            Promise::at_most(&format!("p95 of {}", summary.act), bound, summary.p95, "ms")
        })
        .collect()
}

/// Nothing was refused or lost.
pub fn nothing_refused(summaries: &[Summary]) -> Promise {
    let bad: u64 = summaries.iter().map(|summary| summary.bad).sum();
    Promise::none("requests refused or not answered", usize::try_from(bad).unwrap_or(usize::MAX))
}

/// What must hold after every run.
pub fn invariants(findings: &Findings, violations: &[Violation]) -> Vec<Promise> {
    vec![
        Promise::none("acknowledged writes lost", findings.lost.len()),
        Promise::none("records that could not be read again", findings.unread.len()),
        Promise::none("patients with another number of homes than one", findings.homes.len()),
        Promise::none("double bookings", findings.double.len()),
        Promise::none("keys that are not linearizable", violations.len()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(act: &str, p95: f64, bad: u64) -> Summary {
        Summary { act: act.to_owned(), good: 10, bad, p95, ..Summary::default() }
    }

    #[test]
    fn a_search_may_take_longer_than_a_read() {
        let held = |act, p95| latencies(&[summary(act, p95, 0)])[0].held;
        assert!(held("read", 300.0) && !held("read", 300.1));
        assert!(held("search", 499.0) && !held("search", 501.0));
        assert!(nothing_refused(&[summary("read", 1.0, 0)]).held);
        assert!(!nothing_refused(&[summary("read", 1.0, 0), summary("search", 1.0, 1)]).held);
    }

    #[test]
    fn every_finding_breaks_a_promise() {
        let broken = |findings: &Findings| invariants(findings, &[]).iter().filter(|p| !p.held).count();
        assert_eq!(broken(&Findings::default()), 0);
        let one = || vec!["p".to_owned()];
        for findings in [
            Findings { lost: one(), ..Findings::default() },
            Findings { unread: one(), ..Findings::default() },
            Findings { homes: one(), ..Findings::default() },
            Findings { double: one(), ..Findings::default() },
        ] {
            assert_eq!(broken(&findings), 1, "{findings:?}");
        }
        let violation = Violation { key: "k".into(), what: "w".into() };
        assert!(invariants(&Findings::default(), &[violation]).iter().any(|promise| !promise.held));
    }
}
