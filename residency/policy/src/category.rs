//! How sensitive a piece of PHI is by law.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The legal category of PHI. Each has data keys of its own, and transit rules of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// PHI without a stricter rule (45 CFR 160.103).
    General,
    /// Psychotherapy notes (45 CFR 164.501, 164.508(a)(2)).
    PsychotherapyNotes,
    /// Substance use disorder records (42 CFR Part 2).
    SubstanceUse,
    /// Reproductive and gender-affirming care (for one, Cal. Civ. Code 56.110).
    Reproductive,
    /// Services that a minor may consent to alone (for one, Cal. Fam. Code 6924-6929).
    MinorSensitive,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 5] =
        [Self::General, Self::PsychotherapyNotes, Self::SubstanceUse, Self::Reproductive, Self::MinorSensitive];

    /// The name used in rules, key contexts and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::PsychotherapyNotes => "psychotherapy-notes",
            Self::SubstanceUse => "substance-use",
            Self::Reproductive => "reproductive",
            Self::MinorSensitive => "minor-sensitive",
        }
    }
}

/// The text names no category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a category: expected general, psychotherapy-notes, substance-use, reproductive or minor-sensitive"
)]
pub struct NotACategory;

impl FromStr for Category {
    type Err = NotACategory;

    fn from_str(text: &str) -> Result<Self, NotACategory> {
        Self::ALL.into_iter().find(|c| c.name() == text).ok_or(NotACategory)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
