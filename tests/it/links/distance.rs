//! The distance between states is paid by whoever crosses it, and by nobody at home.

use std::time::{Duration, Instant};

use tests::client::Client;
use tests::clinic;
use tests::namespaces::be;

use super::over_links;

const HOME: &str = "US-TX";
const READS: usize = 15;
/// California to Texas and back, as the profile has it.
const ROUND_TRIP: Duration = Duration::from_millis(35);

async fn median_read(client: &Client, path: &str) -> Duration {
    let mut took = Vec::new();
    for _ in 0..READS {
        let began = Instant::now();
        clinic::read(client, path).await.expect("it is read");
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[READS / 2]
}

/// Compared on one cluster: reads of a Texan through the router in California and at her home's own endpoint, with the
/// distance and without it. The difference that distance makes is the emulated round trip in the one case, and nothing
/// in the other. Where the machine is busy both take longer, by the same.
#[tokio::test]
async fn a_read_from_afar_pays_the_round_trip_and_a_read_at_home_does_not() {
    let Some((cluster, _turn)) = over_links("what distance costs").await else { return };
    let (router, home) = (cluster.client("provider", HOME), cluster.client_at("tx", "provider", HOME));
    let patient = clinic::register(&router, HOME, &clinic::somebody(HOME, 1)).await.expect("it is registered");
    let path = patient.path.as_str();

    let mut extra = (Vec::new(), Vec::new());
    for _ in 0..3 {
        be(cluster, "us").expect("is far");
        let far = (median_read(&router, path).await, median_read(&home, path).await);
        be(cluster, "still").expect("is near");
        let near = (median_read(&router, path).await, median_read(&home, path).await);
        let millis = |d: Duration| i64::try_from(d.as_millis()).expect("fits");
        extra.0.push(millis(far.0) - millis(near.0));
        extra.1.push(millis(far.1) - millis(near.1));
    }
    extra.0.sort_unstable();
    extra.1.sort_unstable();
    let trip = i64::try_from(ROUND_TRIP.as_millis()).expect("fits");
    let (crossing, at_home) = (extra.0[1], extra.1[1]);
    assert!(crossing >= trip - 5, "the router's read is only {crossing} ms longer over {trip} ms: {extra:?}");
    assert!(crossing < 3 * trip, "the router's read is {crossing} ms longer over {trip} ms: {extra:?}");
    assert!(at_home.abs() < trip / 2, "a read at home is {at_home} ms longer: {extra:?}");
}
