//! One history: a cluster is made, clients work on it while things go wrong, and at the end everybody is asked what
//! they have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use loadtest::history::{Operation, Outcome, Recorder};
use residency_control::calendar::{Calendar, CalendarChange, Day, Exceptions, WeeklyRule, WeeklyRules};
use residency_control::{
    Command, Control, Endpoint, FatalReason, JurisdictionSet, Languages, Organisation, Provider, ProviderOrgs,
    RegionEntry, Standing, Taxonomies,
};
use residency_policy::licensure::Attested;
use residency_policy::{Npi, OrgId, OrgType, ProviderId};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Reading;
use super::clients::Client;
use super::faults;
use super::members::{Seat, region};
use super::plan::{Kind, Plan};
use super::wires::Wires;

/// How many clients work at the same time.
const CLIENTS: u32 = 6;
/// openraft 0.9.25 stops a leader when it wants to send a snapshot by a channel that the other end has just closed,
/// because that end heard of a newer leader first. Nothing is lost: the process ends and is started again.
const CLOSED_TOO_EARLY: &str = "replication channel closed";
/// How long a cluster may take to be one, at the beginning and at the end.
const WELL_WITHIN: Duration = Duration::from_mins(1);

/// A history and what else was seen.
pub(super) struct Played {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    /// What went wrong, and was what it is called.
    pub(super) kinds: Vec<Kind>,
    pub(super) operations: Vec<Operation>,
    /// What is wrong apart from the answers.
    pub(super) trouble: Vec<String>,
    pub(super) elections: usize,
    pub(super) ended: usize,
}

impl Played {
    /// How many operations were answered by the cluster: done, refused with a reason, or seen.
    pub(super) fn answered(&self) -> usize {
        let silent = |operation: &&Operation| matches!(operation.outcome, Outcome::Failed | Outcome::Unknown);
        self.operations.len() - self.operations.iter().filter(silent).count()
    }

    /// How many have none.
    pub(super) fn unknown(&self) -> usize {
        self.operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).count()
    }
}

/// The members and their links.
pub(super) struct Table {
    pub(super) wires: Wires,
    seats: Mutex<BTreeMap<u64, Seat>>,
    members: u64,
    dir: PathBuf,
    troubles: Mutex<Vec<String>>,
    /// How often a member ended by itself where it need not have.
    pub(super) ended: AtomicUsize,
}

impl Table {
    /// Who belongs to it now.
    pub(super) fn nodes(&self) -> Vec<u64> {
        self.seats().keys().copied().collect()
    }

    /// Does something with one seat. There is one when its number came from [`Table::nodes`].
    pub(super) fn seat<T>(&self, node: u64, act: impl FnOnce(&mut Seat) -> T) -> T {
        let mut seats = self.seats();
        act(seats.get_mut(&node).expect("a seat"))
    }

    /// A member that runs, and the runtime that its work has to be done on.
    pub(super) fn running(&self, node: u64) -> Option<(Control, Handle)> {
        self.seats().get(&node)?.running()
    }

    /// The seconds that a member's clock shows.
    pub(super) fn clock(&self, node: u64) -> Option<i64> {
        use residency_policy::Clock as _;
        Some(self.seats().get(&node)?.clock.now().as_second())
    }

    /// The id of whoever joins next.
    pub(super) fn newcomer(&self) -> u64 {
        self.members + 1
    }

    pub(super) async fn kill(&self, node: u64) {
        let running = self.seat(node, Seat::take);
        if let Some(running) = running {
            running.end().await;
        }
    }

    /// Starts everybody who does not run, as a supervisor does, also those who ended by themselves.
    pub(super) async fn start_all(&self) {
        for node in self.nodes() {
            self.look_after(node).await;
            let starting =
                self.seats().get(&node).filter(|seat| !seat.runs()).map(|seat| seat.starting(&self.wires));
            let Some(starting) = starting else { continue };
            match starting.await {
                Ok(running) => self.seat(node, |seat| seat.put(running)),
                Err(why) => self.trouble(format!("member {node}: {why}")),
            }
        }
    }

    /// A member that can no longer take part says so, and its process would end.
    async fn look_after(&self, node: u64) {
        let Some((control, _)) = self.running(node) else { return };
        let Ok(reason) = timeout(Duration::ZERO, control.fatal()).await else { return };
        match reason {
            FatalReason::Removed(_) => self.dismiss(node).await,
            FatalReason::Stopped(why) if why.contains(CLOSED_TOO_EARLY) => {
                self.ended.fetch_add(1, Ordering::Relaxed);
                self.kill(node).await;
            }
            other => self.trouble(format!("member {node}: {other}")),
        }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<u64, Seat>> {
        self.seats.lock().expect("nobody panicked")
    }

    fn trouble(&self, what: String) {
        self.troubles.lock().expect("nobody panicked").push(what);
    }

    /// A new member takes a seat, and starts.
    pub(super) async fn admit(&self, node: u64) {
        let seat = Seat::new(node, &self.dir);
        self.seats().insert(node, seat);
        self.start_all().await;
    }

    /// A member that was removed goes, and does not come back.
    pub(super) async fn dismiss(&self, node: u64) {
        self.kill(node).await;
        self.seats().remove(&node);
    }
}

/// Plays a seed from beginning to end, on the calling thread and those of the members.
pub(super) fn play(seed: u64, reading: Reading) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let name = format!("history-{seed}-{reading:?}");
    let dir = tests::cluster::folder(&name).expect("a folder");
    let played = runtime.block_on(played(seed, reading, dir.clone()));
    let _ = std::fs::remove_dir_all(dir);
    played
}

async fn played(seed: u64, reading: Reading, dir: PathBuf) -> Played {
    let plan = Plan::of(seed);
    let table = set(&plan, dir).await;
    let mut played = Played {
        seed,
        kinds: Vec::new(),
        plan: plan.clone(),
        operations: Vec::new(),
        trouble: Vec::new(),
        elections: 0,
        ended: 0,
    };
    if let Err(why) = prepare(&table).await {
        played.trouble.push(format!("at the beginning: {why}"));
        end(&table, &mut played).await;
        return played;
    }

    let recorder = Arc::new(Recorder::new(None).expect("no file"));
    let stop = watch::channel(false).0;
    let work: Vec<_> = (0..CLIENTS)
        .map(|process| {
            let node = 1 + u64::from(process) % plan.members;
            let client = Client::new(process, node, seed, reading, table.clone(), recorder.clone());
            tokio::spawn(client.work(stop.subscribe()))
        })
        .collect();
    for fault in &plan.faults {
        if faults::happen(&table, *fault).await {
            played.kinds.push(fault.kind);
        }
    }
    stop.send_replace(true);
    for client in work {
        client.await.expect("a client does not panic");
    }

    match voters_when_well(&table).await {
        Err(why) => played.trouble.push(format!("at the end: {why}")),
        Ok(voters) => {
            for (process, node) in (CLIENTS..).zip(voters) {
                let client = Client::new(process, node, seed, reading, table.clone(), recorder.clone());
                played.trouble.extend(client.read_everything().await);
            }
        }
    }
    end(&table, &mut played).await;
    drop(table);
    let recorder = Arc::into_inner(recorder).expect("every client is gone");
    played.operations = recorder.finish().expect("no file");
    played
}

/// Links and members, all started.
async fn set(plan: &Plan, dir: PathBuf) -> Arc<Table> {
    let wires = Wires::new(1..=plan.members + 1).await.expect("ports");
    let seats = (1..=plan.members).map(|node| (node, Seat::new(node, &dir))).collect();
    let table = Table {
        wires,
        seats: Mutex::new(seats),
        members: plan.members,
        dir,
        troubles: Mutex::default(),
        ended: AtomicUsize::new(0),
    };
    table.start_all().await;
    Arc::new(table)
}

/// Makes the members a cluster with regions, a provider and a calendar.
async fn prepare(table: &Table) -> Result<(), String> {
    let (control, on) = table.running(1).ok_or("the first member does not run")?;
    let voters = table.seat(1, |seat| seat.members(&table.wires, 1..=table.members));
    let first = control.clone();
    let made = on.spawn(async move { first.initialize(voters).await }).await;
    made.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    voters_when_well(table).await?;
    for node in 1..=table.members {
        let at = || Endpoint::new("127.0.0.1".parse().expect("a host"), 1);
        let entry = RegionEntry { region: region(node), public: at(), peer: at() };
        propose(table, node, Command::AddRegion(entry)).await?;
    }
    let employer = Organisation {
        id: employer(),
        name: "Clinic of the provider".parse().expect("a public name"),
        org_type: OrgType::Provider,
        serves: JurisdictionSet::default(),
        active: true,
    };
    propose(table, 1, Command::PutOrganisation(employer)).await?;
    propose(table, 1, Command::PutProvider { provider: provider(), expected: 0 }).await?;
    let calendar = CalendarChange::Put { calendar: calendar(), expected: 0 };
    propose(table, 1, Command::Calendar(calendar)).await
}

async fn propose(table: &Table, node: u64, command: Command) -> Result<(), String> {
    let until = Instant::now() + WELL_WITHIN;
    let mut last = String::new();
    // An election may come in between on a busy machine.
    while Instant::now() < until {
        let (control, on) = table.running(node).ok_or("a member does not run")?;
        let command = command.clone();
        match on.spawn(async move { control.writer().propose(command).await }).await {
            Ok(Ok(proposed)) if proposed.outcome == residency_control::Outcome::Done => return Ok(()),
            other => last = format!("{other:?}"),
        }
    }
    Err(last)
}

fn employer() -> OrgId {
    OrgId::from_bytes([200; 16])
}

/// The one provider of a history.
pub(super) fn provider_id() -> ProviderId {
    ProviderId::from_bytes([7; 16])
}

fn provider() -> Provider {
    Provider {
        id: provider_id(),
        npi: Npi::from_nine(100_000_007).expect("an NPI"),
        name: "Robin Sample".parse().expect("a name"),
        taxonomy: Taxonomies::new(vec!["207Q00000X".parse().expect("a code")]).expect("codes"),
        languages: Languages::new(Vec::new()).expect("languages"),
        orgs: ProviderOrgs::new(vec![employer()]).expect("organisations"),
        licences: Attested::default(),
        collaborating: None,
        active: true,
        synthetic: true,
        version: 0,
    }
}

fn calendar() -> Calendar {
    let always = WeeklyRule { weekdays: 0x7f, from: 0, to: 1_440, since: Day(0), until: None };
    Calendar {
        provider: provider_id(),
        zone: "UTC".parse().expect("a zone"),
        rules: WeeklyRules::new(vec![always]).expect("rules"),
        exceptions: Exceptions::new(Vec::new()).expect("exceptions"),
        slot_minutes: 30,
        buffer_before: 0,
        buffer_after: 0,
        capacity: 1,
        notice_minutes: 0,
        horizon_days: 400,
        version: 1,
    }
}

/// Waits until one member leads and every other voter follows it, and tells who they are.
async fn voters_when_well(table: &Table) -> Result<Vec<u64>, String> {
    let until = Instant::now() + WELL_WITHIN;
    let mut seen = String::new();
    while Instant::now() < until {
        let status = |node: u64| Some(table.running(node)?.0.reader().status());
        let statuses: Vec<_> = table.nodes().into_iter().filter_map(status).collect();
        seen = format!("{statuses:?}");
        let newest = statuses.iter().filter(|s| s.standing == Standing::Leader).max_by_key(|s| s.term);
        if let Some(leader) = newest {
            let voters: BTreeSet<u64> = leader.members.iter().filter(|m| m.voter).map(|m| m.node.0).collect();
            let follows = |node: &u64| {
                statuses
                    .iter()
                    .any(|s| s.node.0 == *node && s.leader == Some(leader.node) && s.term == leader.term)
            };
            if voters.iter().all(follows) {
                return Ok(voters.into_iter().collect());
            }
        }
        table.start_all().await;
        sleep_until(Instant::now() + Duration::from_millis(20)).await;
    }
    Err(format!("no leader that every voter follows: {seen}"))
}

/// Notes what happened to the members, and ends them.
async fn end(table: &Table, played: &mut Played) {
    for node in table.nodes() {
        if let Some((control, _)) = table.running(node) {
            let status = control.reader().status();
            played.elections = played.elections.max(usize::try_from(status.term).unwrap_or(0));
        }
        table.kill(node).await;
    }
    played.ended = table.ended.load(Ordering::Relaxed);
    played.trouble.append(&mut table.troubles.lock().expect("nobody panicked"));
}
