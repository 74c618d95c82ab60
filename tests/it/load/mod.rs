//! Every scenario of the load test, for a few seconds each: what it promises holds, and what is planted is found.
//!
//! How fast an answer was is no test's business: promises about latency are the benchmark's.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tests::cluster::{Cluster, Wish, domicile, turn};

const SECONDS: &str = "5";

fn loadtest(args: &[&str]) -> Result<std::process::Output> {
    let mut command = Command::new(domicile()?.with_file_name("domicile-loadtest"));
    command.args(args).stdin(Stdio::null()).output().context("domicile-loadtest")
}

/// Plays a scenario and returns what it made of itself.
async fn play(cluster: &Cluster, scenario: &'static str, seconds: &'static str) -> Result<Value> {
    let home = cluster.home().to_owned();
    tokio::task::spawn_blocking(move || play_at(&home, scenario, seconds)).await?
}

fn play_at(home: &Path, scenario: &str, seconds: &str) -> Result<Value> {
    let out = home.join("load").join(scenario);
    let (home, folder) = (home.to_str().context("UTF-8")?, out.to_str().context("UTF-8")?);
    let asked = ["run", scenario, "--home", home, "--rate", "15", "--people", "6", "--seconds", seconds];
    let output = loadtest(&[&asked[..], &["--out", folder]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = std::fs::read_to_string(out.join("result.json")).with_context(|| said)?;
    ensure!(out.join("report.md").is_file(), "there is no report");
    Ok(serde_json::from_str(&result)?)
}

/// The promises that were broken, but for those about time.
fn broken(result: &Value) -> Vec<String> {
    let promises = result["promises"].as_array().cloned().unwrap_or_default();
    assert!(promises.len() > 3, "{result}");
    let broken = promises.iter().filter(|promise| promise["held"] != true);
    broken
        .map(|promise| format!("{}: {} ({})", promise["what"], promise["found"], result["details"]))
        .filter(|promise| !promise.contains("p95"))
        .collect()
}

fn history(cluster: &Cluster, scenario: &str) -> std::path::PathBuf {
    cluster.home().join("load").join(scenario).join("history.jsonl")
}

fn holds(history: &Path) -> bool {
    loadtest(&["check", history.to_str().expect("UTF-8")]).expect("it runs").status.success()
}

#[tokio::test]
async fn what_every_scenario_promises_holds_and_a_planted_loss_is_found() {
    let _turn = turn().await;
    let cluster = Cluster::start(&Wish { name: "load", people: 0, more: Vec::new() }).expect("it starts");
    for scenario in ["register", "read_chart", "crud", "search", "booking", "mixed_day"] {
        let result = play(&cluster, scenario, SECONDS).await.expect(scenario);
        assert_eq!(broken(&result), Vec::<String>::new(), "{scenario}");
        let good: u64 =
            result["summaries"].as_array().expect("figures").iter().filter_map(|s| s["good"].as_u64()).sum();
        assert!(good > 20, "{scenario}: {result}");
    }

    // What it took down is judged again, and a read that was not so is found in it.
    let taken = history(&cluster, "booking");
    assert!(holds(&taken));
    let text = std::fs::read_to_string(&taken).expect("a history");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_slot = |slot: &Value| lines.iter().filter(|line| line["key"] == *slot).collect::<Vec<_>>();
    let booked = lines.iter().find(|line| {
        line["outcome"] == "done" && line["act"]["book"].is_string() && of_slot(&line["key"]).len() == 1
    });
    let mut second = booked.expect("a slot that was booked once, and no more was asked of it").clone();
    let most = |what: &str| lines.iter().filter_map(|line| line[what].as_u64()).max().expect("a number");
    second["act"]["book"] = json!("11111111-2222-4333-8444-555555555555");
    second["index"] = json!(most("index") + 1);
    second["call"] = json!(most("back") + 1);
    second["back"] = json!(most("back") + 2);
    let planted = taken.with_file_name("planted.jsonl");
    std::fs::write(&planted, format!("{text}{second}\n")).expect("writes");
    assert!(!holds(&planted), "two visits have one slot: {second}");

    // Somebody takes away who was registered last, again and again, behind the load's back.
    let clinician = cluster.client("provider", "US-TX");
    let thief = async {
        loop {
            let newest = clinician.get("/v1/patients?home=US-TX&limit=1").await.expect("an answer").json();
            let path = format!("/v1/patients/{}", newest["data"][0]["id"].as_str().unwrap_or_default());
            let gone = clinician.ask(Method::DELETE, &format!("{path}?reason=entered-in-error")).send().await;
            gone.expect("an answer");
        }
    };
    let result = tokio::select! {
        result = play(&cluster, "register", SECONDS) => result.expect("a result"),
        () = thief => unreachable!("it goes on"),
    };
    assert!(broken(&result).iter().any(|promise| promise.contains("lost: ")), "{result}");
}

#[tokio::test]
async fn a_region_that_is_lost_is_lost_alone() {
    let _turn = turn().await;
    let cluster = Cluster::start(&Wish { name: "load-loss", people: 0, more: Vec::new() }).expect("it starts");
    let result = play(&cluster, "region_loss", "15").await.expect("a result");
    assert_eq!(broken(&result), Vec::<String>::new());
}
