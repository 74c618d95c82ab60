//! A router in front of homes that are not Domicile's: real sockets, real certificates, no cluster.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod home;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rates::{Quotas, Rates};
use residency_control::peer::PeerPool;
use residency_control::system::{SystemClock, SystemEntropy};
use residency_control::{Endpoint, JurisdictionSet, RegionEntry};
use residency_policy::{
    Clock as _, Epoch, Home, Ingress, Jurisdiction, OrgId, PatientId, Placement, PlacementState, Region,
    Ruleset,
};
use router::config::Bounds;
use router::known::{Caller, Known};
use router::life_of_a_request::Edge;
use router::limits::Limits;
use router::listen::{Counters, Drain, Drained, Listener, PublicTls};
use router::metrics::Metrics;

use certificates::Authority;
use client::Client;
use home::FakeHome;

/// The key that the fake view takes for valid.
pub(crate) const KEY: &str = "dk_valid";
/// A key that serves Nevada only.
pub(crate) const KEY_OF_NEVADA: &str = "dk_nevada";

/// Proxy for general PHI, redirect for one category from outside, and a home that refuses New York.
pub(crate) const RULES: &str = "version = 1\n\
    [[transit]]\nhome = 'any'\ningress = 'any'\ncategory = 'any'\nmode = 'proxy'\n\
    effective_from = 2020-01-01\ncitation = 'test'\n\
    [[transit]]\nhome = 'US-NY'\ningress = 'outside-home'\ncategory = 'any'\nmode = 'redirect'\n\
    effective_from = 2020-01-01\ncitation = 'test'\n\
    [[transit]]\nhome = 'US-IL'\ningress = 'outside-home'\ncategory = 'any'\nmode = 'deny'\n\
    effective_from = 2020-01-01\ncitation = 'test'\n\
    [[transit]]\nhome = 'US-TX'\ningress = 'outside-home'\ncategory = 'substance-use'\nmode = 'redirect'\n\
    effective_from = 2020-01-01\ncitation = 'test'\n";

pub(crate) fn at(code: &str) -> Jurisdiction {
    code.parse().unwrap()
}

/// A program of an organisation.
pub(crate) fn program_of(org: u8, serves: JurisdictionSet) -> Caller {
    Caller { serves, counted: Some(rates::Caller::Service(OrgId::from_bytes([org; 16]))) }
}

pub(crate) fn patient(n: u8) -> PatientId {
    let mut bytes = [n; 16];
    bytes[6] = 0x40 | (n & 0x0f);
    bytes[8] = 0x80 | (n & 0x3f);
    PatientId::from_bytes(bytes)
}

/// The cluster as a test says that it is.
#[derive(Default)]
pub(crate) struct FakeView {
    pub(crate) placements: Mutex<HashMap<PatientId, Placement>>,
    pub(crate) regions: Mutex<Vec<RegionEntry>>,
    pub(crate) rules: Mutex<Option<Arc<Ruleset>>>,
    pub(crate) age: Mutex<Duration>,
    pub(crate) keys: Mutex<HashMap<String, Caller>>,
    pub(crate) shut_out: Mutex<Vec<OrgId>>,
    pub(crate) moves_to: Mutex<Option<Home>>,
}

impl FakeView {
    pub(crate) fn place(&self, patient: PatientId, home: &str, epoch: u32) {
        let home = Home(Region(at(home)));
        let placement = Placement { patient, home, epoch: Epoch(epoch), state: PlacementState::Active };
        self.placements.lock().unwrap().insert(patient, placement);
    }

    pub(crate) fn region_at(&self, region: &str, peer: Endpoint) {
        let region = Region(at(region));
        let public = format!("{}.clinic.example:443", region.name()).parse().unwrap();
        let mut regions = self.regions.lock().unwrap();
        regions.retain(|entry| entry.region != region);
        regions.push(RegionEntry { region, public, peer });
    }
}

#[derive(Clone)]
pub(crate) struct View(pub Arc<FakeView>);

impl Known for View {
    fn placement(&self, patient: PatientId) -> Option<Placement> {
        self.0.placements.lock().unwrap().get(&patient).copied()
    }
    fn region(&self, region: Region) -> Option<RegionEntry> {
        self.regions().into_iter().find(|entry| entry.region == region)
    }
    fn regions(&self) -> Vec<RegionEntry> {
        self.0.regions.lock().unwrap().clone()
    }
    fn rules(&self) -> Option<Arc<Ruleset>> {
        self.0.rules.lock().unwrap().clone()
    }
    fn age(&self) -> Duration {
        *self.0.age.lock().unwrap()
    }
    fn authenticate(&self, bearer: &str, _: Timestamp) -> Option<Caller> {
        self.0.keys.lock().unwrap().get(bearer).copied()
    }
    fn admits(&self, org: OrgId, _: Option<IpAddr>) -> bool {
        !self.0.shut_out.lock().unwrap().contains(&org)
    }
    async fn arrives(&self, _: &str, _: Timestamp, _: Duration) -> bool {
        false
    }

    async fn advanced(&self, patient: PatientId, past: Epoch, _: Duration) -> bool {
        match self.0.moves_to.lock().unwrap().take() {
            Some(home) => {
                self.0.place(patient, home.0.0.code(), past.0 + 1);
                true
            }
            None => false,
        }
    }
}

/// A router in California, a home in Texas that answers, and what is known of other places.
pub(crate) struct Rig {
    pub(crate) authority: Authority,
    pub(crate) view: Arc<FakeView>,
    pub(crate) texas: FakeHome,
    pub(crate) router: SocketAddr,
    pub(crate) tls: Arc<PublicTls>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) drain: Drain,
}

pub(crate) fn bounds() -> Bounds {
    Bounds {
        limits: Limits {
            header_read: Duration::from_millis(300),
            body_bytes: 1_000,
            header_bytes: 8 << 10,
            uri_bytes: 512,
            ..Limits::default()
        },
        in_flight: 64,
        in_flight_per_home: 32,
        answer: Duration::from_secs(3),
        hold: Duration::ZERO,
        view_age_max: Duration::from_secs(10),
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(bounds()).await
    }

    pub(crate) async fn start_with(bounds: Bounds) -> Self {
        Self::start_counting(bounds, &Quotas::NONE).await
    }

    pub(crate) async fn start_counting(bounds: Bounds, quotas: &Quotas) -> Self {
        let authority = Authority::new();
        let texas = FakeHome::start(&authority, "us-tx", 3).await;
        let view = Arc::new(FakeView::default());
        *view.rules.lock().unwrap() = Some(Arc::new(Ruleset::parse(RULES).unwrap()));
        view.keys.lock().unwrap().insert(KEY.to_owned(), program_of(1, JurisdictionSet::all()));
        view.keys.lock().unwrap().insert(KEY_OF_NEVADA.to_owned(), program_of(2, at("US-NV").into()));
        view.region_at("US-TX", texas.endpoint.clone());
        // Nobody listens at the other homes: whoever reaches them has been misrouted.
        for region in ["US-NY", "US-IL", "US-NV"] {
            view.region_at(region, "localhost:1".parse().unwrap());
        }
        for (n, home) in [(1, "US-TX"), (2, "US-NY"), (3, "US-IL"), (4, "US-NV")] {
            view.place(patient(n), home, 1);
        }

        let own = authority.peer("spiffe://domicile/router/us-ca/node/10", "router");
        authority.public("router");
        let (cert, key) = authority.public_paths("router");
        let tls = Arc::new(PublicTls::load(&cert, &key, SystemClock.now()).unwrap());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), bounds.limits).await.unwrap();
        let (router, counters, drain) = (listener.local_addr().unwrap(), listener.counters(), Drain::new());
        let edge = Arc::new(Edge::new(
            View(Arc::clone(&view)),
            PeerPool::new(own),
            Ingress(at("US-CA")),
            bounds,
            Arc::new(Rates::new(quotas)),
            Arc::new(Metrics::new(&counters)),
            true,
            Arc::new(SystemClock),
            Arc::new(SystemEntropy::new()),
            drain.clone(),
        ));
        tokio::spawn(router::serve_callers(listener, Arc::clone(&tls), edge, drain.clone()));
        Self { authority, view, texas, router, tls, counters, drain }
    }

    pub(crate) async fn h1(&self) -> Client {
        Client::connect(self.router, &self.authority, client::Http::One).await
    }

    pub(crate) async fn h2(&self) -> Client {
        Client::connect(self.router, &self.authority, client::Http::Two).await
    }

    pub(crate) async fn end(self) -> Drained {
        self.drain.finish(Duration::from_secs(5)).await
    }
}

/// Waits for a state, with a deadline.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}
