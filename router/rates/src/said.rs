//! What is said to a caller of its quota: draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Quota;

/// The header of what is left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header of what is allowed.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How a caller stands to a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub(crate) name: &'static str,
    /// The time in which one of the burst comes back.
    pub(crate) between: Duration,
    pub(crate) quota: Quota,
    /// How many more may come at once.
    pub(crate) at_once: u32,
    /// And how many more in this minute.
    pub(crate) in_minute: u32,
    pub(crate) wait: Duration,
}

/// A minute, in seconds.
const MINUTE: u32 = 60;

impl Standing {
    /// How many more may come now.
    pub fn left(&self) -> u32 {
        self.at_once.min(self.in_minute)
    }

    /// After how many seconds the next one may come, at least one.
    pub fn retry_after(&self) -> u32 {
        whole(self.wait).max(1)
    }

    /// Puts it among an answer's headers. There are two policies: the burst, with the time in which all of it comes back, and
    /// the minute. How the caller stands is said of the one that has less left.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let (name, burst) = (self.name, self.quota.burst);
        let window = whole(self.between.saturating_mul(burst)).max(1);
        insert(
            headers,
            RATE_LIMIT_POLICY,
            format_args!(
                "\"{name}\";q={burst};w={window}, \"{name}-minute\";q={};w={MINUTE}",
                self.quota.per_minute
            ),
        );
        let gone = burst.saturating_sub(self.at_once);
        // With nothing left, when the next one may come; otherwise when all of it is back.
        let (which, back) = match (self.in_minute <= self.at_once, self.left(), self.wait) {
            (true, 0, Duration::ZERO) | (true, 1.., _) => ("-minute", MINUTE),
            (true, 0, _) => ("-minute", self.retry_after()),
            (false, 0, Duration::ZERO) => ("", whole(self.between)),
            (false, 0, _) => ("", self.retry_after()),
            (false, _, _) => ("", whole(self.between.saturating_mul(gone))),
        };
        insert(headers, RATE_LIMIT, format_args!("\"{name}{which}\";r={};t={back}", self.left()));
    }
}

/// Whole seconds, upwards.
fn whole(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: std::fmt::Arguments<'_>) {
    let mut text = String::with_capacity(64);
    // A name of ours and numbers: it can be written, and every byte of it may be in a header.
    if text.write_fmt(value).is_ok()
        && let Ok(value) = HeaderValue::try_from(text)
    {
        headers.insert(name, value);
    }
}
