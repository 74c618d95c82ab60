//! Requests for a home that is just starting again are held, and only those that certainly did nothing there.

use std::time::Duration;

use http::StatusCode;
use router::config::Bounds;
use router::listen::Drained;

use crate::support::client::{full, get, request};
use crate::support::home::FakeHome;
use crate::support::{Rig, bounds, patient, until};

fn patient_bounds() -> Bounds {
    Bounds { answer: Duration::from_secs(20), hold: Duration::from_secs(15), ..bounds() }
}

/// A home in Nevada at a port of its own, known to the router.
async fn nevada(rig: &Rig) -> FakeHome {
    let home = FakeHome::start(&rig.authority, "us-nv", 4).await;
    rig.view.region_at("US-NV", home.endpoint.clone());
    home
}

async fn again(rig: &Rig, port: u16) -> FakeHome {
    FakeHome::start_at(&rig.authority, "us-nv", 4, port).await
}

#[tokio::test]
async fn a_home_that_starts_again_answers_what_came_meanwhile() {
    let rig = Rig::start_with(patient_bounds()).await;
    let path = format!("/v1/patients/{}", patient(4));
    let home = nevada(&rig).await;
    let port = home.endpoint.port;
    assert_eq!(rig.h2().await.send(get(&path)).await.status, StatusCode::OK, "the control");
    home.drain.finish(Duration::from_secs(5)).await;

    let mut asking = Vec::new();
    for (mut client, method) in [(rig.h1().await, "GET"), (rig.h2().await, "POST"), (rig.h2().await, "PATCH")] {
        let path = path.clone();
        asking.push(tokio::spawn(async move {
            let body = if method == "GET" { full("") } else { full("{\"a\":1}") };
            client.send(request(method, &path, body)).await
        }));
    }
    // Another home is not held up by this one.
    let other = rig.h1().await.send(get(&format!("/v1/patients/{}", patient(1)))).await;
    assert_eq!(other.status, StatusCode::OK);
    assert!(asking.iter().all(|asked| !asked.is_finished()), "they are held");

    let back = again(&rig, port).await;
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, StatusCode::OK);
    }
    let seen = back.seen();
    assert_eq!(seen.len(), 3, "each came once");
    assert_eq!(seen.iter().filter(|seen| seen.whole && seen.body == "{\"a\":1}").count(), 2, "with its body");
}

#[tokio::test]
async fn without_patience_and_for_a_home_that_stays_away_nothing_is_held() {
    let rig = Rig::start().await;
    let path = format!("/v1/patients/{}", patient(4));
    let home = nevada(&rig).await;
    let port = home.endpoint.port;
    assert_eq!(rig.h2().await.send(get(&path)).await.status, StatusCode::OK);
    home.drain.finish(Duration::from_secs(5)).await;
    assert_eq!(rig.h2().await.send(get(&path)).await.slug(), "home-unavailable", "it is not waited for");
    let _back = again(&rig, port).await;
    assert_eq!(rig.h2().await.send(get(&path)).await.status, StatusCode::OK, "the control");

    // With patience the first ones wait it out, and then everybody is told at once.
    let rig = Rig::start_with(Bounds { hold: Duration::from_millis(300), ..bounds() }).await;
    let begun = std::time::Instant::now();
    assert_eq!(rig.h2().await.send(get(&path)).await.slug(), "home-unavailable");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let begun = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(rig.h2().await.send(get(&path)).await.slug(), "home-unavailable");
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1_500),
        "five times as patient as once: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_read_that_broke_off_is_asked_once_more_and_a_change_is_not() {
    let rig = Rig::start_with(patient_bounds()).await;
    let path = format!("/v1/patients/{}", patient(4));
    let home = nevada(&rig).await;
    let port = home.endpoint.port;
    home.hold();
    let mut asking = Vec::new();
    for (mut client, method) in [(rig.h2().await, "GET"), (rig.h2().await, "POST")] {
        let path = path.clone();
        let body = if method == "GET" { full("") } else { full("{}") };
        asking.push(tokio::spawn(async move { client.send(request(method, &path, body)).await }));
    }
    until("both are there", || home.arrived() == 2).await;
    // It dies with both in its hands.
    home.drain.finish(Duration::ZERO).await;
    let back = again(&rig, port).await;
    let write = asking.pop().unwrap().await.unwrap();
    assert_eq!((write.status, write.slug().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "home-unavailable"));
    assert!(write.json()["detail"].as_str().unwrap().contains("may or may not have been made"));
    assert_eq!(asking.pop().unwrap().await.unwrap().status, StatusCode::OK);
    assert_eq!(back.seen().iter().map(|seen| seen.line.clone()).collect::<Vec<_>>(), [format!("GET {path}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_restarts_again_and_again_takes_every_change_exactly_once() {
    const RESTARTS: usize = 12;
    let rig = Rig::start_with(Bounds { in_flight_per_home: 64, ..patient_bounds() }).await;
    let path = format!("/v1/patients/{}", patient(4));
    let mut home = nevada(&rig).await;
    let port = home.endpoint.port;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (mut client, path, stopped) = (rig.h2().await, path.clone(), stopped.clone());
        writers.spawn(async move {
            let mut sent = Vec::new();
            while !*stopped.borrow() {
                let body = format!("{{\"a\":\"{writer}-{}\"}}", sent.len());
                let answer = client.send(request("POST", &path, full(body.clone()))).await;
                assert_eq!(answer.status, StatusCode::OK, "{body}: {}", String::from_utf8_lossy(&answer.body));
                sent.push(body);
            }
            sent
        });
    }
    let mut taken = Vec::new();
    for _ in 0..RESTARTS {
        let before = home.arrived();
        until("they write", || home.arrived() > before + 30).await;
        assert_eq!(home.drain.finish(Duration::from_secs(10)).await, Drained::Finished);
        let seen = home.seen();
        home = again(&rig, port).await;
        taken.extend(seen);
    }
    stop.send_replace(true);
    let mut sent: Vec<String> = writers.join_all().await.concat();
    taken.extend(home.seen());
    let mut taken: Vec<String> =
        taken.iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert!(sent.len() > RESTARTS * 30, "{}", sent.len());
    sent.sort();
    taken.sort();
    assert_eq!(sent, taken, "each came once");
}
