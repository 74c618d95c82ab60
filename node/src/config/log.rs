//! Section `[log]`: what is said. Always JSON, always on standard output, always scrubbed.

use serde::Deserialize;

/// What is said.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// From which level on, such as `info` or `info,residency_control=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}
