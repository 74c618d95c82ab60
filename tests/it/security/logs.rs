//! What the processes say of themselves: one JSON line for a request with its id, and no patient in it; metrics
//! whose labels cannot be made up by a caller.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::Method;
use serde_json::Value;
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;

const HOME: &str = "US-CA";

fn logs() -> Vec<PathBuf> {
    let regions = shared().described().regions.iter().map(|r| r.log.clone());
    regions.chain([shared().home().join("router/router.log")]).collect()
}

fn lines(log: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{}: {e}: {l}", log.display())))
        .collect()
}

fn with_id<'l>(lines: &'l [Value], id: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["request_id"] == id).collect()
}

#[tokio::test]
async fn a_request_is_one_line_at_the_router_and_one_at_its_home_with_the_id_that_was_answered() {
    let doctor = shared().client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 801)).await.expect("it is registered");
    let answer = doctor.get(&patient.path).await.expect("an answer").expect(200).expect("it is there");
    let id = answer.header("x-request-id").to_owned();
    let [home, router] = [shared().region("ca").log.clone(), shared().home().join("router/router.log")];
    for log in [&home, &router] {
        let line = wait_until("the request to be logged", async || {
            let lines = lines(log);
            let found = with_id(&lines, &id);
            assert!(found.len() <= 1, "{found:?}");
            found.first().map(|line| (*line).clone())
        })
        .await
        .unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        assert_eq!(line["status"], 200, "{line}");
        assert!(line["route"].as_str().is_some_and(|r| r.starts_with("/v1/patients/{")), "{line}");
    }
    // Another home knows nothing of it.
    assert!(with_id(&lines(&shared().region("ny").log), &id).is_empty());

    // An id that a caller brings is kept when it is one, and replaced when it could be anything else.
    let own = clinic::fresh().to_string();
    for (sent, kept) in [(own.as_str(), true), ("zzphi-smith-1980", false), ("x\ty", false)] {
        let answer = doctor.ask(Method::GET, &patient.path).header("x-request-id", sent).send().await;
        let answer = answer.expect("an answer").expect(200).expect("it is there");
        assert_eq!(answer.header("x-request-id") == sent, kept, "{sent:?}");
    }
}

#[tokio::test]
async fn every_line_is_json_with_its_time_and_level_and_none_names_a_patient() {
    let doctor = shared().client("provider", HOME);
    let patient =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 802)).await.expect("it is registered");
    let visit = clinic::open_encounter(&doctor, &patient, HOME, "cough", "note").await.expect("it is opened");
    doctor.get(&format!("{}?zzphi=1", patient.path)).await.expect("an answer");
    let unknown = clinic::fresh().to_string();
    let answer = doctor.get(&format!("/v1/patients/{unknown}")).await.expect("an answer");
    let last = answer.header("x-request-id").to_owned();
    let router = shared().home().join("router/router.log");
    wait_until("the last request to be logged", async || {
        (!with_id(&lines(&router), &last).is_empty()).then_some(())
    })
    .await
    .expect("it is logged");
    let key = &shared().credential("provider", HOME).api_key[36..];
    for log in logs() {
        let lines = lines(&log);
        assert!(!lines.is_empty(), "{} says nothing", log.display());
        for line in &lines {
            assert!(line["ts"].as_str().is_some_and(|t| t.parse::<jiff::Timestamp>().is_ok()), "{line}");
            assert!(line["level"].is_string() && line["target"].is_string(), "{line}");
            let text = line.to_string();
            for never in [&patient.id, &visit.id, &unknown, "zzphi", key] {
                assert!(!text.contains(never), "{}: {text}", log.display());
            }
        }
    }
}

#[tokio::test]
async fn who_asked_is_an_organisation_and_a_token_of_the_day() {
    let log = shared().region("ca").log.clone();
    let mut asked = Vec::new();
    for role in ["provider", "provider", "org_admin"] {
        let credential = shared().credential(role, HOME);
        let door = shared().client_at("ca", role, HOME);
        let answer = door.get("/v1/regions").await.expect("an answer").expect(200).expect("the regions");
        let id = answer.header("x-request-id").to_owned();
        let line = wait_until("the request to be logged", async || {
            with_id(&lines(&log), &id).first().map(|line| (*line).clone())
        })
        .await
        .expect("it is logged");
        assert_eq!(line["org_id"], credential.org.as_str(), "{line}");
        let key: uuid::Uuid = credential.api_key[3..35].parse().expect("a key begins with its id");
        for clear in [key.simple().to_string(), key.hyphenated().to_string()] {
            assert!(!line.to_string().contains(&clear), "{line}");
        }
        let token = line["credential"].as_str().expect("a token").to_owned();
        assert!(token.len() == 16 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
        let day = line["ts"].as_str().expect("a time")[..10].to_owned();
        asked.push((day, token));
    }
    let [(first, one), (second, same), (_, other)] = &asked[..] else { panic!("three") };
    assert_eq!(one == same, first == second, "one key has one token a day");
    assert_ne!(one, other, "another key has another");
}

fn labels(metrics: &str) -> BTreeSet<String> {
    metrics
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| Some(l.split_once(' ')?.0.to_owned()))
        .collect()
}

#[tokio::test]
async fn no_caller_makes_up_a_label() {
    let mut doors = vec![shared().nobody()];
    doors.extend(shared().described().regions.iter().map(|r| shared().nobody().at(&r.url)));
    let word = format!("zzphi{}", &clinic::fresh().simple().to_string()[..8]);
    for door in &doors {
        for path in [
            format!("/{word}"),
            format!("/v1/{word}"),
            format!("/v1/patients/{word}"),
            format!("/problems/{word}"),
        ] {
            door.get(&path).await.expect("an answer");
            let method = Method::from_bytes(word.as_bytes()).expect("a token");
            door.ask(method, &path).send().await.expect("an answer");
        }
        door.ask(Method::GET, "/v1/regions")
            .header("authorization", &format!("Bearer {word}"))
            .send()
            .await
            .expect("an answer");
        let metrics = door.get("/metrics").await.expect("an answer").expect(200).expect("metrics").text();
        assert!(!metrics.to_lowercase().contains(&word), "{}", door.url());
        let labels = labels(&metrics);
        assert!(labels.len() > 10, "{metrics}");
        for label in &labels {
            let uuid = label.split(|c: char| !c.is_ascii_hexdigit() && c != '-').any(|part| part.len() == 36);
            assert!(!uuid, "{label}");
        }
        for kind in ["# HELP", "# TYPE"] {
            assert!(metrics.contains(kind), "{}: no {kind}", door.url());
        }
    }
}
