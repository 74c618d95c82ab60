//! What is said to a caller of its quota: draft-ietf-httpapi-ratelimit-headers-10.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of what is left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header of what is allowed.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How a caller stands to a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub(crate) name: &'static str,
    pub(crate) between: Duration,
    pub(crate) burst: u32,
    pub(crate) left: u32,
    pub(crate) wait: Duration,
}

impl Standing {
    /// How many more may come at once.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// After how many seconds the next one may come, at least one.
    pub fn retry_after(&self) -> u32 {
        whole(self.wait).max(1)
    }

    /// Puts it among an answer's headers: the quota is the burst, and the window the time in which all of it comes back.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let window = whole(self.between.saturating_mul(self.burst)).max(1);
        let gone = self.burst.saturating_sub(self.left);
        // With nothing left, when the next one may come; otherwise when all of it is back.
        let back = match (self.left, self.wait) {
            (0, Duration::ZERO) => whole(self.between),
            (0, _) => self.retry_after(),
            _ => whole(self.between.saturating_mul(gone)),
        };
        insert(headers, RATE_LIMIT_POLICY, format_args!("\"{}\";q={};w={window}", self.name, self.burst));
        insert(headers, RATE_LIMIT, format_args!("\"{}\";r={};t={back}", self.name, self.left));
    }
}

/// Whole seconds, upwards.
fn whole(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: std::fmt::Arguments<'_>) {
    let mut text = String::with_capacity(40);
    // A name of ours and numbers: it can be written, and every byte of it may be in a header.
    if text.write_fmt(value).is_ok()
        && let Ok(value) = HeaderValue::try_from(text)
    {
        headers.insert(name, value);
    }
}
