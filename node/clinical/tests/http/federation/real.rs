//! The whole way through an issuer that is not ours: npm's `oidc-provider`. `./dev test` installs it.

use std::path::PathBuf;
use std::process::Stdio;

use bytes::Bytes;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use residency_control::system::SystemClock;
use residency_policy::Clock as _;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::issuer::{CLIENT, SECRET};
use super::{Away, World};
use crate::support::{Answer, ORIGIN};

/// Where the tools of the tests are.
#[expect(clippy::disallowed_methods, reason = "a test finds programs of others where `./dev test` put them")]
fn tools() -> PathBuf {
    let folder = |name: &str| std::env::var(name).ok().map(PathBuf::from);
    let cache = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let named = folder("DOMICILE_TOOLS").and_then(|bin| bin.parent().map(PathBuf::from));
    named.or_else(|| Some(cache()?.join("domicile/tools-venv"))).expect("a folder of tools")
}

/// The provider's process. It ends with the test.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    async fn start(port: u16) -> Self {
        let tools = tools();
        let node = tools.join("issuer/node");
        assert!(node.is_file(), "there is no node: run the tests with `./dev test`, which installs it");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/issuer/issuer.mjs");
        let mut child = Command::new(node)
            .arg(script)
            .arg(tools.join("issuer"))
            .arg(port.to_string())
            .arg("robin@elm.example")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("an output")).lines();
        let url =
            lines.next_line().await.expect("reads").expect("it listens: run `./dev test`, which installs it");
        Self { child, url }
    }

    fn port(&self) -> u16 {
        self.url.parse::<Url>().expect("an address").port().expect("a port")
    }

    async fn stop(mut self) {
        self.child.kill().await.expect("it ends");
    }
}

/// A browser at the provider's pages: it keeps cookies and follows redirects, until it is sent back to us.
async fn browse(from: &Url) -> Url {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut at = from.clone();
    for _ in 0..10 {
        let jar = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let request =
            http::Request::get(at.as_str()).header(COOKIE, jar).body(Empty::new()).expect("a request");
        let answer = client.request(request).await.expect("an answer");
        for line in answer.headers().get_all(SET_COOKIE) {
            let pair = line.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            cookies.retain(|(there, _)| there != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        let status = answer.status();
        let location = answer.headers().get(LOCATION).map(|to| to.to_str().expect("text").to_owned());
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let location = location.unwrap_or_else(|| panic!("{status}: {}", String::from_utf8_lossy(&body)));
        at = at.join(&location).expect("an address");
        if at.as_str().starts_with(ORIGIN) {
            return at;
        }
    }
    panic!("it goes in circles")
}

impl World {
    async fn through(&self, provider: &str) -> (Away, Url) {
        let away = self.away(provider, "?return_to=/docs/").await;
        let back = browse(&away.location).await;
        (away, back)
    }

    async fn arrives(&self, away: &Away, back: &Url) -> Answer {
        let path = format!("{}?{}", back.path(), back.query().expect("a query"));
        self.browse(&path, Some(&away.cookie)).await
    }
}

#[tokio::test]
async fn somebody_comes_in_through_a_real_provider_also_after_it_changed_its_keys() {
    let world = World::new().await;
    let robin = world.robin();
    world.region.clock.set(SystemClock.now());
    let real = Process::start(0).await;
    let provider = world
        .provider(&json!({
            "preset": "custom", "issuer": real.url, "client_id": CLIENT, "client_secret": SECRET,
            "mail_domain": "elm.example"
        }))
        .await;
    let (away, back) = world.through(&provider).await;
    assert!(back.query_pairs().any(|(name, value)| name == "iss" && value == real.url), "RFC 9207");
    // Another browser with the same address gets nothing.
    let other = world.away(&provider, "").await;
    world.arrives(&other, &back).await.is(401);
    let answer = world.arrives(&away, &back).await.is(200);
    assert!(answer.text().contains("url=/docs/"));
    assert_eq!(world.session_of(&answer).await["user"], robin.user.to_string());
    world.arrives(&away, &back).await.is(401).problem("unauthenticated");

    // A code that was traded is worth nothing to the provider either.
    let (away, back) = world.through(&provider).await;
    let mut wrong = back.clone();
    let pairs: Vec<(String, String)> = back.query_pairs().into_owned().collect();
    wrong.query_pairs_mut().clear().extend_pairs(
        pairs.iter().map(|(name, value)| (name, if name == "code" { "made-up" } else { value.as_str() })),
    );
    world.arrives(&away, &wrong).await.is(401);
    world.arrives(&away, &back).await.is(200);

    // Asked for groups, at the user's endpoint, it says them, and they decide.
    let mapped = world
        .provider(&json!({
            "preset": "custom", "issuer": real.url, "client_id": CLIENT, "client_secret": SECRET,
            "mail_domain": "elm.example",
            "role_mapping": { "groups": [{ "group": "Clinical Audit", "role": "auditor" }] }
        }))
        .await;
    let (away, back) = world.through(&mapped).await;
    assert!(away.parameter("scope").split(' ').any(|scope| scope == "groups"));
    let answer = world.arrives(&away, &back).await.is(200);
    assert_eq!(world.session_of(&answer).await["role"], "auditor");

    // Told to ask anew it says when it did (otherwise it showed nobody), and of no second factor.
    let away = world.away(&provider, "?step_up=true").await;
    let back = browse(&away.location).await;
    world.arrives(&away, &back).await.is(401).problem("second-factor-required");

    // Its next process has another key, and lives where this one did.
    let port = real.port();
    real.stop().await;
    world.browse(&format!("/v1/auth/oidc/{provider}/start"), None).await.is(303);
    let real = Process::start(port).await;
    world.later(10);
    let (away, back) = world.through(&provider).await;
    world.arrives(&away, &back).await.is(200);

    // And when it is gone, that is said.
    let (away, back) = world.through(&provider).await;
    real.stop().await;
    world.arrives(&away, &back).await.is(503).problem("identity-provider-unavailable");
}
