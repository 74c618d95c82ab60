//! Section `[limits]`: what is accepted, and how long things may take.

use std::time::Duration;

use node_clinical::appointments::work::store::REQUEST_SECONDS_MAX;
use serde::Deserialize;

/// What is accepted, and how long things may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    /// Threads that serve requests.
    pub worker_threads: usize,
    /// Connections of callers at the same time.
    pub connections_max: usize,
    /// The largest body.
    pub body_bytes_max: usize,
    /// The largest sum of header names and values.
    pub header_bytes_max: usize,
    /// The oldest view of the directory on which a change at home may rest. Long, because a node goes on serving
    /// its own patients while the control plane has no quorum: a patient cannot leave without this region's own
    /// database, whose fence is asked in every transaction. The price: a key that was revoked, or an organisation
    /// that was closed, is still accepted by a region that is cut off, until it hears from a quorum or this time is
    /// over. Shorten it where that weighs more than to go on. It counts on across a restart, by the wall clock.
    pub view_age_seconds_max: u64,
    /// How long a request may take in all. What it begins is taken over by others when it is gone, so it is at most 40.
    pub request_seconds_max: u64,
    /// Requests at work at once, at most. How many of them are let in is found from how long answers take.
    pub work_max: usize,
    /// An answer within so many milliseconds is in time. When answers are late, less is let in.
    pub in_time_ms: u64,
    /// How long requests under way may go on after SIGTERM.
    pub drain_seconds_max: u64,
    /// Claimed patient ids are filled up when fewer than this are left.
    pub ids_low: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            worker_threads: 2,
            connections_max: 4_096,
            body_bytes_max: 256 * 1024,
            header_bytes_max: 16 * 1024,
            view_age_seconds_max: 86_400,
            request_seconds_max: 30,
            work_max: 1_024,
            in_time_ms: 150,
            drain_seconds_max: 20,
            ids_low: 8_192,
        }
    }
}

impl LimitsSection {
    /// How long requests under way may go on after SIGTERM.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds_max)
    }

    pub(super) fn consistent(&self) -> Result<(), String> {
        for (name, value, least, most) in [
            ("worker_threads", self.worker_threads as u64, 1, 256),
            ("connections_max", self.connections_max as u64, 1, 1_000_000),
            ("body_bytes_max", self.body_bytes_max as u64, 1_024, 16 << 20),
            ("header_bytes_max", self.header_bytes_max as u64, 1_024, 1 << 20),
            ("view_age_seconds_max", self.view_age_seconds_max, 1, 30 * 86_400),
            ("request_seconds_max", self.request_seconds_max, 1, REQUEST_SECONDS_MAX),
            ("work_max", self.work_max as u64, 16, 1_000_000),
            ("in_time_ms", self.in_time_ms, 1, 60_000),
            ("drain_seconds_max", self.drain_seconds_max, 0, 600),
            ("ids_low", self.ids_low, 1, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("[limits] {name} must lie between {least} and {most}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request began is taken over by others when the lease is over.
    #[test]
    fn a_request_may_not_outlive_what_it_began() {
        let with = |request_seconds_max| {
            LimitsSection { request_seconds_max, ..LimitsSection::default() }.consistent()
        };
        assert_eq!(with(REQUEST_SECONDS_MAX), Ok(()));
        let refused = with(REQUEST_SECONDS_MAX + 1).expect_err("is longer");
        assert_eq!(refused, "[limits] request_seconds_max must lie between 1 and 40");
    }
}
