//! How many requests an organisation and an address may make in a while.
//!
//! Each is counted by the generic cell rate algorithm (ITU-T I.371): what may still come grows evenly with time, up to the
//! burst. A window that begins anew each minute would let twice as much through around its edge. A count is of one process:
//! routers do not tell each other, so that a caller who spreads over several gets the quota of each.

mod quota;
mod said;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use residency_policy::{OrgId, Problem, ProblemKind};

pub use quota::{Quota, Quotas};
pub use said::{RATE_LIMIT, RATE_LIMIT_POLICY, Standing};

/// How long to wait between two calls of [`Rates::forget`].
pub const FORGET_EVERY: Duration = Duration::from_secs(30);

type Counts<K, C> = governor::RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware>;

/// What was counted so far.
pub struct Rates<C: Clock + Clone = DefaultClock> {
    organisations: Option<Counted<OrgId, C>>,
    services: Option<Counted<OrgId, C>>,
    addresses: Option<Counted<IpAddr, C>>,
}

struct Counted<K: std::hash::Hash + Eq + Clone, C: Clock + Clone> {
    name: &'static str,
    counts: Counts<K, C>,
    clock: C,
    between: Duration,
    burst: u32,
}

/// The client at the other end of a request's connection: what TCP says, and no header. Listeners put it among a request's
/// extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Whose requests count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A person of an organisation.
    Person(OrgId),
    /// A program of an organisation: an API key that is no person's.
    Service(OrgId),
}

impl Caller {
    /// Whose organisation's.
    pub fn org(self) -> OrgId {
        match self {
            Self::Person(org) | Self::Service(org) => org,
        }
    }
}

impl Rates {
    /// Nothing was counted yet.
    pub fn new(quotas: &Quotas) -> Self {
        Self::by(quotas, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn by(quotas: &Quotas, clock: &C) -> Self {
        Self {
            organisations: Counted::new("organisation", quotas.organisation, clock),
            services: Counted::new("service", quotas.service, clock),
            addresses: Counted::new("address", quotas.address, clock),
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// It is one too many, and was not counted.
    pub fn address(&self, address: IpAddr) -> Result<(), Standing> {
        self.addresses.as_ref().map_or(Ok(()), |counted| counted.one(&network(address)).map(drop))
    }

    /// Counts a request of a caller, and says how much is left; nothing, where nobody is counted.
    ///
    /// # Errors
    /// It is one too many, and was not counted.
    pub fn caller(&self, caller: Caller) -> Result<Option<Standing>, Standing> {
        let (counted, org) = match caller {
            Caller::Person(org) => (&self.organisations, org),
            Caller::Service(org) => (&self.services, org),
        };
        counted.as_ref().map(|counted| counted.one(&org)).transpose()
    }

    /// Forgets everybody whose whole quota is back. Without it, the memory of addresses would only grow.
    pub fn forget(&self) {
        for counted in [&self.organisations, &self.services].into_iter().flatten() {
            counted.forget();
        }
        if let Some(counted) = &self.addresses {
            counted.forget();
        }
    }
}

/// Whether a path is asked by those who look after the process. They are not counted: behind a proxy, callers have the same
/// address as they.
pub fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// What is said to who asks for too much.
pub fn too_many(over: &Standing) -> Problem {
    Problem::new(ProblemKind::TooManyRequests).retry_after(over.retry_after())
}

/// A host has a whole IPv6 network of 64 bits to choose addresses from (RFC 4291 section 2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

impl<K: std::hash::Hash + Eq + Clone, C: Clock + Clone> Counted<K, C> {
    fn new(name: &'static str, quota: Quota, clock: &C) -> Option<Self> {
        let (between, burst) = quota.cells()?;
        let quota = governor::Quota::with_period(between)?.allow_burst(burst);
        let counts = Counts::<K, C>::new(quota, DashMapStateStore::default(), clock.clone());
        Some(Self { name, counts, clock: clock.clone(), between, burst: burst.get() })
    }

    fn one(&self, who: &K) -> Result<Standing, Standing> {
        let standing =
            |left, wait| Standing { name: self.name, between: self.between, burst: self.burst, left, wait };
        match self.counts.check_key(who) {
            Ok(state) => Ok(standing(state.remaining_burst_capacity(), Duration::ZERO)),
            Err(not_until) => {
                let now = self.clock.now();
                let wait = not_until.earliest_possible().duration_since(now);
                Err(standing(0, wait.into()))
            }
        }
    }

    fn forget(&self) {
        self.counts.retain_recent();
        self.counts.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
