//! Rules of law and contract about where PHI may go, as dated data.
//!
//! A rule restricts. Of all rules that apply, the strictest holds, so that adding a rule to what is covered never
//! allows more; of equally strict ones the last is cited. Where no rule applies nothing is allowed: there is no
//! default.

mod signature;
mod written;

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Category, Home, Ingress, Jurisdiction};

use written::{File, Written};
pub(crate) use written::{toml_date, toml_date_perhaps};

pub(crate) use signature::signed_by;
pub use signature::{Digest, NotSigned, signed_bytes, verify};

/// The rules that come with the product, as the text that is digested and signed.
pub const SHIPPED: &str = include_str!("../rules/us.toml");

/// How a request may reach its home, from the loosest to the strictest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransitMode {
    /// TLS ends at the ingress and the request is forwarded over mutual TLS.
    Proxy,
    /// The caller is told to go to the home itself; no byte of the body is read.
    Redirect,
    /// The request is refused.
    Deny,
}

impl TransitMode {
    /// The word in the rules' file and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Redirect => "redirect",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Debug for TransitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a record may leave for another home, from the loosest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Departure {
    /// It may move.
    Allow,
    /// It stays.
    Deny,
}

/// What the old home does with a record that has left, from the loosest to the strictest duty to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterDeparture {
    /// Rows and keys are destroyed.
    Erase,
    /// The record is kept, sealed and unserved, until its time has passed.
    RetainSealed,
}

/// Which jurisdictions a rule is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Any,
    OutsideHome,
    One(Jurisdiction),
}

impl Which {
    fn covers(self, place: Jurisdiction, home: Jurisdiction) -> bool {
        match self {
            Self::Any => true,
            Self::OutsideHome => place != home,
            Self::One(one) => one == place,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "outside-home" => Some(Self::OutsideHome),
            code => code.parse().ok().map(Self::One),
        }
    }
}

/// When and for what a rule holds, and on whose authority.
#[derive(Clone)]
struct Rule<T> {
    home: Which,
    other: Which,
    category: Option<Category>,
    from: Date,
    to: Option<Date>,
    citation: String,
    says: T,
}

impl<T> Rule<T> {
    fn applies(&self, home: Jurisdiction, other: Jurisdiction, category: Category, on: Date) -> bool {
        self.home.covers(home, home)
            && self.other.covers(other, home)
            && self.category.is_none_or(|c| c == category)
            && self.from <= on
            && self.to.is_none_or(|to| on < to)
    }
}

/// A rule that held, with the authority it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding<'a, T> {
    /// What the rule says.
    pub says: T,
    /// The statute, regulation or contract.
    pub citation: &'a str,
}

/// One version of all rules.
#[derive(Clone)]
pub struct Ruleset {
    version: u64,
    digest: Digest,
    transit: Vec<Rule<TransitMode>>,
    departure: Vec<Rule<Departure>>,
    retention: Vec<Rule<(AfterDeparture, u16)>>,
}

/// Why a rules' file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RulesetError {
    /// The file is not TOML of the expected shape.
    #[error("the rules' file cannot be read: {0}")]
    Toml(#[from] Box<toml::de::Error>),
    /// A rule is wrong. Counted from 1 within its kind.
    #[error("{kind} rule {number}: {wrong}")]
    Rule {
        /// `transit`, `departure` or `retention`.
        kind: &'static str,
        /// Which of that kind, from 1.
        number: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

impl Ruleset {
    /// The most rules of one kind.
    pub const RULES_MAX: usize = 4_096;

    /// Reads a rules' file. Unknown keys are refused, and so is a rule without a citation.
    pub fn parse(text: &str) -> Result<Self, RulesetError> {
        let file: File = toml::from_str(text).map_err(Box::new)?;
        Ok(Self {
            version: file.version,
            digest: Digest::of(text.as_bytes()),
            transit: read(&file.transit, "transit", |w| {
                Ok((w.ingress.as_deref(), need(w.mode, "mode is missing")?))
            })?,
            departure: read(&file.departure, "departure", |w| {
                Ok((w.to.as_deref(), need(w.departure, "departure is missing")?))
            })?,
            retention: read(&file.retention, "retention", |w| {
                let after = need(w.after_departure, "after_departure is missing")?;
                Ok((Some("any"), (after, need(w.years_min, "years_min is missing")?)))
            })?,
        })
    }

    /// The version that the file gives itself.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What identifies the file's exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How a request for this home may travel. `None` where no rule speaks, which means: not at all.
    pub fn transit(
        &self,
        home: Home,
        ingress: Ingress,
        category: Category,
        on: Date,
    ) -> Option<Holding<'_, TransitMode>> {
        strictest(&self.transit, home.0.0, ingress.0, category, on)
    }

    /// Whether a record may move to another home. `None` means no.
    pub fn departure(
        &self,
        home: Home,
        to: Home,
        category: Category,
        on: Date,
    ) -> Option<Holding<'_, Departure>> {
        strictest(&self.departure, home.0.0, to.0.0, category, on)
    }

    /// What the old home must do after a departure, and for how many years. `None` means that it may not depart.
    pub fn retention(
        &self,
        home: Home,
        category: Category,
        on: Date,
    ) -> Option<Holding<'_, (AfterDeparture, u16)>> {
        strictest(&self.retention, home.0.0, home.0.0, category, on)
    }
}

impl fmt::Debug for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruleset").field("version", &self.version).finish_non_exhaustive()
    }
}

fn strictest<T: Copy + Ord>(
    rules: &[Rule<T>],
    home: Jurisdiction,
    other: Jurisdiction,
    category: Category,
    on: Date,
) -> Option<Holding<'_, T>> {
    rules
        .iter()
        .filter(|rule| rule.applies(home, other, category, on))
        .max_by_key(|rule| rule.says)
        .map(|rule| Holding { says: rule.says, citation: &rule.citation })
}

fn need<T>(value: Option<T>, wrong: &'static str) -> Result<T, &'static str> {
    value.ok_or(wrong)
}

fn read<'w, T>(
    written: &'w [Written],
    kind: &'static str,
    says: impl Fn(&'w Written) -> Result<(Option<&'w str>, T), &'static str>,
) -> Result<Vec<Rule<T>>, RulesetError> {
    let fail = |number, wrong| RulesetError::Rule { kind, number, wrong };
    if written.len() > Ruleset::RULES_MAX {
        return Err(fail(written.len(), "there are more rules than are accepted"));
    }
    let one = |w: &'w Written| {
        let (other, says) = says(w)?;
        // Each kind has two keys of its own. A third is another kind's: a restriction that would silently not hold.
        if w.keys_of_a_kind() != 2 {
            return Err("a key belongs to another kind of rule");
        }
        if w.effective_to.is_some_and(|to| to <= w.effective_from) {
            return Err("effective_to is not after effective_from");
        }
        Ok(Rule {
            home: need(Which::parse(&w.home), "home is neither `any` nor a jurisdiction")?,
            other: need(
                other.and_then(Which::parse),
                "the other place is neither `any`, `outside-home` nor a jurisdiction",
            )?,
            category: match w.category.as_str() {
                "any" => None,
                name => Some(name.parse().map_err(|_| "category is neither `any` nor a category")?),
            },
            from: w.effective_from,
            to: w.effective_to,
            citation: if w.citation.trim().is_empty() {
                Err("citation is empty")
            } else {
                Ok(w.citation.clone())
            }?,
            says,
        })
    };
    written.iter().enumerate().map(|(i, w)| one(w).map_err(|wrong| fail(i + 1, wrong))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    fn rules(body: &str) -> Result<Ruleset, RulesetError> {
        Ruleset::parse(&format!("version = 1\n{body}"))
    }

    fn at(code: &str) -> Jurisdiction {
        code.parse().expect("a jurisdiction")
    }

    const BASE: &str = "[[transit]]\nhome = 'any'\ningress = 'any'\ncategory = 'general'\nmode = 'proxy'\n\
                        effective_from = 2025-01-01\ncitation = '45 CFR 164.312(e)'\n";

    fn mode(rules: &Ruleset, category: Category, on: &str) -> Option<TransitMode> {
        let on = on.parse().expect("a date");
        rules.transit(Home(Region(at("US-CA"))), Ingress(at("US-NV")), category, on).map(|h| h.says)
    }

    #[test]
    fn what_no_rule_speaks_of_is_not_allowed() {
        let base = rules(BASE).expect("reads");
        assert_eq!(mode(&base, Category::General, "2026-11-22"), Some(TransitMode::Proxy));
        assert_eq!(mode(&base, Category::Reproductive, "2026-11-22"), None);
        assert_eq!(mode(&base, Category::General, "2024-12-31"), None, "before its first day");
    }

    #[test]
    fn a_rule_holds_from_its_first_day_until_the_day_it_ends() {
        let dated = format!(
            "{BASE}[[transit]]\nhome = 'US-CA'\ningress = 'outside-home'\ncategory = 'general'\nmode = 'deny'\n\
             effective_from = 2027-07-01\neffective_to = 2028-01-01\ncitation = 'a dated act'\n"
        );
        let dated = rules(&dated).expect("reads");
        for (day, expected) in [
            ("2027-06-30", TransitMode::Proxy),
            ("2027-07-01", TransitMode::Deny),
            ("2027-12-31", TransitMode::Deny),
            ("2028-01-01", TransitMode::Proxy),
        ] {
            assert_eq!(mode(&dated, Category::General, day), Some(expected), "{day}");
        }
    }

    #[test]
    fn a_wrong_file_is_refused_and_the_rule_is_named() {
        for (text, says) in [
            ("nonsense = 1", "unknown field"),
            (&BASE.replace("45 CFR 164.312(e)", " "), "transit rule 1: citation is empty"),
            (&BASE.replace("'general'", "'secret'"), "transit rule 1: category"),
            (&BASE.replace("ingress = 'any'", "ingress = 'US-ZZ'"), "transit rule 1: the other place"),
            (&BASE.replace("mode = 'proxy'\n", ""), "transit rule 1: mode is missing"),
            (&BASE.replace("'proxy'", "'allow'"), "unknown variant"),
            (&BASE.replace("2025-01-01", "'2025-01-01'"), "expected a TOML datetime"),
            (&BASE.replace("2025-01-01", "2025-01-01T00:00:00"), "expected a day"),
            (&BASE.replace("2025-01-01", "2025-02-30"), "invalid"),
            (&format!("{BASE}effective_to = 2025-01-01\n"), "transit rule 1: effective_to"),
            (&format!("{BASE}to = 'US-TX'\n"), "transit rule 1: a key belongs to another kind"),
            (&BASE.replace("[[transit]]", "[[departure]]"), "departure rule 1: departure is missing"),
        ] {
            let error = rules(text).expect_err("is refused").to_string();
            assert!(error.contains(says), "{error} does not say {says}");
        }
    }
}
