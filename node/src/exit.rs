//! Why a process stops, in words and as an exit code that a supervisor can branch on.

use std::process::ExitCode;

/// What kind of thing was wrong. The codes are stable and listed by `domicile node --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Anything without a code of its own.
    Other,
    /// The configuration file.
    Config,
    /// The keys or the KMS.
    Keys,
    /// The database did not answer in time.
    DatabaseAway,
    /// The database is another region's, another cluster's, or has another schema.
    DatabaseWrong,
    /// The control plane's store, or its membership.
    Control,
    /// The rules' file or the key that verifies them.
    Rules,
    /// A certificate or its key.
    Tls,
    /// An address is taken or may not be listened on.
    Listen,
    /// The control plane's store latched after a failed write: what is in memory is not on disk.
    Latched,
    /// The node's id is not, or no longer, a member of the control plane.
    NoMember,
}

impl Cause {
    /// Every cause, for the help text.
    pub const ALL: &'static [Self] = &[
        Self::Other,
        Self::Config,
        Self::Keys,
        Self::DatabaseAway,
        Self::DatabaseWrong,
        Self::Control,
        Self::Rules,
        Self::Tls,
        Self::Listen,
        Self::Latched,
        Self::NoMember,
    ];

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Config => 10,
            Self::Keys => 11,
            Self::DatabaseAway => 12,
            Self::DatabaseWrong => 13,
            Self::Control => 14,
            Self::Rules => 15,
            Self::Tls => 16,
            Self::Listen => 17,
            Self::Latched => 18,
            Self::NoMember => 19,
        }
    }

    /// What the code says, in a few words.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Other => "anything else",
            Self::Config => "the configuration file is wrong",
            Self::Keys => "the keys or the KMS cannot be used",
            Self::DatabaseAway => "the database did not answer in time",
            Self::DatabaseWrong => "the database is another region's, or has another schema",
            Self::Control => "the control plane's store cannot be used",
            Self::Rules => "the rules or their verification key cannot be used",
            Self::Tls => "a certificate or its key cannot be used",
            Self::Listen => "an address cannot be listened on",
            Self::Latched => "a write of the control plane's store failed; start again when the disk is well",
            Self::NoMember => {
                "the node was removed from the cluster, or its disk is not the one that it joined with"
            }
        }
    }
}

/// A refusal to go on: what is wrong, and how to mend it. Holds paths, addresses and ids, never a secret.
#[derive(Debug, thiserror::Error)]
#[error("{what}\n  to mend it: {mend}")]
pub struct Stop {
    /// What kind of thing.
    pub cause: Cause,
    /// What is wrong.
    pub what: String,
    /// What a person can do about it.
    pub mend: String,
}

impl Stop {
    /// Says what is wrong and how to mend it.
    pub fn new(cause: Cause, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { cause, what: what.into(), mend: mend.into() }
    }

    /// The exit code that follows.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.cause.code())
    }
}

/// Joins an error and everything beneath it with colons: for people at a terminal, not for logs of requests.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_code_of_its_own() {
        let mut codes: Vec<u8> = Cause::ALL.iter().map(|c| c.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Cause::ALL.len());
        assert!(!codes.contains(&0) && !codes.contains(&2), "0 is success and 2 is clap's");
    }
}
