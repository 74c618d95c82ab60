//! Every process is killed at once, supervisor and databases included; the next `up` finds everything.

use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, processes_naming, send, wait_until};

use super::{REGIONS, add_org, knows, start};

#[tokio::test]
async fn what_was_acknowledged_is_there_after_everything_was_killed() {
    let _turn = turn().await;
    let cluster = start("all-killed");
    let home_folder = cluster.keep().expect("the folder stays");
    let mut patients = Vec::new();
    for region in REGIONS {
        let home = cluster.region(region).jurisdiction.clone();
        let doctor = cluster.client_at(region, "provider", &home);
        for number in 0..3 {
            let person = clinic::somebody(&home, 300 + number);
            let patient = clinic::register(&doctor, &home, &person).await.expect("it is registered");
            patients.push((region, clinic::read(&doctor, &patient.path).await.expect("it is there")));
        }
    }
    let admin = cluster.client_at("tx", "org_admin", "US-TX");
    let (org, _) = add_org(&admin, "Before the power went").await.expect("it is added");

    // The shell in front is left: it sees its child die and ends by itself.
    let name = home_folder.display().to_string();
    let data: Vec<String> =
        cluster.described().regions.iter().map(|r| r.data_dir.display().to_string()).collect();
    let mut victims = processes_naming(&name);
    for dir in &data {
        victims.extend(processes_naming(dir));
    }
    victims.retain(|(_, line)| !line.starts_with("sh ") && !line.starts_with("setpriv"));
    assert!(victims.len() >= 8, "a supervisor, three nodes, a router, three databases: {victims:#?}");
    for (pid, _) in &victims {
        // A database's own children die with it.
        let _ = send(Signal::Kill, *pid);
    }
    wait_until("every process to be gone", async || processes_naming(&name).is_empty().then_some(()))
        .await
        .expect("they are gone");
    drop_without_removing(cluster, &home_folder);

    let cluster = Cluster::start_at(&home_folder, &Wish { name: "all-killed", people: 6, more: Vec::new() })
        .expect("it starts again");
    for (region, patient) in &patients {
        let home = &cluster.region(region).jurisdiction;
        let doctor = cluster.client("provider", home);
        let again = clinic::read(&doctor, &patient.path).await.expect("it is there");
        assert_eq!(again.body, patient.body);
    }
    for region in REGIONS {
        let home = &cluster.region(region).jurisdiction;
        knows(&cluster.client_at(region, "auditor", home), &org).await.expect("it is known");
    }
    // And it takes changes again.
    let home = "US-CA";
    let doctor = cluster.client("provider", home);
    clinic::register(&doctor, home, &clinic::somebody(home, 999)).await.expect("it is registered");
    add_org(&cluster.client("org_admin", home), "After").await.expect("it is added");
}

fn drop_without_removing(cluster: Cluster, folder: &std::path::Path) {
    let kept = cluster.stop_and_keep().expect("nothing runs");
    assert_eq!(kept, folder);
}
