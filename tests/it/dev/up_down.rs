//! `up --detach`, `status`, `logs`, `down`, and `up` again on the same home.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use tests::client::Client;
use tests::clinic;
use tests::cluster::{Described, domicile, folder, run, turn};
use tests::faults::{lives, processes_naming, resident_kib};

fn doctor(described: &Described, home: &str) -> Client {
    let credential = described
        .credentials
        .iter()
        .find(|c| c.role == "provider" && c.jurisdictions.iter().any(|j| j == home))
        .expect("a provider");
    Client::new(&described.ca_cert, &described.router.url).expect("a client").key(&credential.api_key)
}

/// Takes the cluster down however the test ends.
struct Down(std::path::PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = run(&["dev", "down", "--home", &self.0.display().to_string()]);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_second_up_finds_the_data_and_down_leaves_no_process() {
    let _turn = turn().await;
    let home = folder("up-down").expect("a folder");
    let _down = Down(home.clone());
    let name = home.display().to_string();
    let up = ["dev", "up", "--home", &name, "--detach", "--people", "9", "--states", "CA,NY,TX"];

    run(&up).expect("it comes up");
    let described = Described::read(&home).expect("cluster.json");
    let mode = std::fs::metadata(home.join("cluster.json")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let roles: std::collections::BTreeSet<&str> =
        described.credentials.iter().map(|c| c.role.as_str()).collect();
    for role in ["provider", "provider_staff", "org_admin", "marketer", "pharmacist", "lab_tech", "auditor"] {
        assert!(roles.contains(role), "no {role} in {roles:?}");
    }
    let mut people = 0;
    for region in &described.regions {
        assert!(lives(region.pid) && region.data_dir.is_dir() && region.log.is_file(), "{region:?}");
        let doctor = doctor(&described, &region.jurisdiction);
        let path = format!("/v1/patients?home={}", region.jurisdiction);
        people += clinic::walk(&doctor, &path, 200).await.expect("a list").len();
        // The goal for an idle node, with the pages that it shares with nobody.
        let idle = resident_kib(region.pid).expect("its memory");
        assert!(idle < 60 * 1024, "{} holds {idle} KiB", region.name);
    }
    assert_eq!(people, 9, "as many people as were asked for");
    let patient = clinic::register(&doctor(&described, "US-TX"), "US-TX", &clinic::somebody("US-TX", 4242))
        .await
        .expect("it is registered");
    let patient = clinic::read(&doctor(&described, "US-TX"), &patient.path).await.expect("it is there");

    let status = run(&["dev", "status", "--home", &name]).expect("all is well");
    for word in ["tx", "ca", "ny", "router"] {
        assert!(status.to_lowercase().contains(word), "{status}");
    }
    let logs = run(&["dev", "logs", "tx", "--home", &name]).expect("a log");
    assert!(logs.lines().any(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "{logs}");

    run(&["dev", "down", "--home", &name]).expect("it goes down");
    assert_eq!(processes_naming(&name), [], "down leaves no process");
    for region in &described.regions {
        assert_eq!(processes_naming(&region.data_dir.display().to_string()), []);
        assert!(!lives(region.pid));
    }
    assert!(run(&["dev", "status", "--home", &name]).is_err(), "status says that it is down");
    run(&["dev", "down", "--home", &name]).expect("down of what is down is no error");

    let began = Instant::now();
    run(&up).expect("it comes up again");
    let took = began.elapsed();
    // The goal is 15 s on an idle machine; this one may be busy.
    assert!(took.as_secs() < 90, "{took:?}");
    let again = Described::read(&home).expect("cluster.json");
    let found = clinic::read(&doctor(&again, "US-TX"), &patient.path).await.expect("it is there");
    assert_eq!(found.body, patient.body);
    assert_eq!(found.etag, patient.etag);
    let listed = clinic::walk(&doctor(&again, "US-TX"), "/v1/patients?home=US-TX", 200).await.expect("a list");
    assert_eq!(listed.len(), 3 + 1, "nobody was registered twice");
}

#[test]
fn what_cannot_work_is_said_in_words() {
    let said = run(&["dev", "up", "--states", "CA,ZZ"]).expect_err("ZZ is no state").to_string();
    assert!(said.contains("ZZ"), "{said}");
    let said = run(&["doctor", "--config", "/nowhere/node.toml"]).expect_err("no file").to_string();
    assert!(said.contains("/nowhere/node.toml"), "{said}");
    let said = run(&["node", "--config", "/nowhere/node.toml"]).expect_err("no file").to_string();
    assert!(said.contains("/nowhere/node.toml"), "{said}");
    assert!(domicile().is_ok());
}
