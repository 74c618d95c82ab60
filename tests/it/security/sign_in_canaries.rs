//! A thousand sign-ins and failures, each with secrets of its own: none is in a log, a metric or a trace.

use futures::{StreamExt as _, stream};
use http::Method;
use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::clinic;
use tests::cluster::{Cluster, Credential, Wish, turn};
use tests::collector::Collector;
use tests::faults::wait_until;
use tests::scan::Scanner;

const ATTEMPTS: usize = 1_000;
/// A password is hashed on few threads of each node; more would wait in line for longer than they may.
const AT_ONCE: usize = 8;

/// Something secret, and whose.
type Secret = (String, String);

fn marker() -> String {
    format!("zz{}zz", clinic::fresh().simple())
}

async fn post(door: &Client, path: &str, body: &Value) -> Answer {
    door.post(path, body).await.expect("an answer")
}

/// One attempt of its kind. Returns what nobody may be told of it.
async fn attempt(number: usize, door: &Client, who: &Credential) -> Vec<Secret> {
    let login = who.user.as_ref().and_then(|user| user.login.as_ref()).expect("they sign in");
    let (name, secret) = (format!("{}@juniper.example", marker()), marker());
    let mut told = vec![(format!("the secret of attempt {number}"), secret.clone())];
    let shown = |login: &str, password: &str| json!({ "organisation": who.org, "login": login, "password": password, "tokens": "body" });
    let refused = |answer: &Answer| assert_eq!(answer.problem(401).expect("a problem"), "unauthenticated");
    match number % 5 {
        // Somebody whom nobody knows.
        0 => {
            refused(&post(door, "/v1/auth/login", &shown(&name, &secret)).await);
            told.push((format!("the name of attempt {number}"), name));
        }
        // What is no token, as one: of a session, and of a key.
        1 => refused(&door.key(&secret).get("/v1/regions").await.expect("an answer")),
        2 => {
            let body = json!({ "refresh_token": secret });
            refused(&post(door, "/v1/auth/refresh", &body).await);
        }
        // Where no secret belongs.
        3 => {
            let mut body = shown(&name, "a password that is long enough");
            body[&secret] = json!(secret);
            let answer = post(door, "/v1/auth/login", &body).await;
            assert_eq!(answer.status.as_u16(), 422, "{}", answer.text());
        }
        // Who signs in, goes on, and signs out.
        _ => {
            let first = post(door, "/v1/auth/login", &shown(&login.name, &login.password)).await;
            let first = first.expect(200).expect("they sign in").json();
            let again = json!({ "refresh_token": first["refresh_token"] });
            let next = post(door, "/v1/auth/refresh", &again).await.expect(200).expect("it goes on").json();
            for (which, tokens) in [("first", &first), ("next", &next)] {
                for kind in ["access_token", "refresh_token"] {
                    let token = tokens[kind].as_str().expect("a token");
                    // Its last part: what comes before is alike in all of them.
                    let part = &token[token.len() - 30..];
                    told.push((format!("the {which} {kind} of attempt {number}"), part.to_owned()));
                }
            }
            let bearer = door.key(next["access_token"].as_str().expect("a token"));
            let out = bearer.ask(Method::POST, "/v1/auth/logout").json(&json!({})).send().await;
            assert!(out.expect("an answer").status.is_success());
        }
    }
    told
}

#[tokio::test]
async fn no_secret_of_a_thousand_sign_ins_and_failures_is_ever_told() {
    let _turn = turn().await;
    let spans = Collector::start().await;
    let more = vec!["--traces".into(), spans.url.clone()];
    let cluster = Cluster::start(&Wish { name: "sign-in-canaries", people: 0, more }).expect("a cluster");
    let who = cluster.credential("lab_tech", "US-TX");
    let described = cluster.described();
    let regions = described.regions.iter().map(|region| cluster.nobody().at(&region.url));
    let doors: Vec<Client> = regions.chain([cluster.nobody()]).collect();

    let attempts = (0..ATTEMPTS).map(|number| attempt(number, &doors[number % doors.len()], who));
    let secrets: Vec<Secret> =
        stream::iter(attempts).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    assert!(secrets.len() >= ATTEMPTS, "{}", secrets.len());
    let login = who.user.as_ref().and_then(|user| user.login.as_ref()).expect("they sign in");
    let right = [("the right password".to_owned(), login.password.clone())];

    // Spans are sent in batches: a last request is told of when all before it were.
    let last = clinic::fresh().simple().to_string();
    let nobody = cluster.nobody();
    let asking = nobody.ask(Method::GET, "/v1/regions");
    asking.header("traceparent", &format!("00-{last}-00f067aa0ba902b7-01")).send().await.expect("an answer");
    wait_until("the last span", async || {
        let last = |id: &[u8]| data_encoding::HEXLOWER.encode(id) == last;
        spans.kept().iter().any(|(_, span)| last(&span.trace_id)).then_some(())
    })
    .await
    .expect("it comes");

    let wanted = secrets.iter().chain(&right).map(|(what, secret)| (what.clone(), secret.as_str()));
    let scanner = Scanner::for_texts(wanted).expect("a scanner");
    let mut found = scanner.bytes("traces", format!("{:?}", spans.kept()).as_bytes());
    for door in &doors {
        let page = door.get("/metrics").await.expect("an answer").text();
        found.join(scanner.bytes("metrics", page.as_bytes()));
    }
    let mut told = String::new();
    for region in &described.regions {
        let postgres = region.log.with_file_name("postgres.log");
        for log in [&region.log, &postgres] {
            told += &std::fs::read_to_string(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        }
    }
    told += &std::fs::read_to_string(cluster.home().join("router/router.log")).expect("the router's log");
    assert!(told.contains("/v1/auth/login") && told.contains("/v1/auth/refresh"), "the logs were read");
    found.join(scanner.bytes("logs", told.as_bytes()));
    found.clean("logs, metrics and traces").expect("nothing is told");

    let planted = format!("{told}\n{{\"header\":\"Bearer {}\"}}", secrets[7].1);
    let control = scanner.bytes("logs with one planted", planted.as_bytes());
    assert_eq!(control.hits.len(), 1, "the control: one that is there is found");
}
