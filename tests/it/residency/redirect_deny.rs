//! Transit as the rules say: one home by the router, one only by itself, one not at all from where the router is.

use std::time::Duration;

use http::Method;
use tests::client::Client;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The shipped rules with two more, as the version after them. The router declares itself in California.
fn rules() -> String {
    let path = tests::workspace::root().join("residency/policy/rules/us.toml");
    let shipped = std::fs::read_to_string(path).expect("the shipped rules");
    let version =
        shipped.lines().find_map(|l| l.strip_prefix("version = ")?.parse::<u64>().ok()).expect("a version");
    let more = r#"
  { home = "US-NY", ingress = "outside-home", category = "general", mode = "redirect", effective_from = 2020-01-01, citation = "a test" },
  { home = "US-TX", ingress = "outside-home", category = "general", mode = "deny", effective_from = 2020-01-01, citation = "a test" },
"#;
    shipped.replacen(&format!("version = {version}"), &format!("version = {}", version + 1), 1).replacen(
        "transit = [",
        &format!("transit = [{more}"),
        1,
    )
}

/// Begins a registration and sends its headers, but not one byte of the body that they announce.
async fn headers_alone(client: &Client, key: &str, home: &str) -> String {
    let mut stream = client.connect(&[b"http/1.1"]).await.expect("a connection");
    let head = format!(
        "POST /v1/patients?home={home} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         purpose-of-use: TREAT\r\nidempotency-key: {}\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n",
        clinic::fresh()
    );
    stream.write_all(head.as_bytes()).await.expect("the headers are sent");
    stream.flush().await.expect("the headers are sent");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer));
    let length = read.await.expect("an answer on the headers alone").expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_home_is_forwarded_to_redirected_to_or_refused_by_its_rules() {
    let _turn = turn().await;
    let more = ["--states", "CA,NY,TX", "--router-ingress", "CA"].map(str::to_owned).to_vec();
    let wish = Wish { name: "transit", people: 0, more };
    // Whoever runs a cluster changes its rules and puts them in force.
    let folder = Cluster::start(&wish).expect("it starts").stop_and_keep().expect("it stops");
    std::fs::write(folder.join("home/rules/us.toml"), rules()).expect("the rules");
    let cluster = Cluster::start_at(&folder, &wish).expect("it starts with other rules");
    let router = cluster.client("provider", "US-CA");

    // At their own nodes all three serve.
    let mut patients = Vec::new();
    for (region, home) in [("ca", "US-CA"), ("ny", "US-NY"), ("tx", "US-TX")] {
        let doctor = cluster.client_at(region, "provider", home);
        patients
            .push(clinic::register(&doctor, home, &clinic::somebody(home, 5)).await.expect("it is registered"));
    }
    let [ca, ny, tx] = &patients[..] else { panic!("three") };

    clinic::read(&router, &ca.path).await.expect("California is forwarded to");

    let sent_on = router.get(&ny.path).await.expect("an answer");
    assert!(matches!(sent_on.status.as_u16(), 307 | 308), "{}", sent_on.status);
    assert_eq!(sent_on.header("location"), format!("{}{}", cluster.region("ny").url, ny.path));
    clinic::read(&router.at(&cluster.region("ny").url), &ny.path).await.expect("it is there");

    let refused = router.get(&tx.path).await.expect("an answer");
    assert_eq!(refused.problem(451).expect("a problem"), "transit-refused");
    let refused = router.get("/v1/patients?home=US-TX").await.expect("an answer");
    assert_eq!(refused.problem(451).expect("a problem"), "transit-refused");

    // No byte of a body is read for any of this.
    let key = &cluster.credential("provider", "US-CA").api_key;
    let answer = headers_alone(&router, key, "US-NY").await;
    assert!(answer.starts_with("HTTP/1.1 30") && answer.contains(&cluster.region("ny").url), "{answer}");
    let answer = headers_alone(&router, key, "US-TX").await;
    assert!(answer.starts_with("HTTP/1.1 451"), "{answer}");

    // A stranger learns nothing of where a patient lives.
    let nobody = router.nobody();
    for path in [&ca.path, &ny.path, &tx.path] {
        let answer =
            nobody.ask(Method::GET, path).header("purpose-of-use", "TREAT").send().await.expect("an answer");
        assert_eq!(answer.header("location"), "", "a stranger is sent to a patient's home");
        assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated");
    }
}
