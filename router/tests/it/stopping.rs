//! What happens to requests when the router is told to end.

use std::time::Duration;

use http::StatusCode;
use router::listen::Drained;
use tokio::net::TcpStream;

use crate::support::client::get;
use crate::support::{Rig, patient, until};

#[tokio::test]
async fn a_drain_finishes_what_is_in_flight_and_takes_nothing_new() {
    let rig = Rig::start().await;
    rig.texas.hold();
    let mut asking = Vec::new();
    for mut client in [rig.h1().await, rig.h2().await] {
        asking
            .push(tokio::spawn(async move { client.send(get(&format!("/v1/patients/{}", patient(1)))).await }));
    }
    until("both are in flight", || rig.texas.arrived() == 2).await;

    let drain = rig.drain.clone();
    let draining = tokio::spawn(async move { drain.finish(Duration::from_secs(10)).await });
    rig.drain.begun().await;
    let mut refused = false;
    while !refused {
        refused = TcpStream::connect(rig.router).await.is_err();
        tokio::task::yield_now().await;
    }
    assert!(!draining.is_finished(), "the drain waits for what is in flight");
    rig.texas.gate.add_permits(2);
    for asking in asking {
        assert_eq!(asking.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(draining.await.unwrap(), Drained::Finished);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let rig = Rig::start().await;
    rig.texas.hold();
    let mut client = rig.h1().await;
    let asking =
        tokio::spawn(async move { client.try_send(get(&format!("/v1/patients/{}", patient(1)))).await });
    until("it is in flight", || rig.texas.arrived() == 1).await;
    assert_eq!(rig.drain.finish(Duration::from_millis(50)).await, Drained::Cut(1));
    assert!(asking.await.unwrap().is_err(), "half an answer must not look whole");
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_drain() {
    let rig = Rig::start().await;
    let (mut one, mut two) = (rig.h1().await, rig.h2().await);
    assert_eq!(one.send(get("/healthz")).await.status, StatusCode::OK);
    assert_eq!(two.send(get("/healthz")).await.status, StatusCode::OK);
    assert_eq!(rig.end().await, Drained::Finished);
}
