//! A policy as the rest of the program knows it: its id, its citation, and what it has done.

use std::fmt;
use std::str::FromStr;

use cedar_policy::{Effect, Policy};
use serde::{Serialize, Serializer};

use crate::{RefusalReason, Shape};

/// The longest id, citation or list of obligations, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// What must be done with an answer, or what would help a refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obligation {
    /// Leave a group of fields out.
    LeaveOut(String),
    /// Show only the end of a field.
    Mask(String),
    /// Mark what is shown with who was shown it.
    Watermark,
    /// Have the caller show a fresh second factor, of this assurance level.
    StepUp(u8),
    /// Have the caller choose a purpose.
    PurposeDialog,
    /// Tell somebody.
    Notify(String),
    /// Show counts only, and none that is smaller.
    Aggregate(u32),
}

/// The text is no obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an obligation: expected leave-out:FIELDS, mask:FIELD, watermark, step-up:2, step-up:3, purpose-dialog, \
     notify:WHOM or aggregate:COUNT"
)]
pub struct NotAnObligation;

impl FromStr for Obligation {
    type Err = NotAnObligation;

    fn from_str(text: &str) -> Result<Self, NotAnObligation> {
        let (what, value) = text.split_once(':').unwrap_or((text, ""));
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let word = || (!value.is_empty() && value.chars().all(is_word)).then(|| value.to_owned());
        match what {
            "leave-out" => word().map(Self::LeaveOut),
            "mask" => word().map(Self::Mask),
            "notify" => word().map(Self::Notify),
            "step-up" => value.parse().ok().filter(|level| (2..=3).contains(level)).map(Self::StepUp),
            "aggregate" => value.parse().ok().filter(|least| *least > 1).map(Self::Aggregate),
            "watermark" if text == what => Some(Self::Watermark),
            "purpose-dialog" if text == what => Some(Self::PurposeDialog),
            _ => None,
        }
        .ok_or(NotAnObligation)
    }
}

impl fmt::Display for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaveOut(fields) => write!(f, "leave-out:{fields}"),
            Self::Mask(field) => write!(f, "mask:{field}"),
            Self::Watermark => f.write_str("watermark"),
            Self::StepUp(level) => write!(f, "step-up:{level}"),
            Self::PurposeDialog => f.write_str("purpose-dialog"),
            Self::Notify(whom) => write!(f, "notify:{whom}"),
            Self::Aggregate(least) => write!(f, "aggregate:{least}"),
        }
    }
}

impl Serialize for Obligation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a rule does when it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// It permits, and this much is shown.
    Permits(Shape),
    /// It forbids whatever another one permits.
    Forbids(RefusalReason),
}

/// One policy, without its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in a set.
    pub id: String,
    /// The statute, regulation or standard it rests on.
    pub citation: String,
    /// What it does.
    pub effect: Effects,
    /// What it asks for besides.
    pub obligations: Vec<Obligation>,
}

impl Rule {
    /// Reads the annotations of a policy. What is missing, misspelt or of no use there is refused.
    pub(crate) fn read(policy: &Policy) -> Result<Self, String> {
        for (key, value) in policy.annotations() {
            let fits = match policy.effect() {
                Effect::Permit => matches!(key, "id" | "citation" | "obligation" | "shape"),
                Effect::Forbid => matches!(key, "id" | "citation" | "obligation" | "reason"),
            };
            if !fits {
                return Err(format!("the annotation @{key} has no meaning here"));
            }
            if value.is_empty() || value.len() > TEXT_BYTES_MAX {
                return Err(format!("the annotation @{key} is empty or longer than {TEXT_BYTES_MAX} bytes"));
            }
        }
        let need = |key| policy.annotation(key).ok_or_else(|| format!("the annotation @{key} is missing"));
        let effect = match policy.effect() {
            Effect::Permit => Effects::Permits(need("shape")?.parse().map_err(|e| format!("@shape: {e}"))?),
            Effect::Forbid => Effects::Forbids(need("reason")?.parse().map_err(|e| format!("@reason: {e}"))?),
        };
        let obligations = policy.annotation("obligation").unwrap_or_default();
        Ok(Self {
            id: need("id")?.to_owned(),
            citation: need("citation")?.to_owned(),
            effect,
            obligations: obligations
                .split_whitespace()
                .map(|text| text.parse().map_err(|e| format!("@obligation {text}: {e}")))
                .collect::<Result<_, _>>()?,
        })
    }
}
