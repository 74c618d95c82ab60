//! The disk of one member's Raft log is full, or breaks. That member leaves and says why, the others go on, and it
//! comes back when the disk is mended, with all that was acknowledged meanwhile.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use disks::{move_onto, thin, within};
use tests::client::Client;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, send, wait_until};
use tests::operate;

use crate::control::{add_org, knows};

const WISH: Wish = Wish { name: "raft-log", people: 6, more: Vec::new() };

/// A cluster whose member in Texas keeps its log on a disk of its own.
struct Members {
    cluster: Cluster,
    admin: Client,
    acknowledged: Vec<String>,
}

impl Members {
    fn start(folder: &std::path::Path, disk: &std::path::Path) -> Self {
        let up = || Cluster::start_at(folder, &WISH).unwrap_or_else(|e| panic!("{e:#}"));
        up().stop_and_keep().expect("it stops");
        move_onto(disk, &folder.join("home/regions/tx/control")).expect("a disk of its own");
        let cluster = up();
        let admin = cluster.client_at("ca", "org_admin", "US-CA");
        Self { cluster, admin, acknowledged: Vec::new() }
    }

    fn log(&self) -> PathBuf {
        self.cluster.home().join("regions/tx/control/log.redb")
    }

    fn pid(&self) -> u32 {
        let now = self.cluster.now().expect("cluster.json");
        now.regions.iter().find(|region| region.name == "tx").expect("tx").pid
    }

    /// Changes what is replicated, until a quorum has acknowledged it.
    async fn change(&mut self) {
        let name = format!("Clinic {}", self.acknowledged.len());
        let (org, _) = add_org(&self.admin, &name).await.expect("the other two are a quorum");
        self.acknowledged.push(org);
    }

    /// Goes on with changes until Texas has left, and returns what it said.
    async fn until_it_leaves(&mut self) -> String {
        let log = self.cluster.region("tx").log.clone();
        for _ in 0..2_000 {
            self.change().await;
            let said = std::fs::read_to_string(&log).expect("a log");
            if said.contains(r#""exit_code":18"#) {
                return said;
            }
        }
        panic!("it never noticed");
    }

    async fn is_away(&self) {
        let away = wait_until("the member to be away", async || {
            operate::status(&self.cluster, "tx").await.is_err().then_some(())
        });
        away.await.expect("it left");
    }

    async fn knows_all(&self) {
        let auditor = self.cluster.client_at("tx", "auditor", "US-TX");
        for org in self.acknowledged.iter().rev() {
            knows(&auditor, org).await.expect("it knows what was acknowledged");
        }
    }

    /// And after another death it still does.
    async fn knows_all_after_a_kill(&self) {
        let pid = self.pid();
        send(Signal::Kill, pid).expect("a signal");
        let again =
            wait_until("it to be started again", async || (![0, pid].contains(&self.pid())).then_some(()));
        again.await.expect("the supervisor starts it");
        self.knows_all().await;
    }
}

fn number(log: &std::path::Path) -> u64 {
    std::fs::metadata(log).expect("the log").ino()
}

#[tokio::test]
async fn a_full_disk_takes_one_member_out_until_there_is_room() {
    const TEST: &str = "faults::raft_log::a_full_disk_takes_one_member_out_until_there_is_room";
    let _turn = turn().await;
    let Some(disk) = within(TEST, "full-log", "disk", 8) else { return };
    let mut members = Members::start(disk.root(), disk.path());
    members.change().await;
    members.knows_all().await;
    let (pid, file) = (members.pid(), number(&members.log()));

    disk.fill().expect("it is full");
    let said = members.until_it_leaves().await;
    for why in ["the control plane's log can no longer be written", "No space left", "has room"] {
        assert!(said.contains(why), "{why}: {said}");
    }
    members.is_away().await;
    for _ in 0..3 {
        members.change().await;
    }

    disk.make_room().expect("room");
    members.knows_all().await;
    assert_ne!(members.pid(), pid, "the supervisor started it again");
    assert_ne!(number(&members.log()), file, "it copied the log before it believed it");
    members.change().await;
    members.knows_all_after_a_kill().await;
}

#[tokio::test]
async fn the_first_failed_fsync_takes_one_member_out_until_the_disk_is_mended() {
    const TEST: &str = "faults::raft_log::the_first_failed_fsync_takes_one_member_out_until_the_disk_is_mended";
    let _turn = turn().await;
    let Some(disk) = thin(TEST, "broken-log", 24, 64) else { return };
    let mut members = Members::start(disk.root(), disk.path());
    members.change().await;
    members.knows_all().await;

    disk.run_dry().expect("it is dry");
    let said = members.until_it_leaves().await;
    for why in ["the control plane's log can no longer be written", "os error", "is sound"] {
        assert!(said.contains(why), "{why}: {said}");
    }
    assert!(
        disk.promised().expect("a number") > 4 << 20,
        "it was not for want of room that a write was refused"
    );
    members.is_away().await;
    for _ in 0..3 {
        members.change().await;
    }

    disk.make_room().expect("room");
    // The supervisor tries the node now and then, which has the log open for a moment.
    let mended = wait_until("the disk to be mended", async || disk.mend().ok());
    mended.await.expect("it is");
    members.knows_all().await;
    members.change().await;
    members.knows_all_after_a_kill().await;
}
