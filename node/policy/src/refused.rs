//! Why a policy file is refused, and where.

use miette::Diagnostic;

use crate::PolicyFile;

/// A policy file that is not taken. Nothing of its set is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {wrong}")]
pub struct PolicyError {
    /// Which file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right where that is known.
    pub wrong: String,
}

impl PolicyError {
    /// An error at a byte of a file.
    pub(crate) fn at(file: PolicyFile<'_>, offset: usize, wrong: impl Into<String>) -> Self {
        let before = file.text.get(..offset).unwrap_or(file.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            file: file.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            wrong: wrong.into(),
        }
    }

    /// An error that Cedar found in a file.
    pub(crate) fn found(file: PolicyFile<'_>, error: &dyn Diagnostic) -> Self {
        let wrong = match error.help() {
            Some(help) => format!("{error}: {help}"),
            None => error.to_string(),
        };
        Self::at(file, offset(error).unwrap_or(0), wrong)
    }
}

/// The first place that a diagnostic points at, in itself or in what caused it.
fn offset(error: &dyn Diagnostic) -> Option<usize> {
    let own = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    own.or_else(|| error.related().and_then(|mut related| related.find_map(offset)))
        .or_else(|| error.diagnostic_source().and_then(offset))
}
