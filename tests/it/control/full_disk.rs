//! A disk is filled: the one under a whole cluster, and the one under a region's keyring alone. What cannot be kept is
//! refused, what was acknowledged is there, and room on the disk is all it takes to go on.

use disks::{SmallDisk, move_onto, within};
use http::{Method, StatusCode};
use tests::client::Client;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::wait_until;

const HOME: &str = "US-TX";

fn start(disk: &SmallDisk) -> Cluster {
    let wish = Wish { name: "full-disk", people: 6, more: Vec::new() };
    Cluster::start_at(disk.root(), &wish).unwrap_or_else(|e| panic!("{e:#}"))
}

/// Registers new people one after another, and keeps the ids of those that were acknowledged.
struct Reception {
    doctor: Client,
    asked: u64,
    acknowledged: Vec<String>,
}

impl Reception {
    fn open(cluster: &Cluster) -> Self {
        Self { doctor: cluster.client("provider", HOME), asked: 0, acknowledged: Vec::new() }
    }

    /// Tries once.
    async fn register(&mut self) -> Option<StatusCode> {
        self.asked += 1;
        let asking = self
            .doctor
            .ask(Method::POST, "/v1/patients?home=US-TX")
            .header("idempotency-key", &clinic::fresh().to_string())
            .json(&clinic::somebody(HOME, 9_000 + self.asked));
        let answer = asking.send().await.ok()?;
        if answer.status == StatusCode::CREATED {
            self.acknowledged.push(answer.json()["id"].as_str().expect("an id").to_owned());
        }
        Some(answer.status)
    }

    /// What the first that is not accepted is told; `None` where nobody answers.
    async fn until_refused(&mut self) -> Option<StatusCode> {
        // A few more may fit into room that was set aside before.
        let refused = wait_until("a registration to be refused", async || {
            let told = self.register().await;
            (told != Some(StatusCode::CREATED)).then_some(told)
        });
        refused.await.expect("the disk is full")
    }

    async fn until_accepted(&mut self) {
        let accepted = wait_until("registrations to go on", async || {
            self.register().await.filter(|status| *status == StatusCode::CREATED)
        });
        accepted.await.expect("there is room again");
    }

    async fn nothing_is_lost(&self) {
        for id in &self.acknowledged {
            clinic::read(&self.doctor, &format!("/v1/patients/{id}")).await.expect("what was acknowledged");
        }
    }
}

#[tokio::test]
async fn under_a_whole_cluster_a_full_disk_loses_nothing_and_mends_with_room() {
    const TEST: &str =
        "control::full_disk::under_a_whole_cluster_a_full_disk_loses_nothing_and_mends_with_room";
    let _turn = turn().await;
    // Room for three databases and what a few people need.
    let Some(disk) = within(TEST, "full-disk", "", 320) else { return };
    let cluster = start(&disk);
    let mut reception = Reception::open(&cluster);
    assert_eq!(reception.register().await, Some(StatusCode::CREATED), "the control: there is room");
    disk.fill().expect("it is full");
    // The router's own log is on this disk as well: it may be the first that ends, and then nobody is left to refuse.
    let told = reception.until_refused().await;
    assert!(matches!(told, None | Some(StatusCode::SERVICE_UNAVAILABLE)), "{told:?}");
    disk.make_room().expect("room");
    reception.until_accepted().await;
    reception.nothing_is_lost().await;
}

#[tokio::test]
async fn under_a_keyring_a_full_disk_is_named_and_mends_with_room() {
    const TEST: &str = "control::full_disk::under_a_keyring_a_full_disk_is_named_and_mends_with_room";
    let _turn = turn().await;
    let Some(disk) = within(TEST, "full-keyring", "disk", 4) else { return };
    start(&disk).stop_and_keep().expect("it stops");
    move_onto(disk.path(), &disk.root().join("home/regions/tx/keys")).expect("a disk of its own");
    let cluster = start(&disk);
    let node = cluster.nobody().at(&cluster.region("tx").url);
    let mut reception = Reception::open(&cluster);
    assert_eq!(reception.register().await, Some(StatusCode::CREATED), "the control: there is room");
    let ready = node.get("/readyz").await.expect("an answer");
    assert_eq!(ready.status, StatusCode::OK, "the control: {}", ready.text());

    disk.fill().expect("it is full");
    assert_eq!(reception.until_refused().await, Some(StatusCode::SERVICE_UNAVAILABLE));
    let named = wait_until("the keyring to be named by /readyz", async || {
        let answer = node.get("/readyz").await.ok()?;
        let wrong = answer.json()["keys"]["wrong"].to_string();
        (answer.status == StatusCode::SERVICE_UNAVAILABLE && wrong.contains("keyring")).then_some(())
    });
    named.await.expect("it keeps no new keys");
    reception.nothing_is_lost().await;

    disk.make_room().expect("room");
    reception.until_accepted().await;
    reception.nothing_is_lost().await;
    let ready = wait_until("the node to be ready", async || {
        node.get("/readyz").await.ok().filter(|answer| answer.status == StatusCode::OK).map(drop)
    });
    ready.await.expect("it keeps new keys again");
    let now = cluster.now().expect("cluster.json").regions.into_iter().find(|r| r.name == "tx").expect("tx");
    assert_eq!(now.pid, cluster.region("tx").pid, "nothing was started again");
}
