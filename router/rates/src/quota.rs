//! How much is allowed.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

/// The rates, as a configuration writes them. A quota of nothing is none: nobody is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// The quota of the people of one organisation together.
    pub organisation: Quota,
    /// The quota of each organisation's programs together: of its API keys that are no person's.
    pub service: Quota,
    /// The quota of one patient who signed in.
    pub patient: Quota,
    /// The quota of one client address, whoever asks there: an IPv4 address, or an IPv6 network of 64 bits.
    pub address: Quota,
    /// The quota of one client address at what lets people in: `/v1/auth/` and `/v1/portal/` but what goes on with a session,
    /// or ends it. Each of them costs a password hash or a question to others, and nobody has to be known to ask.
    pub sign_in: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            organisation: Quota { per_minute: 6_000, burst: 600 },
            service: Quota { per_minute: 60_000, burst: 6_000 },
            patient: Quota { per_minute: 300, burst: 60 },
            address: Quota { per_minute: 60_000, burst: 6_000 },
            sign_in: Quota { per_minute: 60, burst: 30 },
        }
    }
}

impl Quotas {
    /// Nobody is counted.
    pub const NONE: Self = Self {
        organisation: Quota::NONE,
        service: Quota::NONE,
        patient: Quota::NONE,
        address: Quota::NONE,
        sign_in: Quota::NONE,
    };

    /// How many sessions of patients that are none an address may show: a tenth of what it may ask. Whoever shares an
    /// address with somebody who guesses goes on the longer for it.
    pub(crate) fn stranger(&self) -> Quota {
        let tenth = |many: u32| many.div_ceil(10);
        Quota { per_minute: tenth(self.address.per_minute), burst: tenth(self.address.burst) }
    }

    /// Which key of the configuration says nothing that works, and what would.
    ///
    /// # Errors
    /// Rates without bursts, bursts without rates, and bursts that no minute has room for.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let half =
            |quota: Quota| (quota.per_minute == 0) != (quota.burst == 0) || quota.burst > quota.per_minute;
        let wrong =
            "must have per_minute and burst both at least 1, and burst no larger, or both 0 for no limit";
        [
            ("rates.organisation", self.organisation),
            ("rates.service", self.service),
            ("rates.patient", self.patient),
            ("rates.address", self.address),
            ("rates.sign_in", self.sign_in),
        ]
        .into_iter()
        .find(|(_, quota)| half(*quota))
        .map_or(Ok(()), |(key, _)| Err((key, wrong)))
    }
}

/// How many may come in a minute, whenever it begins, and how many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests in any minute.
    pub per_minute: u32,
    /// Requests at once. They come back evenly.
    pub burst: u32,
}

impl Quota {
    /// No limit.
    pub const NONE: Self = Self { per_minute: 0, burst: 0 };

    /// The time between two requests at this rate, and how many may come at once.
    pub(crate) fn cells(self) -> Option<(Duration, NonZeroU32)> {
        let (rate, burst) = (NonZeroU32::new(self.per_minute)?, NonZeroU32::new(self.burst)?);
        Some((Duration::from_mins(1) / rate.get(), burst))
    }
}
