//! The router beside HAProxy and nginx: what a request costs it, what it adds to one, and what a handshake costs it.
//!
//! What is measured has a core of its own; client and home share the other. HAProxy and nginx do the same job without
//! a directory, without knowing the caller's key, and without a log.

mod handshakes;
pub mod home;
mod proxies;
mod wrk;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::{Method, StatusCode};

use super::authority::Authority;
use super::class::{Core, Held, OutOfTheWay};
use super::drive::Driver;
use super::peers::{self, Pem};
use super::series::{self, Contender, Series, alternate};
use super::spawn::Spawned;
use super::{Bench, Goal, Options, Report, Table, directory};
use crate::client::{self, Address, Client};
use handshakes::Handshakes;
use home::Ready;
use proxies::Proxy;
use wrk::Wrk;

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "router", about: "the router with mutual TLS behind it, beside HAProxy and nginx", run };

const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);
const OURS: &str = "router";
const HAPROXY: &str = "HAProxy, HTTP/2";
const LOGGING: &str = "HAProxy, HTTP/2, with a log";
const NGINX: &str = "nginx, HTTP/1.1";
const DIRECT: &str = "the home itself";

/// Everybody who takes part.
struct Arena {
    home: Ready,
    ours: Proxy,
    haproxy: Proxy,
    logging: Proxy,
    nginx: Proxy,
    public: Pem,
    /// Ends after those in front of it.
    behind: Spawned,
    folder: PathBuf,
}

impl Arena {
    fn open(options: &Options, patients: u64) -> anyhow::Result<Self> {
        let folder = options.folder("router")?;
        let authority = Authority::new()?;
        let uri = |who: &str| Some(format!("spiffe://domicile/{who}"));
        let issue = |name: &str, uri: Option<String>| authority.issue(&folder.join(name), uri.as_deref());
        let public = issue("public", None)?;
        let member = issue("member", uri(&format!("router/us-ca/node/{}", home::ROUTER)))?;
        let texas = issue("texas", uri(&format!("region/us-tx/node/{}", home::VOTER)))?;
        let (voter, hears) = (peers::free_port()?, peers::free_port()?);

        let program = std::env::current_exe().context("this program")?;
        let mut command = options.class.command_on(Core::Rest, program);
        command.arg("home").arg("--home").arg(texas.ca.parent().context("a folder")?);
        for (name, value) in
            [("--router", u64::from(hears)), ("--voter", u64::from(voter)), ("--patients", patients)]
        {
            command.args([name, &value.to_string()]);
        }
        let (behind, said) = Spawned::start(&mut command)?;
        let home: Ready = serde_json::from_str(&said).context("what the home says")?;

        let place = |name: &str| options.folder(&format!("router/{name}"));
        let certificates = (&public, &member);
        let ours = proxies::router(options, &place("ours")?, certificates, (&home, voter, hears))?;
        let haproxy = proxies::haproxy(options, &place("haproxy")?, certificates, &home, false)?;
        let logging = proxies::haproxy(options, &place("haproxy-log")?, certificates, &home, true)?;
        let nginx = proxies::nginx(options, &place("nginx")?, certificates, &home)?;
        Ok(Self { home, ours, haproxy, logging, nginx, public, behind, folder })
    }

    /// Waits until the router has learnt the whole directory, and everybody answers.
    fn until_ready(&self, driver: &Driver, patients: u64) -> anyhow::Result<()> {
        let tls = client::trust(&self.public.ca)?;
        let last = format!("/v1/patients/{}", directory::id(patients - 1));
        for (name, proxy) in
            [(OURS, &self.ours), (HAPROXY, &self.haproxy), (LOGGING, &self.logging), (NGINX, &self.nginx)]
        {
            let at = Address { host: "localhost".to_owned(), port: proxy.at().0 };
            let client = Client::new(at, tls.clone(), PATIENCE).with_key(&self.home.api_key);
            let begun = Instant::now();
            loop {
                let answer = driver.runtime().block_on(client.send(client.request(Method::GET, &last)));
                if answer
                    .as_ref()
                    .is_ok_and(|answer| answer.status == StatusCode::OK && answer.body.len() == 1_024)
                {
                    break;
                }
                ensure!(begun.elapsed() < PATIENCE, "{name} does not carry requests: {answer:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn processes(&self) -> Vec<u32> {
        let proxies = [&self.ours, &self.haproxy, &self.logging, &self.nginx];
        proxies.map(|proxy| proxy.at().1).into_iter().chain([self.behind.pid()]).collect()
    }
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let patients = options.size(1_000_000, 50_000);
    let _aside = OutOfTheWay::go();
    let (arena, driver) = (Arena::open(options, patients)?, Driver::new(1)?);
    arena.until_ready(&driver, patients)?;
    let wrk = Wrk::new(&arena.folder, &arena.home.api_key, patients)?;
    let held = Held::new(options.class, &arena.processes());
    let wrk = &wrk;
    let load = |name, proxy: &'_ Proxy, connections| {
        let at = proxy.at();
        Contender::new(name, move |turn| wrk.turn(options, at, connections, turn))
    };
    let many = alternate(
        &options.plan,
        vec![
            load(HAPROXY, &arena.haproxy, CONNECTIONS),
            load(OURS, &arena.ours, CONNECTIONS),
            load(NGINX, &arena.nginx, CONNECTIONS),
            load(LOGGING, &arena.logging, CONNECTIONS),
        ],
    )?;
    let direct = (arena.home.open, arena.behind.pid());
    let one = alternate(
        &options.plan,
        vec![
            Contender::new(DIRECT, move |turn| wrk.turn(options, direct, 1, turn)),
            load(NGINX, &arena.nginx, 1),
            load(OURS, &arena.ours, 1),
            load(HAPROXY, &arena.haproxy, 1),
        ],
    )?;
    let callers = Handshakes::new(&arena.public.ca)?;
    let (callers, driver) = (&callers, &driver);
    let greet = |name, proxy: &'_ Proxy| {
        let at = proxy.at();
        Contender::new(name, move |turn| callers.turn(driver, at, turn))
    };
    let greeted = alternate(
        &options.plan,
        vec![greet(NGINX, &arena.nginx), greet(OURS, &arena.ours), greet(HAPROXY, &arena.haproxy)],
    )?;
    drop(held);
    Ok(told(&many, &one, &greeted, patients))
}

fn told(many: &Series, one: &Series, greeted: &Series, patients: u64) -> Report {
    let mut report = Report::new("Router");
    report.note(format!(
        "GET of 1 KiB, HTTP/1.1 over TLS 1.3 in (wrk), mutual TLS to one and the same home. What is measured has one \
         core and one worker; wrk and the home share the other core. The router: HTTP/2 to the home, {patients} patients \
         in its directory, 100,000 of them asked for, the caller's key checked, all limits, metrics, a line in its log \
         for every request. The peers have none of that, at the best settings that were found: {}, HTTP/2 to the home, \
         http-reuse always; {}, which can speak only HTTP/1.1 to it, keepalive. CPU includes a handshake for each \
         connection.",
        peers::version("haproxy", "-v"),
        peers::version("nginx", "-v"),
    ));
    report.note(format!("{CONNECTIONS} connections:"));
    report.table(Table::of(many, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.note("One connection. CPU of the home is the home's own:");
    report.table(Table::of(one, &[series::RATE, series::CPU, series::P50, series::P99]));
    report.note("Full handshakes, one small page each, nothing resumed, ECDSA P-256, X25519:");
    report.table(Table::of(greeted, &[series::RATE, series::CPU, series::P50, series::P99]));
    report.goal(Goal::at_most(
        "CPU a request, of HAProxy's (0.60 is the aim)",
        many.ratio(OURS, HAPROXY, series::CPU),
        0.80,
    ));
    report.goal(Goal::at_most(
        "added p50 at one connection, of nginx's",
        one.added(OURS, NGINX, DIRECT, series::P50),
        1.0,
    ));
    report.goal(Goal::at_most(
        "CPU a full handshake, of nginx's",
        greeted.ratio(OURS, NGINX, series::CPU),
        0.60,
    ));
    report
}
