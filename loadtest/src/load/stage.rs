//! What a run works with: the cluster, clients of every role, the patients, and everything that was noted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::civil::{Date, date};
use residency_control::system::SystemEntropy;
use residency_policy::Entropy as _;
use uuid::Uuid;

use super::people::Ward;
use super::tally::Tally;
use crate::client::{self, Address, Client};
use crate::cluster::Cluster;
use crate::history::Recorder;
use crate::history::bookings::Booking;
use crate::history::homes::Accepted;
use crate::history::ledger::Ledger;

/// The day on which the synthetic people are as old as they are.
const TODAY: Date = date(2026, 11, 22);
/// How long a client waits for an answer. Longer than any promise, so that what is slow is seen to be slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// One jurisdiction, and who asks there.
pub struct Place {
    /// Its code, such as `US-TX`.
    pub code: String,
    /// Its region's short name.
    pub region: String,
    /// A provider at the edge.
    pub provider: Client,
    /// Somebody at the front desk, at the edge.
    pub staff: Client,
    /// An administrator at the edge.
    pub admin: Client,
    /// A provider at the region's own node.
    pub at_node: Client,
    /// An auditor at the region's own node.
    pub reader: Client,
    /// The patients of this run.
    pub ward: Ward,
}

/// What a run works with.
pub struct Stage {
    /// The cluster's home folder.
    pub home: PathBuf,
    /// The jurisdictions, in the cluster's order.
    pub places: Vec<Place>,
    /// What everything follows from that is not the cluster's doing.
    pub seed: u64,
    /// Tells this run's records from those of another.
    pub mark: String,
    /// What was measured.
    pub tally: Arc<Tally>,
    /// The operations on keys of the control plane.
    pub recorder: Recorder,
    noted: Mutex<Noted>,
    numbers: AtomicU64,
    processes: Mutex<Vec<u32>>,
    entropy: SystemEntropy,
}

/// What the judges want to know.
#[derive(Debug, Default)]
pub struct Noted {
    /// What was acknowledged.
    pub ledger: Ledger,
    /// The changes of patients that were acknowledged, with who accepted them.
    pub accepted: Vec<Accepted>,
    /// The bookings that were acknowledged, by their ids.
    pub bookings: BTreeMap<String, Booking>,
}

impl Stage {
    /// Clients for everybody in this cluster.
    pub fn set(home: PathBuf, seed: u64, recorder: Recorder) -> Result<Arc<Self>> {
        let cluster = Cluster::read(&home)?;
        let tls = client::trust(&cluster.ca_cert)?;
        let edge = Client::new(cluster.edge()?, tls.clone(), PATIENCE);
        ensure!(!cluster.regions.is_empty(), "the cluster has no region");
        let place = |region: &crate::cluster::Region| -> Result<Place> {
            let code = &region.jurisdiction;
            let key = |role: &str| -> Result<&str> { Ok(&cluster.credential(role, code)?.api_key) };
            let node = Client::new(Address::of_url(&region.url)?, tls.clone(), PATIENCE);
            Ok(Place {
                code: code.clone(),
                region: region.name.clone(),
                provider: edge.with_key(key("provider")?),
                staff: edge.with_key(key("provider_staff")?),
                admin: edge.with_key(key("org_admin")?),
                at_node: node.with_key(key("provider")?),
                reader: node.with_key(key("auditor")?),
                ward: Ward::default(),
            })
        };
        let places = cluster.regions.iter().map(place).collect::<Result<Vec<_>>>()?;
        let entropy = SystemEntropy::new();
        let mut mark = [0; 5];
        entropy.fill(&mut mark);
        let mark = mark.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        Ok(Arc::new(Self {
            home,
            places,
            seed,
            mark,
            tally: Arc::new(Tally::new()),
            recorder,
            noted: Mutex::default(),
            numbers: AtomicU64::new(1),
            processes: Mutex::default(),
            entropy,
        }))
    }

    /// A number nobody else in this run has.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// An id nobody else has. Runs with one seed against one cluster must not meet, so no seed will do.
    pub fn fresh(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A person of this jurisdiction, with an e-mail address of this run.
    pub fn somebody(&self, place: &Place) -> Result<serde_json::Value> {
        let number = self.number();
        let code = place.code.parse().with_context(|| format!("{} is no jurisdiction", place.code))?;
        let index = usize::try_from(number)?;
        let mut person = loadtest_people::person(self.seed, code, index, TODAY);
        person.email = self.email(number);
        Ok(serde_json::to_value(person)?)
    }

    /// An e-mail address that nobody else has.
    pub fn email(&self, number: u64) -> String {
        format!("load.{}.{number}@example.com", self.mark)
    }

    /// What the judges want to know.
    pub fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client's number for a history, in which a client does one thing at a time. It is given back when it is
    /// dropped.
    pub fn process(self: &Arc<Self>) -> Process {
        let mut free = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were given back are used again; the next new one is counted with them.
        let number = free.pop().unwrap_or_else(|| u32::try_from(self.number()).unwrap_or(u32::MAX));
        Process { number, stage: self.clone() }
    }
}

/// A client of a history.
pub struct Process {
    /// Its number.
    pub number: u32,
    stage: Arc<Stage>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stage.processes.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
