//! How many requests an organisation and an address may make in a while, and how many sign-ins.
//!
//! Each is counted twice. How many may come at once, by the generic cell rate algorithm (ITU-T I.371): what may still come
//! grows evenly with time, up to the burst. That alone lets the rate and a burst through in one minute, so how many came in
//! the last minute is counted as well, by a window that slides (`minute.rs`): one that begins anew each minute would let twice
//! as much through around its edge. A count is of one process: routers do not tell each other, so that a caller who spreads
//! over several gets the quota of each.

mod at_once;
mod minute;
mod quota;
mod said;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use residency_policy::{OrgId, Problem, ProblemKind, UserId};

use at_once::AtOnce;
use minute::Minutes;

pub use at_once::{SIGN_INS_AT_ONCE, Turn};
pub use quota::{Quota, Quotas};
pub use said::{RATE_LIMIT, RATE_LIMIT_POLICY, Standing};

/// How long to wait between two calls of [`Rates::forget`].
pub const FORGET_EVERY: Duration = Duration::from_secs(30);

type Counts<K, C> = governor::RateLimiter<K, DashMapStateStore<K>, C, StateInformationMiddleware>;

/// What was counted so far.
pub struct Rates<C: Clock + Clone = DefaultClock> {
    organisations: Option<Counted<OrgId, C>>,
    services: Option<Counted<OrgId, C>>,
    patients: Option<Counted<UserId, C>>,
    addresses: Option<Counted<IpAddr, C>>,
    sign_ins: Option<(Counted<IpAddr, C>, AtOnce)>,
    strangers: Option<Counted<IpAddr, C>>,
}

struct Counted<K: std::hash::Hash + Eq + Clone, C: Clock + Clone> {
    name: &'static str,
    counts: Counts<K, C>,
    minutes: Minutes<K>,
    clock: C,
    began: C::Instant,
    between: Duration,
    quota: Quota,
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
    /// A patient of an organisation, by what they sign in with: each for themselves.
    Patient(OrgId, UserId),
}

impl Caller {
    /// Whose organisation's.
    pub fn org(self) -> OrgId {
        match self {
            Self::Person(org) | Self::Service(org) | Self::Patient(org, _) => org,
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
            patients: Counted::new("patient", quotas.patient, clock),
            addresses: Counted::new("address", quotas.address, clock),
            sign_ins: Counted::new("sign-in", quotas.sign_in, clock)
                .map(|counted| (counted, AtOnce::default())),
            strangers: Counted::new("stranger", quotas.stranger(), clock),
        }
    }

    /// Counts a request of an address to a path: not at all where probes ask, and by a narrower quota too where people sign
    /// in.
    ///
    /// # Errors
    /// It is one too many. The quota that it was too many for has not counted it.
    pub fn address(&self, address: IpAddr, path: &str) -> Result<(), Standing> {
        if is_probe(path) {
            return Ok(());
        }
        let address = network(address);
        if let Some(counted) = &self.addresses {
            counted.one(&address)?;
        }
        match &self.sign_ins {
            Some((counted, _)) if signs_in(path) => counted.one(&address).map(drop),
            _ => Ok(()),
        }
    }

    /// Takes the turn of an address where people sign in; nothing, for another path, or where sign-ins are not counted.
    ///
    /// # Errors
    /// It has [`SIGN_INS_AT_ONCE`] under way.
    pub fn turn(&self, address: IpAddr, path: &str) -> Result<Option<Turn>, Problem> {
        let Some((_, at_once)) = self.sign_ins.as_ref().filter(|_| signs_in(path)) else { return Ok(None) };
        let turn = at_once.one_more(network(address));
        turn.map(Some).ok_or_else(|| Problem::new(ProblemKind::Overloaded).retry_after(1))
    }

    /// Refuses an address that lately showed too many sessions of patients that were none: each costs the home a look-up.
    ///
    /// # Errors
    /// It did. Nothing is counted.
    pub fn stranger(&self, address: IpAddr) -> Result<(), Standing> {
        self.strangers.as_ref().map_or(Ok(()), |counted| counted.room(&network(address)))
    }

    /// Counts that an address showed one that is none.
    pub fn note_stranger(&self, address: IpAddr) {
        if let Some(counted) = &self.strangers {
            // What is one too many is refused before it is looked for, but for those that came side by side.
            let _ = counted.minutes.one(&network(address), counted.time());
        }
    }

    /// Counts a request of a caller, and says how much is left; nothing, where nobody is counted.
    ///
    /// # Errors
    /// It is one too many, and was not counted.
    pub fn caller(&self, caller: Caller) -> Result<Option<Standing>, Standing> {
        let (counted, org) = match caller {
            Caller::Person(org) => (&self.organisations, org),
            Caller::Service(org) => (&self.services, org),
            Caller::Patient(_, login) => {
                return self.patients.as_ref().map(|counted| counted.one(&login)).transpose();
            }
        };
        counted.as_ref().map(|counted| counted.one(&org)).transpose()
    }

    /// Forgets everybody whose whole quota is back. Without it, the memory of addresses would only grow.
    pub fn forget(&self) {
        for counted in [&self.organisations, &self.services].into_iter().flatten() {
            counted.forget();
        }
        if let Some(patients) = &self.patients {
            patients.forget();
        }
        let sign_ins = self.sign_ins.as_ref().map(|(counted, _)| counted);
        for counted in [self.addresses.as_ref(), sign_ins, self.strangers.as_ref()].into_iter().flatten() {
            counted.forget();
        }
    }
}

/// Whether a path is asked by those who look after the process. They are not counted: behind a proxy, callers have the same
/// address as they.
fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Whether who asks this path, known or not, has a password hashed, an identity provider asked, or what they show looked at
/// before they are known. Whatever is new there counts so until it is said here that it costs little.
fn signs_in(path: &str) -> bool {
    let act = path.strip_prefix("/v1/auth/").or_else(|| path.strip_prefix("/v1/portal/"));
    let act = act.map(|act| act.split_once('/').map_or(act, |(first, _)| first));
    act.is_some_and(|act| !matches!(act, "refresh" | "logout" | "sessions" | "sign-out"))
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
        let cells = governor::Quota::with_period(between)?.allow_burst(burst);
        let counts = Counts::<K, C>::new(cells, DashMapStateStore::default(), clock.clone());
        let (minutes, began) = (Minutes::new(quota.per_minute), clock.now());
        Some(Self { name, counts, minutes, clock: clock.clone(), began, between, quota })
    }

    fn one(&self, who: &K) -> Result<Standing, Standing> {
        let standing = |at_once, in_minute, wait| Standing {
            name: self.name,
            between: self.between,
            quota: self.quota,
            at_once,
            in_minute,
            wait,
        };
        let minute = self.minutes.one(who, self.time());
        let in_minute = minute.map_err(|wait| standing(self.quota.burst, 0, wait))?;
        match self.counts.check_key(who) {
            Ok(state) => Ok(standing(state.remaining_burst_capacity(), in_minute, Duration::ZERO)),
            Err(not_until) => {
                self.minutes.take_back(who);
                let wait = not_until.earliest_possible().duration_since(self.clock.now());
                Err(standing(0, in_minute.saturating_add(1), wait.into()))
            }
        }
    }

    fn room(&self, who: &K) -> Result<(), Standing> {
        self.minutes.room(who, self.time()).map_err(|wait| Standing {
            name: self.name,
            between: self.between,
            quota: self.quota,
            at_once: self.quota.burst,
            in_minute: 0,
            wait,
        })
    }

    /// The time since the first could be counted.
    fn time(&self) -> Duration {
        self.clock.now().duration_since(self.began).into()
    }

    fn forget(&self) {
        self.minutes.forget(self.time());
        self.counts.retain_recent();
        self.counts.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
