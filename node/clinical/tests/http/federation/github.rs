//! GitHub, as its documentation describes it.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::Away;
use super::server::{Asked, Server};
use crate::support::{Answer, World};

/// What it has been told, and what it tells.
struct Script {
    challenge: String,
    callback: String,
    mails: Value,
}

struct Github {
    server: Server,
    script: Arc<Mutex<Script>>,
}

const ROBINS: &str = "robin@elm.example";

impl Github {
    async fn start() -> Self {
        let mails = json!([
            { "email": "casey@elm.example", "primary": false, "verified": true },
            { "email": ROBINS, "primary": true, "verified": true }
        ]);
        let script = Arc::new(Mutex::new(Script { challenge: String::new(), callback: String::new(), mails }));
        let own = Arc::clone(&script);
        let server = Server::start(move |asked| answer(&own.lock().expect("a lock"), &asked)).await;
        Self { server, script }
    }

    fn has(&self, mails: Value) {
        self.script.lock().expect("a lock").mails = mails;
    }

    async fn comes_in(&self, world: &World, provider: &str, code: &str) -> Answer {
        let away: Away = world.away(provider, "").await;
        assert_eq!(away.location.path(), "/login/oauth/authorize");
        assert_eq!(away.parameter("scope"), "read:user user:email");
        assert_eq!(away.parameter("code_challenge_method"), "S256");
        {
            let mut script = self.script.lock().expect("a lock");
            script.challenge = away.parameter("code_challenge");
            script.callback = away.parameter("redirect_uri");
        }
        world.back(&away, &[("code", code), ("state", &away.parameter("state"))]).await
    }
}

fn answer(script: &Script, asked: &Asked) -> (u16, Value) {
    if asked.header("user-agent").is_empty() {
        return (403, json!({ "message": "Request forbidden by administrative rules." }));
    }
    if (asked.method.as_str(), asked.path.as_str()) == ("POST", "/login/oauth/access_token") {
        let proved = BASE64URL_NOPAD.encode(digest(&SHA256, asked.form("code_verifier").as_bytes()).as_ref());
        let right = asked.header("accept") == "application/json"
            && asked.form("client_id") == "Iv1.test"
            && asked.form("client_secret") == "gh-secret"
            && asked.form("code") == "right"
            && asked.form("redirect_uri") == script.callback
            && proved == script.challenge;
        // A refusal has the status 200 there.
        return if right {
            (
                200,
                json!({ "access_token": "gho_test", "token_type": "bearer", "scope": "read:user,user:email" }),
            )
        } else {
            (200, json!({ "error": "bad_verification_code" }))
        };
    }
    if asked.header("authorization") != "Bearer gho_test"
        || asked.header("accept") != "application/vnd.github+json"
        || asked.header("x-github-api-version").is_empty()
    {
        return (401, json!({ "message": "Bad credentials" }));
    }
    match asked.path.as_str() {
        "/api/v3/user" => (200, json!({ "id": 583_231, "login": "octocat" })),
        "/api/v3/user/emails" => (200, script.mails.clone()),
        _ => (404, json!({ "message": "Not Found" })),
    }
}

#[tokio::test]
async fn who_has_a_verified_first_address_at_github_comes_in() {
    let world = World::new().await;
    let robin = world.robin();
    let github = Github::start().await;
    let provider = world
        .provider(&json!({
            "preset": "github", "issuer": github.server.url, "client_id": "Iv1.test", "client_secret": "gh-secret",
            "mail_domain": "elm.example"
        }))
        .await;
    for (what, mails) in [
        ("not verified", json!([{ "email": ROBINS, "primary": true, "verified": false }])),
        ("not the first", json!([{ "email": ROBINS, "primary": false, "verified": true }])),
        ("of another domain", json!([{ "email": "robin@oak.example", "primary": true, "verified": true }])),
        ("nobody's here", json!([{ "email": "casey@elm.example", "primary": true, "verified": true }])),
        ("none", json!([])),
    ] {
        github.has(mails);
        let answer = github.comes_in(&world, &provider, "right").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    github.has(json!([{ "email": "Robin@elm.example", "primary": true, "verified": true }]));
    github.comes_in(&world, &provider, "wrong").await.is(401).problem("unauthenticated");
    let answer = github.comes_in(&world, &provider, "right").await.is(200);
    let session = world.session_of(&answer).await;
    assert_eq!((&session["user"], &session["assurance"]), (&json!(robin.user.to_string()), &json!(1)));
    // From now on by the number of the account, whatever its addresses are.
    github.has(json!([]));
    github.comes_in(&world, &provider, "right").await.is(200);
}
