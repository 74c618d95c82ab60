//! Whatever is killed is started again, except when the supervisor itself is killed: then nothing is left.

use http::StatusCode;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, processes_naming, send, wait_until};

#[tokio::test]
async fn a_killed_process_comes_back_and_a_killed_supervisor_takes_all_along() {
    let _turn = turn().await;
    let wish = Wish { name: "supervision", people: 3, more: Vec::new() };
    let cluster = Cluster::start(&wish).expect("it starts");
    let doctor = cluster.client("provider", "US-TX");
    let patient =
        clinic::register(&doctor, "US-TX", &clinic::somebody("US-TX", 1)).await.expect("it is registered");

    // The router.
    let router = cluster.described().router.pid;
    send(Signal::Kill, router).expect("a signal");
    let answers = async |what: &str| {
        wait_until(what, async || {
            doctor.get(&patient.path).await.ok().filter(|a| a.status == StatusCode::OK).map(|_| ())
        })
        .await
    };
    answers("the router to serve again").await.expect("it serves");
    let now = wait_until("the router's new process to be named", async || {
        cluster.now().ok().map(|d| d.router.pid).filter(|pid| *pid != 0 && *pid != router)
    });
    now.await.expect("cluster.json is kept true");

    // The database under the node.
    let data = cluster.region("tx").data_dir.clone();
    let pid_file = std::fs::read_to_string(data.join("postmaster.pid")).expect("the server's file");
    let postgres: u32 = pid_file.lines().next().and_then(|l| l.trim().parse().ok()).expect("a process");
    send(Signal::Kill, postgres).expect("a signal");
    wait_until("the database to be another process", async || {
        let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse::<u32>().ok().filter(|pid| *pid != postgres)
    })
    .await
    .expect("it is started again");
    answers("the node to serve again").await.expect("it serves");

    // The supervisor.
    let supervisor: u32 = std::fs::read_to_string(cluster.home().join("supervisor.pid"))
        .expect("its file")
        .trim()
        .parse()
        .expect("a process");
    send(Signal::Kill, supervisor).expect("a signal");
    let name = cluster.home().display().to_string();
    wait_until("everything to be gone", async || {
        let left = processes_naming(&name);
        left.iter().all(|(_, line)| line.starts_with("sh ")).then_some(())
    })
    .await
    .expect("nothing is left");
    assert_eq!(processes_naming(&data.display().to_string()), []);
}
