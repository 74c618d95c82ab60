//! The numbers, the rules over them and the dashboard: Prometheus' own tool judges the first two, and every name that
//! a rule or a panel asks for is on a live page.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::client::Client;
use tests::cluster::{folder, shared};
use tests::tools::tool;
use tests::workspace::root;

fn node() -> Client {
    shared().nobody().at(&shared().region("tx").url)
}

async fn pages() -> Vec<String> {
    let cluster = shared();
    let mut pages = Vec::new();
    for door in [cluster.nobody(), node()] {
        pages.push(door.get("/metrics").await.expect("an answer").expect(200).expect("metrics").text());
    }
    pages
}

fn promtool(arguments: &[&str], folder: &Path, said: &str) -> Output {
    let mut child = Command::new(tool("promtool").expect("promtool"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("a pipe").write_all(said.as_bytes()).expect("is read");
    child.wait_with_output().expect("ends")
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn the_pages_are_clean() {
    for page in pages().await {
        let output = promtool(&["check", "metrics"], &root(), &page);
        assert!(output.status.success() && shown(&output).trim().is_empty(), "{}", shown(&output));
    }
    // The control: a counter that does not say so in its name.
    let output = promtool(&["check", "metrics"], &root(), "# HELP bad A.\n# TYPE bad counter\nbad 1\n");
    assert!(!output.status.success(), "{}", shown(&output));
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let ours = root().join("deploy/prometheus");
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]] {
        let output = promtool(&arguments, &ours, "");
        assert!(output.status.success(), "{}", shown(&output));
    }
    // The control: with one alarm's threshold changed, the rules' tests fail.
    let other = folder("rules").expect("a folder");
    let rules = std::fs::read_to_string(ours.join("rules.yml")).expect("the rules");
    let changed = rules.replace("(14.4 * 0.001)", "(144 * 0.001)");
    assert_ne!(rules, changed);
    std::fs::write(other.join("rules.yml"), changed).expect("is written");
    std::fs::copy(ours.join("rules_test.yml"), other.join("rules_test.yml")).expect("is copied");
    let output = promtool(&["test", "rules", "rules_test.yml"], &other, "");
    std::fs::remove_dir_all(&other).expect("is removed");
    assert!(!output.status.success(), "{}", shown(&output));
}

#[tokio::test]
async fn every_number_that_a_rule_or_a_panel_asks_for_is_there() {
    // A histogram has no series before its first request.
    node().get("/v1/regions").await.expect("an answer");
    let live: BTreeSet<String> = pages().await.iter().flat_map(|page| names(page)).collect();
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/rules.yml")).expect("the rules");
    let board = std::fs::read_to_string(root().join("deploy/grafana/domicile.json")).expect("the dashboard");
    let board: Value = serde_json::from_str(&board).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let asked: Vec<String> = panels
        .flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default())
        .map(|target| target["expr"].as_str().expect("an expression").to_owned())
        .collect();
    assert!(asked.len() > 20, "{}", asked.len());
    let asked = names(&format!("{rules}\n{}", asked.join("\n")));
    assert!(asked.contains("domicile_router_requests_total"), "{asked:?}");
    let missing: Vec<_> = asked.difference(&live).collect();
    assert!(missing.is_empty(), "on no page: {missing:?}");
    assert!(!live.contains("domicile_made_up"), "the control");
}

/// Everything in a text that is spelt as one of our numbers.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.starts_with("domicile_"))
        .map(ToOwned::to_owned)
        .collect()
}
