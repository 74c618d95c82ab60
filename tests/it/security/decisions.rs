//! What a running node was asked, and what new policies would change of that before they are put in force.

use std::fs;

use serde_json::Value;
use tests::cluster::{self, shared};
use tests::{clinic, operate};

use super::policy_versions::policies;

const HOME: &str = "US-TX";

#[tokio::test]
async fn what_a_node_was_asked_says_what_new_policies_would_change_of_it() {
    let cluster = shared();
    let doctor = cluster.client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 903)).await.expect("it is registered");
    doctor.get(&patient.path).await.expect("an answer").expect(200).expect("it is read");

    let door = operate::door(cluster, "tx", "tx").expect("its own door");
    let lines =
        door.get("/operate/decisions").await.expect("an answer").expect(200).expect("it is told").text();
    let id = patient.path.rsplit('/').next().expect("an id");
    assert!(!lines.contains(id) && !lines.contains("id\":"), "nobody is named");
    let asked: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a class")).collect();
    assert!(asked.iter().all(|class| class["times"].as_u64().is_some_and(|times| times > 0)), "{asked:?}");
    let other = operate::door(cluster, "tx", "ny").expect("the door of another");
    let refused = other.get("/operate/decisions").await.expect("an answer").status.as_u16();
    assert_ne!(refused, 200, "only a node's own key may ask");

    let node = cluster.home().join("regions/tx/node.toml").display().to_string();
    let dir = cluster::folder("planned").expect("a folder");
    let [closed, open] = [("closed", true), ("open", false)]
        .map(|(name, closed)| policies(&dir.join(name), closed).display().to_string());
    let plan = |folder: &str| cluster::run(&["policy", "plan", folder, "--config", &node, "--recorded"]);
    let told = plan(&closed).expect("it is planned");
    assert!(told.contains("provider read patient for TREAT as organisation\n  asked "), "{told}");
    assert!(told.contains("then  refuse not-permitted [closed-for-a-while: a test]"), "{told}");
    let told = plan(&open).expect("it is planned");
    assert!(told.contains("\n0 of "), "the control: {told}");

    // The same from a file.
    let file = dir.join("decided.jsonl");
    let written = cluster::run(&["policy", "recorded", "--config", &node]).expect("it is written");
    fs::write(&file, written).expect("writes");
    let file = file.display().to_string();
    let told = cluster::run(&["policy", "plan", &closed, "--recorded", &file]).expect("it is planned");
    assert!(told.contains("[closed-for-a-while: a test]"), "{told}");
}
