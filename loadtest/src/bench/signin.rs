//! Signing in and refreshing on a schedule, beside the hash alone that a password costs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::class::Held;
use super::cpu::Meter;
use super::drive::{Driven, Driver};
use super::running::Running;
use super::series::{self, Contender, Sample, alternate};
use super::{Bench, Goal, Options, Report, Table};
use crate::client::{self, Client};
use crate::cluster::Cluster;

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "signin", about: "signing in and refreshing on a schedule, beside the hash alone", run };

const LOGIN: &str = "sign-ins, 10 a second";
const REFRESH: &str = "refreshes, 50 a second";
const MOST: &str = "sign-ins, 16 in flight";
const HASH: &str = "Argon2id alone, one after the other";

/// What B177 asks for, in microseconds.
const PROMISED_US: f64 = 200_000.0;
/// How many sessions somebody may have at once.
const SESSIONS_EACH: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);
/// What the nodes hash with: OWASP's recommendation for Argon2id (Password Storage Cheat Sheet, 2025).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// Somebody who signs in.
#[derive(Clone)]
struct Person {
    organisation: String,
    login: String,
    password: String,
}

/// Everybody of the cluster who has a password.
fn people(cluster: &Cluster) -> anyhow::Result<Vec<Person>> {
    let people: Vec<Person> = cluster
        .credentials
        .iter()
        .filter_map(|credential| {
            let login = credential.user.as_ref()?.login.as_ref()?;
            Some(Person {
                organisation: credential.org.clone(),
                login: login.name.clone(),
                password: login.password.clone(),
            })
        })
        .collect();
    ensure!(people.len() > 1, "nobody of this cluster has a password: it was made by an earlier release");
    Ok(people)
}

/// The tokens of somebody who signed in.
async fn sign_in(client: &Client, person: &Person) -> anyhow::Result<Value> {
    let body = json!({
        "organisation": person.organisation, "login": person.login, "password": person.password, "tokens": "body",
    });
    let answer = client.send(client.request(Method::POST, "/v1/auth/login").json(&body)).await?;
    ensure!(answer.status == StatusCode::OK, "sign-in: {} {}", answer.status, answer.problem());
    Ok(answer.json())
}

/// The refresh token that follows this one.
async fn refresh(client: &Client, token: &str) -> anyhow::Result<String> {
    let asked = client.request(Method::POST, "/v1/auth/refresh").json(&json!({"refresh_token": token}));
    let answer = client.send(asked).await?;
    ensure!(answer.status == StatusCode::OK, "refresh: {} {}", answer.status, answer.problem());
    token_of(&answer.json())
}

fn token_of(body: &Value) -> anyhow::Result<String> {
    Ok(body["refresh_token"].as_str().context("a refresh token")?.to_owned())
}

/// So many a second, whether the answers come or not; how long each took from when it was due.
async fn on_schedule<F, A>(turn: Duration, every: Duration, act: F) -> anyhow::Result<Driven>
where
    F: Fn(usize) -> A,
    A: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (start, mut driven, mut under_way) = (Instant::now(), Driven::new()?, JoinSet::new());
    let mut due = start;
    for number in 0.. {
        if due.duration_since(start) >= turn {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let (act, since) = (act(number), due);
        under_way.spawn(async move { act.await.map(|()| since.elapsed()) });
        due += every;
    }
    while let Some(done) = under_way.join_next().await {
        driven.count(true, done.context("a client stopped")??);
    }
    driven.took = start.elapsed();
    Ok(driven)
}

/// So many in flight at all times.
async fn as_many_as_it_can(client: &Client, people: &[Person], turn: Duration) -> anyhow::Result<Driven> {
    let (start, mut driven, mut under_way) = (Instant::now(), Driven::new()?, JoinSet::new());
    for lane in 0..16 {
        let (client, person) = (client.clone(), people[lane % people.len()].clone());
        under_way.spawn(async move {
            let mut took = Vec::new();
            while start.elapsed() < turn {
                let began = Instant::now();
                sign_in(&client, &person).await?;
                took.push(began.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    while let Some(lane) = under_way.join_next().await {
        lane.context("a client stopped")??.into_iter().for_each(|took| driven.count(true, took));
    }
    driven.took = start.elapsed();
    Ok(driven)
}

/// The hash that a node makes of a password, by itself.
fn hashes(turn: Duration) -> anyhow::Result<Sample> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|error| anyhow::anyhow!("{error}"))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (start, mut driven) = (Instant::now(), Driven::new()?);
    while start.elapsed() < turn {
        let (began, mut out) = (Instant::now(), [0; 32]);
        hasher
            .hash_password_into(b"a long sentence is a good one", &[7; 16], &mut out)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        std::hint::black_box(out);
        driven.count(true, began.elapsed());
    }
    driven.took = start.elapsed();
    driven.sample(None)
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let running = Running::find(options, options.size(60, 30))?;
    let people = people(&running.cluster)?;
    // Who signs in once too often ends a session of theirs, so those who refresh are others.
    let (people, staying) = people.split_at(people.len() / 2);
    let driver = Driver::new(1)?;
    let client = Client::new(running.cluster.edge()?, client::trust(&running.cluster.ca_cert)?, PATIENCE);
    let servers: Vec<u32> = running.servers().into_iter().chain(running.databases()).collect();
    let held = Held::new(options.class, &servers);
    let metered = |turn: &dyn Fn() -> anyhow::Result<Driven>| {
        let meter = Meter::start(&servers);
        turn()?.sample(Some(meter.read()))
    };
    // A refresh token is good once, so each waits until it has come back with the next.
    let tokens = driver.runtime().block_on(async {
        let mut tokens = Vec::new();
        for person in staying.iter().cycle().take(SESSIONS_EACH * staying.len()) {
            tokens.push(Mutex::new(Some(token_of(&sign_in(&client, person).await?)?)));
        }
        anyhow::Ok(Arc::new(tokens))
    })?;
    let logins = |turn| {
        let act = |number: usize| {
            let (client, person) = (client.clone(), people[number % people.len()].clone());
            async move { sign_in(&client, &person).await.map(drop) }
        };
        metered(&|| driver.runtime().block_on(on_schedule(turn, Duration::from_millis(100), act)))
    };
    let refreshes = |turn| {
        let act = |number: usize| {
            let (client, tokens) = (client.clone(), Arc::clone(&tokens));
            async move {
                let place = &tokens[number % tokens.len()];
                let token = place.lock().ok().and_then(|mut token| token.take());
                let next = refresh(&client, &token.context("the refresh before is not back yet")?).await?;
                place.lock().map_err(|_| anyhow::anyhow!("a client stopped"))?.replace(next);
                Ok(())
            }
        };
        metered(&|| driver.runtime().block_on(on_schedule(turn, Duration::from_millis(20), act)))
    };
    let most = |turn| metered(&|| driver.runtime().block_on(as_many_as_it_can(&client, people, turn)));
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(LOGIN, logins),
            Contender::new(REFRESH, refreshes),
            Contender::new(MOST, most),
            Contender::new(HASH, hashes),
        ],
    )?;
    drop(held);
    let mut report = Report::new("Signing in");
    report.note(format!(
        "Through the router, {} people of three states, each with one factor; times of the first two from when a request \
         was due. A sign-in is an Argon2id hash ({MEMORY_KIB} KiB, {PASSES} passes) and a change of the control plane; a \
         refresh is a change.",
        people.len()
    ));
    report.table(Table::of(&series, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.goal(Goal::at_most("p95 of a sign-in, in us", series.spread(LOGIN, series::P95), PROMISED_US));
    report.goal(Goal::at_most("p95 of a refresh, in us", series.spread(REFRESH, series::P95), PROMISED_US));
    report.goal(Goal::at_most(
        "p50 of a sign-in, of the hash alone",
        series.ratio(LOGIN, HASH, series::P50),
        2.0,
    ));
    Ok(report)
}
