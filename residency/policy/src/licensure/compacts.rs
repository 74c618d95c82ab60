//! Which state is a member of which compact, and since when: dated data with a citation for each line.
//!
//! A line that is not certain gives no authority. A state without a line is no member.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::civil::Date;
use serde::Deserialize;

use super::Compact;
use crate::Jurisdiction;
use crate::ruleset::{toml_date, toml_date_perhaps};

/// The lines that come with the product.
const SHIPPED: &str = include_str!("../../rules/compacts.toml");

/// One version of all memberships.
#[derive(Debug, Clone)]
pub struct Compacts {
    version: u64,
    lines: BTreeMap<(Compact, Jurisdiction), Vec<Line>>,
}

#[derive(Debug, Clone)]
struct Line {
    from: Date,
    to: Option<Date>,
    certain: bool,
    citation: Arc<str>,
}

/// Whether a state is a member of a compact on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership<'a> {
    /// It is, on this authority.
    Member {
        /// The statute, or the commission's notice.
        citation: &'a str,
    },
    /// It may be, and whoever keeps the file could not confirm the day. Treated as none.
    Uncertain,
    /// It is not.
    None,
}

/// Why a file of memberships is refused.
#[derive(Debug, thiserror::Error)]
pub enum CompactsError {
    /// The file is not TOML of the expected shape.
    #[error("the file of compacts cannot be read: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// A line is wrong. Counted from 1.
    #[error("membership {number}: {wrong}")]
    Line {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    #[serde(default)]
    membership: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    compact: String,
    states: Vec<String>,
    #[serde(deserialize_with = "toml_date")]
    effective_from: Date,
    #[serde(default, deserialize_with = "toml_date_perhaps")]
    effective_to: Option<Date>,
    citation: String,
    certain: bool,
    #[serde(default)]
    why_uncertain: Option<String>,
}

impl Compacts {
    /// What comes with the product.
    pub fn shipped() -> &'static Self {
        static READ: LazyLock<Compacts> =
            // A file without a single line gives no authority anywhere; a test reads the shipped one.
            LazyLock::new(|| {
                Compacts::parse(SHIPPED).unwrap_or(Compacts { version: 0, lines: BTreeMap::new() })
            });
        &READ
    }

    /// Reads a file. Unknown keys are refused, and so is a line without a citation, or without a reason where it is
    /// not certain.
    pub fn parse(text: &str) -> Result<Self, CompactsError> {
        let file: File = toml::from_str(text).map_err(Box::new)?;
        let mut lines: BTreeMap<(Compact, Jurisdiction), Vec<Line>> = BTreeMap::new();
        for (at, written) in file.membership.into_iter().enumerate() {
            let fail = |wrong| CompactsError::Line { number: at + 1, wrong };
            let (compact, states, line) = read(&written).map_err(fail)?;
            for state in states {
                let there = lines.entry((compact, state)).or_default();
                if there.iter().any(|other| other.overlaps(&line)) {
                    return Err(fail("another line speaks of the same state, compact and day"));
                }
                there.push(line.clone());
            }
        }
        Ok(Self { version: file.version, lines })
    }

    /// The version that the file gives itself.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a state is a member on a day.
    pub fn membership(&self, compact: Compact, state: Jurisdiction, on: Date) -> Membership<'_> {
        let speaks = |line: &&Line| line.from <= on && line.to.is_none_or(|to| on < to);
        match self.lines.get(&(compact.treaty(), state)).and_then(|lines| lines.iter().find(speaks)) {
            Some(line) if line.certain => Membership::Member { citation: &line.citation },
            Some(_) => Membership::Uncertain,
            None => Membership::None,
        }
    }

    /// Every line: compact, state, first day, the day after the last, whether it is certain, and on what authority.
    pub fn lines(&self) -> impl Iterator<Item = (Compact, Jurisdiction, Date, Option<Date>, bool, &str)> {
        self.lines.iter().flat_map(|((compact, state), lines)| {
            lines.iter().map(|l| (*compact, *state, l.from, l.to, l.certain, &*l.citation))
        })
    }
}

impl Line {
    fn overlaps(&self, other: &Self) -> bool {
        self.to.is_none_or(|to| other.from < to) && other.to.is_none_or(|to| self.from < to)
    }
}

fn read(written: &Written) -> Result<(Compact, Vec<Jurisdiction>, Line), &'static str> {
    let named =
        Compact::ALL.iter().map(|compact| compact.treaty()).find(|c| c.treaty_name() == written.compact);
    let compact = named.ok_or("compact is not one that is known")?;
    if written.effective_to.is_some_and(|to| to <= written.effective_from) {
        return Err("effective_to is not after effective_from");
    }
    if written.citation.trim().is_empty() {
        return Err("citation is empty");
    }
    let reason = written.why_uncertain.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if written.certain == reason.is_some() {
        return Err("why_uncertain is for lines that are not certain, and they need it");
    }
    if written.states.is_empty() {
        return Err("states is empty");
    }
    let states: Result<Vec<Jurisdiction>, _> = written.states.iter().map(|state| state.parse()).collect();
    let states = states.map_err(|_| "a state is not a jurisdiction such as US-TX")?;
    let line = Line {
        from: written.effective_from,
        to: written.effective_to,
        certain: written.certain,
        citation: written.citation.as_str().into(),
    };
    Ok((compact, states, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[[membership]]\ncompact = 'nlc'\nstates = ['US-TX']\neffective_from = 2018-01-19\n\
                        citation = 'an act'\ncertain = true\n";

    fn file(lines: &str) -> Result<Compacts, CompactsError> {
        Compacts::parse(&format!("version = 1\n{lines}"))
    }

    fn of(compacts: &Compacts, on: &str) -> Option<bool> {
        let texas = "US-TX".parse().expect("a jurisdiction");
        match compacts.membership(Compact::Nlc, texas, on.parse().expect("a date")) {
            Membership::Member { .. } => Some(true),
            Membership::Uncertain => None,
            Membership::None => Some(false),
        }
    }

    #[test]
    fn a_membership_holds_from_its_first_day_until_the_day_it_ends() {
        let dated = file(&format!("{LINE}effective_to = 2030-01-01\n")).expect("reads");
        for (day, member) in
            [("2018-01-18", false), ("2018-01-19", true), ("2029-12-31", true), ("2030-01-01", false)]
        {
            assert_eq!(of(&dated, day), Some(member), "{day}");
        }
        let unsure = LINE.replace("true", "false\nwhy_uncertain = 'no notice found'");
        assert_eq!(of(&file(&unsure).expect("reads"), "2026-01-01"), None, "uncertain is not a member");
    }

    #[test]
    fn a_wrong_file_is_refused_and_the_line_is_named() {
        for (text, says) in [
            (LINE.replace("'nlc'", "'nlx'"), "membership 1: compact"),
            (LINE.replace("'US-TX'", "'TX'"), "membership 1: a state"),
            (LINE.replace("'US-TX'", ""), "membership 1: states is empty"),
            (LINE.replace("'US-TX'", "'US-TX', 'US-TX'"), "membership 1: another line"),
            (LINE.replace("'an act'", "' '"), "membership 1: citation"),
            (LINE.replace("true", "false"), "membership 1: why_uncertain"),
            (format!("{LINE}why_uncertain = 'x'\n"), "membership 1: why_uncertain"),
            (format!("{LINE}effective_to = 2018-01-19\n"), "membership 1: effective_to"),
            (format!("{LINE}{LINE}"), "membership 2: another line"),
            (LINE.replace("2018-01-19", "'2018-01-19'"), "expected a TOML datetime"),
            (format!("{LINE}note = 'x'\n"), "unknown field"),
        ] {
            let error = file(&text).expect_err("is refused").to_string();
            assert!(error.contains(says), "{error} does not say {says}");
        }
        let ended = format!("{LINE}effective_to = 2020-01-01\n{}", LINE.replace("2018-01-19", "2020-01-01"));
        assert!(file(&ended).is_ok(), "the control: one line ends where the next begins");
    }
}
