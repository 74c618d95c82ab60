//! Members join and leave by `domicile cluster` while people work; a disk is replaced under a new id; the old id, and a
//! disk that was wiped, are refused in words; and the quorum is not given away.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use tests::cluster::{Cluster, Wish, run, turn};
use tests::faults::{Signal, lives, send, wait_until};
use tests::{clinic, operate, steady};

fn folder(cluster: &Cluster, region: &str) -> PathBuf {
    cluster.home().join("regions").join(region)
}

/// Runs `domicile cluster` through the node of a region.
async fn cluster_act(cluster: &Cluster, through: &str, act: &[&str]) -> Result<String, String> {
    let config = folder(cluster, through).join("node.toml").to_str().expect("UTF-8").to_owned();
    let mut args: Vec<String> = vec!["cluster".to_owned()];
    args.extend(act.iter().map(|arg| (*arg).to_owned()));
    args.extend(["--config".to_owned(), config]);
    let ran = tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    ran.await.expect("it ends").map_err(|error| format!("{error:#}"))
}

async fn status(cluster: &Cluster, through: &str) -> Value {
    // What is not well, such as a member that is away, is part of what is shown.
    let said = match cluster_act(cluster, through, &["status", "--json"]).await {
        Ok(said) | Err(said) => said,
    };
    let json = said.find('{').map(|at| &said[at..]).unwrap_or_default();
    serde_json::Deserializer::from_str(json).into_iter().next().expect("a document").expect("JSON")
}

fn shown(status: &Value, node: u64) -> Value {
    let members = status["members"].as_array().expect("members");
    members.iter().find(|member| member["node"] == node).cloned().unwrap_or_default()
}

/// A node does not start on a key that others may read: so the supervisor goes on trying, and it stays away.
fn may_start(cluster: &Cluster, region: &str, may: bool) {
    let key = folder(cluster, region).join("tls/peer.key");
    let mode = if may { 0o600 } else { 0o644 };
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn log(cluster: &Cluster, region: &str) -> String {
    std::fs::read_to_string(&cluster.region(region).log).expect("a log")
}

/// Waits until a node has said this in its log, after what it said before.
async fn says(cluster: &Cluster, region: &str, after: usize, what: &str) {
    let said = wait_until(what, async || log(cluster, region).get(after..)?.contains(what).then_some(())).await;
    said.unwrap_or_else(|error| panic!("{error}: {}", log(cluster, region).get(after..).unwrap_or_default()));
}

/// Gives a node's configuration a new id, a new disk and a new certificate.
fn renumber(cluster: &Cluster, region: &str, from: u64, to: u64) {
    let file = folder(cluster, region).join("node.toml");
    let written = std::fs::read_to_string(&file).expect("its configuration");
    let changed = written
        .replace(&format!("\nnode = {from}\n"), &format!("\nnode = {to}\n"))
        .replace(&format!("region/us-{region}/node/{from}\""), &format!("region/us-{region}/node/{to}\""))
        .replace("certificate = \"tls/peer.pem\"", "certificate = \"new/peer.pem\"")
        .replace("key = \"tls/peer.key\"", "key = \"new/peer.key\"")
        .replace("dir = \"control\"", "dir = \"control-new\"");
    assert_ne!(written, changed);
    std::fs::write(&file, changed).expect("writes");
}

fn peer_port(cluster: &Cluster, region: &str) -> u64 {
    let plan = std::fs::read_to_string(cluster.home().join("plan.json")).expect("the plan");
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let jurisdiction = &cluster.region(region).jurisdiction;
    let planned = plan["regions"].as_array().into_iter().flatten();
    let planned = planned.into_iter().find(|planned| planned["region"].as_str() == Some(jurisdiction));
    planned.expect("it is planned")["peer"].as_u64().expect("a port")
}

#[tokio::test]
async fn members_join_and_leave_while_people_work() {
    let _turn = turn().await;
    let more = vec!["--states".to_owned(), "CA,NY,TX,WA".to_owned()];
    let cluster = Cluster::start(&Wish { name: "membership", people: 8, more }).expect("it starts");
    let at = |region: &str| format!("localhost:{}", peer_port(&cluster, region));
    let ny_doctor = cluster.client("provider", "US-NY");
    let patient =
        clinic::register(&ny_doctor, "US-NY", &clinic::somebody("US-NY", 1)).await.expect("it is registered");
    cluster_act(&cluster, "ca", &["status", "--wait", "60"]).await.expect("all is well");
    let work = steady::begin(&cluster, &["US-CA", "US-TX"], 2);
    work.goes_on(20).await.expect("people work");

    // Washington learns, and gets a vote.
    let before = status(&cluster, "tx").await;
    assert_eq!(
        (shown(&before, 4)["role"].as_str(), before["voters"].as_u64()),
        (Some("learner"), Some(3)),
        "{before}"
    );
    assert!(shown(&before, 100)["certificate_until"].is_string(), "the router answers too: {before}");
    let said = cluster_act(&cluster, "ca", &["add", "region/us-wa/node/4", "--at", &at("wa")]).await;
    assert!(said.expect("it votes").contains("4 now vote"));
    assert_eq!(shown(&status(&cluster, "wa").await, 4)["votes"], true);

    // New York leaves. Its process says so and ends, and its id is used up.
    let mark = log(&cluster, "ny").len();
    let said = cluster_act(&cluster, "tx", &["remove", "2"]).await.expect("it is removed");
    assert!(said.contains("the id 2 is used up") && said.contains("3 now vote"), "{said}");
    says(&cluster, "ny", mark, "was removed from the control plane").await;
    says(&cluster, "ny", mark, "membership.md").await;
    assert_eq!(status(&cluster, "ca").await["gone"], serde_json::json!([2]));
    let again = cluster_act(&cluster, "ca", &["add", "region/us-ny/node/2", "--at", &at("ny")]).await;
    assert!(again.expect_err("it is refused").contains("node 2 was a member before"));
    work.goes_on(20).await.expect("people work on");

    // It comes back on a new disk, as a new member, with a certificate that is made on the way.
    let (into, ca) = (folder(&cluster, "ny").join("new"), cluster.home().join("ca"));
    let (into, ca, key) = (into.to_str().expect("UTF-8"), ca.join("ca.pem"), ca.join("ca.key"));
    let act = ["add", "region/us-ny/node/7", "--at", &at("ny"), "--issue", into, "--authority"];
    let act: Vec<&str> = act
        .into_iter()
        .chain([ca.to_str().expect("UTF-8"), "--authority-key", key.to_str().expect("UTF-8")])
        .collect();
    renumber(&cluster, "ny", 2, 7);
    let said = cluster_act(&cluster, "tx", &act).await.expect("it joins");
    assert!(said.contains("node/7 votes") && said.contains("4 now vote"), "{said}");
    let read = wait_until("New York's patients to be served again", async || {
        clinic::read(&ny_doctor, &patient.path).await.ok()
    });
    assert_eq!(read.await.expect("they are").body["id"], patient.body["id"]);
    clinic::register(&ny_doctor, "US-NY", &clinic::somebody("US-NY", 2)).await.expect("it registers");

    // A disk that was wiped is found out, whatever id it claims. The control is the restart with its own disk before.
    let restarted = cluster.now().expect("cluster.json").regions;
    let wa = restarted.iter().find(|region| region.name == "wa").expect("Washington").pid;
    send(Signal::Kill, wa).expect("a signal");
    cluster_act(&cluster, "ca", &["status", "--wait", "100"]).await.expect("its own disk is welcome");
    may_start(&cluster, "wa", false);
    let now = cluster.now().expect("cluster.json").regions;
    let wa = now.iter().find(|region| region.name == "wa").expect("Washington").pid;
    send(Signal::Kill, wa).expect("a signal");
    wait_until("it to be away", async || (!lives(wa)).then_some(())).await.expect("it is");
    std::fs::remove_dir_all(folder(&cluster, "wa").join("control")).expect("a wiped disk");
    let mark = log(&cluster, "wa").len();
    may_start(&cluster, "wa", true);
    says(&cluster, "wa", mark, "is known to the control plane with another disk").await;
    cluster_act(&cluster, "ny", &["remove", "4"]).await.expect("it is removed");

    let done = work.end().await;
    assert!(done.failed.is_empty(), "of {} requests failed:\n{}", done.requests, done.failed.join("\n"));

    // Of three voters one stands still: neither of the others may go.
    let status = status(&cluster, "ca").await;
    assert_eq!(status["voters"], 3, "{status}");
    send(Signal::Stop, cluster.region("tx").pid).expect("a signal");
    let refused = cluster_act(&cluster, "ca", &["remove", "7"]).await.expect_err("it is refused");
    assert!(refused.contains("there would be 2 voters, of which 2 must answer"), "{refused}");
    send(Signal::Continue, cluster.region("tx").pid).expect("a signal");
    cluster_act(&cluster, "ca", &["status", "--wait", "60"]).await.expect("all is well again");
    cluster_act(&cluster, "ca", &["remove", "7"]).await.expect("the control: with both there it may go");
    assert!(operate::status(&cluster, "ca").await.is_ok());
}
