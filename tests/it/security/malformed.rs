//! Broken input by the hundred: a problem document each time, never an error of ours, and nothing changed.

use std::collections::BTreeMap;

use http::Method;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tests::client::Client;
use tests::cluster::shared;
use tests::postgres;
use tests::workspace::long;

/// No other test writes here, so that whatever changes was changed by this one.
const HOME: &str = "US-NY";

const SEED: u64 = 20_261_122;

fn person(rng: &mut ChaCha8Rng) -> Value {
    let place = HOME.parse().expect("a jurisdiction");
    let today = jiff::civil::date(2026, 11, 22);
    let person = loadtest_people::people(rng.random(), place, 1, today).next().expect("a person");
    serde_json::to_value(person).expect("JSON")
}

/// Values that no field of a patient takes.
fn wrong_values(rng: &mut ChaCha8Rng) -> Value {
    match rng.random_range(0..14) {
        0 => json!(7),
        1 => json!(-1.5e300),
        2 => json!({"a": {"b": []}}),
        3 => json!([[[["deep"]]]]),
        4 => json!(true),
        5 => json!("x".repeat(rng.random_range(400..4000))),
        6 => json!("line\nbreak"),
        7 => json!("\u{202e}backwards"),
        8 => json!("tab\tand\u{7f}"),
        9 => json!("<script>alert(1)</script>"),
        10 => json!("'; DROP TABLE patients; --\u{1}"),
        11 => json!("\u{feff}\u{0}"),
        12 => json!("%00%0d%0a\r"),
        _ => json!(["two", "values"]),
    }
}

/// A body that is surely wrong, and how it is.
fn wrong_body(rng: &mut ChaCha8Rng) -> (String, Vec<u8>) {
    let mut body = person(rng);
    let fields: Vec<String> = body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let field = fields[rng.random_range(0..fields.len())].clone();
    let text = |body: &Value| serde_json::to_vec(body).unwrap_or_default();
    match rng.random_range(0..10) {
        0 => {
            body[&field] = wrong_values(rng);
            (format!("a wrong {field}"), text(&body))
        }
        1 => {
            let required = ["given_name", "family_name", "birth_date", "sex", "address"];
            let field = required[rng.random_range(0..required.len())];
            body.as_object_mut().map(|o| o.remove(field));
            (format!("no {field}"), text(&body))
        }
        2 => {
            body["unknown_field"] = json!(1);
            ("an unknown field".into(), text(&body))
        }
        3 => {
            let inner = ["line", "city", "state", "postal_code"][rng.random_range(0..4)];
            body["address"][inner] = wrong_values(rng);
            if inner == "line" {
                body["address"][inner] = json!([]);
            }
            (format!("a wrong address.{inner}"), text(&body))
        }
        4 => {
            let mut bytes = text(&body);
            bytes.truncate(rng.random_range(0..bytes.len()));
            ("truncated".into(), bytes)
        }
        5 => {
            let mut bytes = text(&body);
            let at = rng.random_range(1..bytes.len());
            bytes.insert(at, 0xff);
            ("not UTF-8".into(), bytes)
        }
        6 => {
            let bytes = String::from_utf8(text(&body)).unwrap_or_default();
            ("a member twice".into(), bytes.replacen('{', &format!("{{\"{field}\":null,"), 1).into_bytes())
        }
        7 => {
            let depth = rng.random_range(20..50_000);
            ("deep".into(), ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes())
        }
        8 => {
            let bytes = String::from_utf8(text(&body)).unwrap_or_default();
            ("more after the end".into(), format!("{bytes}{bytes}").into_bytes())
        }
        _ => {
            body["birth_date"] = json!(
                ["2026-02-30", "1899-13-01", "31/12/1990", "2999-01-01", "0000-00-00"][rng.random_range(0..5)]
            );
            ("a day that is none".into(), text(&body))
        }
    }
}

/// Headers that make a good request wrong.
const WRONG_HEADERS: &[(&str, &str)] = &[
    ("content-type", "text/plain"),
    ("content-type", "application/json; charset=utf-16"),
    ("content-type", ""),
    ("content-encoding", "gzip"),
    ("purpose-of-use", "CURIOSITY"),
    ("purpose-of-use", "treat"),
    ("purpose-of-use", ""),
    ("idempotency-key", ""),
    ("idempotency-key", "\"unfinished"),
    ("idempotency-key", "two words"),
];

const WRONG_QUERIES: &[&str] = &[
    "/v1/patients",
    "/v1/patients?home=",
    "/v1/patients?home=TX",
    "/v1/patients?home=US-ZZ",
    "/v1/patients?home=US-NY&home=US-NY",
    "/v1/patients?home=US-NY&other=1",
    "/v1/patients?home=%ff",
    "/v1/patients?home=US-NY%00",
    "/v1/patients?HOME=US-NY",
];

async fn counts(client: &tokio_postgres::Client) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for table in postgres::own_tables(client).await.expect("tables") {
        // What was looked at is recorded; ids are claimed ahead by the node itself.
        if table.name == "access_log" || table.name == "id_pool" || table.name == "patient_home" {
            continue;
        }
        let sql = format!("SELECT count(*) FROM \"{}\".\"{}\"", table.schema, table.name);
        let count = client.query_one(&sql, &[]).await.expect("a count").get(0);
        counts.insert(table.name, count);
    }
    counts
}

async fn refused(client: &Client, what: &str, asking: tests::client::Asking<'_>) {
    let answer = asking.send().await.unwrap_or_else(|e| panic!("{what}: {e:#}"));
    let status = answer.status.as_u16();
    assert!((400..500).contains(&status), "{what} at {}: {status} {}", client.url(), answer.text());
    answer.problem(status).unwrap_or_else(|e| panic!("{what}: {e:#}"));
}

#[tokio::test]
async fn broken_requests_are_refused_and_change_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let inspect = postgres::inspect(shared().region("ny")).await.expect("the database");
    let before = counts(&inspect).await;
    assert!(before.contains_key("patients"), "{before:?}");
    let router = shared().client("provider", HOME);
    let node = shared().client_at("ny", "provider", HOME);
    let path = format!("/v1/patients?home={HOME}");
    let rounds = if long() { 3000 } else { 250 };
    for round in 0..rounds {
        let client = if round % 2 == 0 { &router } else { &node };
        let (what, body) = wrong_body(&mut rng);
        let asking = client.ask(Method::POST, &path).header("content-type", "application/json").bytes(body);
        refused(client, &format!("round {round}: {what}"), asking).await;
    }
    for client in [&router, &node] {
        for (name, value) in WRONG_HEADERS {
            let body = person(&mut rng);
            let asking = client.ask(Method::POST, &path).json(&body).header(name, value);
            refused(client, &format!("{name}: {value:?}"), asking).await;
        }
        for name in ["purpose-of-use", "idempotency-key", "content-type"] {
            let body = person(&mut rng);
            refused(client, &format!("no {name}"), client.ask(Method::POST, &path).json(&body).without(name))
                .await;
        }
        for path in WRONG_QUERIES {
            let body = person(&mut rng);
            refused(client, path, client.ask(Method::POST, path).json(&body)).await;
        }
        for path in [
            "/v1/patients/x",
            "/v1/patients/%2e%2e",
            "/v1/patients/00000000-0000-0000-0000-000000000000",
            "/v2/patients",
            "/v1/patients/x/y/z",
            "//",
            "/%00",
        ] {
            refused(client, path, client.ask(Method::GET, path)).await;
        }
        for method in
            [Method::PUT, Method::TRACE, Method::OPTIONS, Method::from_bytes(b"BREW").expect("a word")]
        {
            refused(client, method.as_str(), client.ask(method.clone(), &path)).await;
        }
    }
    assert_eq!(counts(&inspect).await, before);
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_size() {
    for client in [shared().client("provider", HOME), shared().client_at("ny", "provider", HOME)] {
        let path = format!("/v1/patients?home={HOME}");
        let body = format!("{{\"given_name\":\"{}\"}}", "x".repeat(3 << 20));
        let asking = client.ask(Method::POST, &path).header("content-type", "application/json").bytes(body);
        // A server may answer and close before it has read all of it; then the client sees a broken pipe.
        if let Ok(answer) = asking.send().await {
            assert_eq!(answer.problem(413).expect("a problem"), "content-too-large");
        }
        let long_path = format!("/v1/patients?home={HOME}&cursor={}", "x".repeat(20_000));
        let answer = client.get(&long_path).await.expect("an answer");
        assert!(matches!(answer.status.as_u16(), 414 | 431), "{}: {}", answer.status, answer.text());
        let answer = client
            .ask(Method::GET, &path)
            .header("x-large", &"x".repeat(100_000))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status, 431, "{}", answer.text());
        client.get("/healthz").await.expect("an answer").expect(200).expect("it still serves");
    }
}

/// The control: the same request, not broken, is taken.
#[tokio::test]
async fn the_request_that_was_broken_is_a_good_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let body = person(&mut rng);
    // Elsewhere than where the other test counts.
    let client = shared().client("provider", "US-CA");
    client.post("/v1/patients?home=US-CA", &body).await.expect("an answer").expect(201).expect("it is taken");
}

/// Bytes changed at random: some of what comes out is a good request, and none of it is an error of ours.
#[tokio::test]
async fn no_body_is_an_error_on_this_side() {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
    let client = shared().client("provider", "US-CA");
    for round in 0..if long() { 2000 } else { 150 } {
        let mut bytes = serde_json::to_vec(&person(&mut rng)).expect("JSON");
        for _ in 0..rng.random_range(1..8) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        let asking = client.ask(Method::POST, "/v1/patients?home=US-CA");
        let answer =
            asking.header("content-type", "application/json").bytes(bytes).send().await.expect("an answer");
        assert!(answer.status.as_u16() < 500, "round {round}: {} {}", answer.status, answer.text());
    }
}
