//! `domicile doctor`: checks a configuration and what it names, and says in words what is wrong.
//!
//! It looks and changes nothing, and it works beside a node that runs: the keyring's file, which the node has
//! locked, is not opened.

mod certificates;
mod database;
mod keys;
mod machine;
mod rules;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use residency_control::system::{SystemClock, SystemEntropy};
use serde::Serialize;

use crate::config::{Config, secret_file};
use crate::exit::Stop;
use crate::{lifecycle, tell};

/// What came of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Ok,
    /// It works, and someone should look.
    Warn,
    /// It does not work, or must not stay so.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What is so.
    pub what: String,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// In the order in which it was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { check, verdict: Verdict::Ok, what: what.into(), mend: None });
    }

    fn warn(&mut self, check: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend) = (what.into(), Some(mend.into()));
        self.findings.push(Finding { check, verdict: Verdict::Warn, what, mend });
    }

    fn fail(&mut self, check: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend) = (what.into(), Some(mend.into()));
        self.findings.push(Finding { check, verdict: Verdict::Fail, what, mend });
    }

    fn stop(&mut self, check: &'static str, stop: Stop) {
        self.fail(check, stop.what, stop.mend);
    }

    /// Whether nothing failed.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|f| f.verdict != Verdict::Fail)
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        for Finding { check, verdict, what, mend } in &self.findings {
            let word = match verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{word}  {check}: {what}");
            if let Some(mend) = mend {
                let _ = writeln!(text, "      to mend it: {mend}");
            }
        }
        let count = |v| self.findings.iter().filter(|f| f.verdict == v).count();
        let _ = write!(
            text,
            "{} ok, {} to look at, {} failed",
            count(Verdict::Ok),
            count(Verdict::Warn),
            count(Verdict::Fail)
        );
        text
    }
}

/// Checks what a configuration names. The exit code is 1 when something failed.
pub fn run(file: &Path, json: bool) -> Result<ExitCode, Stop> {
    let report = match lifecycle::load(file) {
        Err(stop) => {
            let mut report = Report::default();
            report.stop("configuration", stop);
            report
        }
        Ok(config) => lifecycle::runtime(1)?.block_on(examine(file, &config)),
    };
    if json {
        let document = serde_json::json!({ "ok": report.is_well(), "checks": report.findings });
        tell::line(&format!("{document:#}"));
    } else {
        tell::line(&report.lines());
    }
    Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(file: &Path, config: &Config) -> Report {
    let mut report = Report::default();
    let (region, cluster) = (config.region.region(), config.region.cluster);
    report.ok(
        "configuration",
        format!("{} is node {} of {region} in {cluster}", file.display(), config.region.node),
    );
    secrets(config, &mut report);
    certificates::look(config, &SystemClock, &mut report);
    machine::ports(config, &mut report);
    machine::disk(config, &mut report);
    machine::files(config, &mut report);
    machine::dumps(crate::hardening::others_dump(), &mut report);
    let runs = rules::look(config, &mut report).await;
    if !runs {
        machine::peers(config, &mut report).await;
    }
    let identity = database::look(config, &SystemClock, &mut report).await;
    keys::look(config, identity, &SystemEntropy::new(), &mut report).await;
    report
}

fn secrets(config: &Config, report: &mut Report) {
    // What a node which serves checks at its start, and what `domicile migrate` needs.
    let mut files = config.secret_files();
    files.extend(config.migrate.iter().map(|m| ("[migrate] password_file", m.password_file.0.as_path())));
    let mut well = 0;
    for (named_by, file) in &files {
        match secret_file::closed(file) {
            Ok(()) => well += 1,
            Err(error) => report.fail(
                "secrets",
                error.to_string(),
                format!("{named_by}: one secret a file, mode 0600, owned by the node's user"),
            ),
        }
    }
    if well == files.len() {
        report.ok("secrets", format!("{well} files, closed to others"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_does_not_count_and_a_failure_does() {
        let mut report = Report::default();
        report.ok("a", "is so");
        report.warn("b", "is odd", "look");
        assert!(report.is_well());
        report.fail("c", "is broken", "repair it");
        assert!(!report.is_well());
        let lines = report.lines();
        assert!(lines.contains("FAIL  c: is broken\n      to mend it: repair it"), "{lines}");
        assert!(lines.ends_with("1 ok, 1 to look at, 1 failed"), "{lines}");
    }

    #[test]
    fn a_file_that_is_refused_is_one_failure_and_no_more() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("node.toml");
        std::fs::write(&file, "nonsense = 1").expect("writes");
        assert!(run(&file, false).is_ok_and(|code| code == ExitCode::FAILURE));
    }
}
