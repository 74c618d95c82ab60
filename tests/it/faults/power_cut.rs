//! The power goes in the whole house: every member's log and vote, every database and every keyring lie on one disk,
//! which forgets what was not synced. What was acknowledged is there when the power is back.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use disks::{LoopDisk, empty_promises, with_power};
use http::Method;
use tests::client::Client;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, processes_naming, send, wait_until};
use tests::{clinic, operate, postgres};
use tokio::task::JoinSet;

const WISH: Wish = Wish { name: "power-cut", people: 6, more: Vec::new() };
/// A region's short name and where its patients live.
const HOMES: [(&str, &str); 3] = [("ca", "US-CA"), ("ny", "US-NY"), ("tx", "US-TX")];
const ACKNOWLEDGED_MIN: usize = 120;

/// What was acknowledged.
#[derive(Debug, Default, Clone)]
struct Ledger {
    /// Homes and paths of patients: a row in the database, sealed under a key in the keyring.
    patients: Vec<(&'static str, String)>,
    /// Paths of organisations, in the replicated log.
    orgs: Vec<String>,
    /// The highest term in which a member had voted.
    term: u64,
}

/// Registers people in a home, and adds an organisation for each, until nobody answers any more.
async fn write(doctor: Client, admin: Client, home: &'static str, from: u64, ledger: Arc<Mutex<Ledger>>) {
    for number in from.. {
        let asked = [
            doctor
                .ask(Method::POST, &format!("/v1/patients?home={home}"))
                .json(&clinic::somebody(home, number)),
            admin.ask(Method::POST, "/v1/orgs").json(&serde_json::json!({
                "name": format!("Clinic {}", number % 1_000), "type": "provider", "serves": [home],
            })),
        ];
        for (asking, patient) in asked.into_iter().zip([true, false]) {
            let asking = asking.header("idempotency-key", &clinic::fresh().to_string());
            let Ok(answer) = asking.send().await else { return };
            if answer.status.as_u16() >= 500 {
                return;
            }
            assert_eq!(answer.status, 201, "{}", answer.text());
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let path = answer.header("location").to_owned();
            if patient { ledger.patients.push((home, path)) } else { ledger.orgs.push(path) }
        }
    }
}

/// Writes until enough is acknowledged, and cuts the power while more is under way. What is acknowledged during the cut
/// does not count: the kernel does not cut it in one moment, and an fsync meanwhile may return as if all were well.
async fn until_the_power_goes(cluster: &Cluster, disk: &LoopDisk) -> Ledger {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let look = || ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut writers = JoinSet::new();
    for (region, home) in HOMES {
        for lane in 0..4 {
            let doctor = cluster.client_at(region, "provider", home);
            let admin = cluster.client_at(region, "org_admin", home);
            writers.spawn(write(doctor, admin, home, 20_000 + lane * 1_000, Arc::clone(&ledger)));
        }
    }
    let enough = wait_until("enough to be acknowledged", async || {
        (look().patients.len() >= ACKNOWLEDGED_MIN).then_some(())
    });
    enough.await.expect("it is");
    let term = operate::status(cluster, "tx").await.expect("a status")["term"].as_u64().expect("a term");
    let before = Ledger { term, ..look() };
    disk.cut_power().expect("the power goes");
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer did anything wrong");
    }
    before
}

/// Nothing runs without power.
async fn stand_still(folder: &Path) {
    let name = folder.display().to_string();
    let still = wait_until("every process to be gone", async || {
        let running = processes_naming(&name);
        for (pid, _) in &running {
            let _ = send(Signal::Kill, *pid);
        }
        running.is_empty().then_some(())
    });
    still.await.expect("they are gone");
}

/// What is in the ledger and not in the cluster.
async fn lost(cluster: &Cluster, ledger: &Ledger) -> Vec<String> {
    let mut looks = JoinSet::new();
    for (region, home) in HOMES {
        let (doctor, auditor) = (cluster.client("provider", home), cluster.client_at(region, "auditor", home));
        let theirs = ledger.patients.iter().filter(move |(its, _)| *its == home).map(|(_, path)| path.clone());
        looks.spawn(absent(doctor, theirs.collect()));
        looks.spawn(absent(auditor, ledger.orgs.clone()));
    }
    let mut lost: Vec<String> = looks.join_all().await.concat();
    let term = operate::status(cluster, "tx").await.ok().and_then(|status| status["term"].as_u64());
    if term.is_none_or(|term| term < ledger.term) {
        lost.push(format!("votes of term {}: now it is {term:?}", ledger.term));
    }
    lost
}

async fn absent(who: Client, paths: Vec<String>) -> Vec<String> {
    let mut absent = Vec::new();
    for path in paths {
        if who.get(&path).await.ok().is_none_or(|answer| answer.status != 200) {
            absent.push(path);
        }
    }
    absent
}

/// What does not keep its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liar {
    Nobody,
    /// Every region's Postgres, by its own switch.
    Postgres,
    /// The fsync of every process.
    Everybody,
}

/// A cluster loses its power. What was acknowledged before, and what of it is gone afterwards.
async fn lose_power(disk: &LoopDisk, environment: Option<(&str, &str)>, liar: Liar) -> (Ledger, Vec<String>) {
    let up = || Cluster::start_under(disk.path(), &WISH, environment).unwrap_or_else(|e| panic!("{e:#}"));
    let cluster = up();
    cluster.keep().expect("its folder stays");
    if liar == Liar::Postgres {
        let_postgres_lie(&cluster).await;
    }
    disk.sync().expect("what it was made of lasts");
    let ledger = until_the_power_goes(&cluster, disk).await;
    stand_still(disk.path()).await;
    let unplugged = wait_until("the disk to be let go of", async || disk.unplug().ok());
    unplugged.await.expect("nobody has it");
    disk.plug_in().expect("the power is back");
    cluster.stop_and_keep().expect("nothing runs");
    let lost = lost(&up(), &ledger).await;
    (ledger, lost)
}

/// Turns off what we ship turned on.
async fn let_postgres_lie(cluster: &Cluster) {
    for region in &cluster.described().regions {
        let inspector = postgres::inspect(region).await.expect("it connects");
        let fsync = async || -> String { inspector.query_one("SHOW fsync", &[]).await.expect("a row").get(0) };
        assert_eq!(fsync().await, "on", "the control of the control");
        std::fs::write(region.data_dir.join("postgresql.auto.conf"), "fsync = off\n").expect("a setting");
        let pid = std::fs::read_to_string(region.data_dir.join("postmaster.pid")).expect("a server");
        let pid = pid.lines().next().and_then(|pid| pid.parse().ok()).expect("its process");
        send(Signal::HangUp, pid).expect("a signal");
        let off = wait_until("the switch to be off", async || (fsync().await == "off").then_some(()));
        off.await.expect("it is off");
    }
}

fn patients_and_orgs(lost: &[String]) -> (usize, usize) {
    let of = |kind| lost.iter().filter(|path| path.starts_with(kind)).count();
    (of("/v1/patients/"), of("/v1/orgs/"))
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    const TEST: &str = "faults::power_cut::nothing_acknowledged_is_lost_when_the_power_goes";
    let _turn = turn().await;
    let Some(disk) = with_power(TEST, "power", 1024) else { return };
    let (ledger, lost) = lose_power(&disk, None, Liar::Nobody).await;
    assert!(ledger.patients.len().min(ledger.orgs.len()) >= ACKNOWLEDGED_MIN / 2, "{ledger:?}");
    assert!(lost.is_empty(), "{} of {ledger:?}: {lost:#?}", lost.len());
}

/// A control: Postgres with `fsync = off` loses patients, and the control plane loses nothing.
#[tokio::test]
async fn without_its_fsync_postgres_is_seen_to_lose_when_the_power_goes() {
    const TEST: &str = "faults::power_cut::without_its_fsync_postgres_is_seen_to_lose_when_the_power_goes";
    let _turn = turn().await;
    let Some(disk) = with_power(TEST, "power-postgres", 1024) else { return };
    let (ledger, lost) = lose_power(&disk, None, Liar::Postgres).await;
    let (patients, orgs) = patients_and_orgs(&lost);
    assert!(patients > ledger.patients.len() / 2 && orgs == 0, "{patients} patients, {orgs} organisations");
}

/// A control: with every fsync an empty promise, all members forget, and no two of them know better.
#[tokio::test]
async fn without_any_fsync_everything_is_seen_to_be_lost_when_the_power_goes() {
    const TEST: &str = "faults::power_cut::without_any_fsync_everything_is_seen_to_be_lost_when_the_power_goes";
    let _turn = turn().await;
    let Some(disk) = with_power(TEST, "power-control", 1024) else { return };
    let Some(promises) = empty_promises(TEST) else { return };
    let (ledger, lost) = lose_power(&disk, Some(promises), Liar::Everybody).await;
    let (patients, orgs) = patients_and_orgs(&lost);
    assert!(patients > ledger.patients.len() / 2, "{patients} of {} patients", ledger.patients.len());
    assert!(orgs > ledger.orgs.len(), "{orgs} of {} organisations in three places", ledger.orgs.len());
}
