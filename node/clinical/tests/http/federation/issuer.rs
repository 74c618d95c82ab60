//! An issuer that keeps to OpenID Connect, and breaks it where a test says so.

use std::sync::{Arc, Mutex, MutexGuard};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::Away;
use super::server::{Asked, Server};

pub(crate) const CLIENT: &str = "domicile-test";
pub(crate) const SECRET: &str = "s3cret-of-the-client";

/// What the issuer does.
pub(crate) struct Script {
    /// What it signs with.
    pub(crate) seed: [u8; 32],
    /// What it calls itself, if that is another than its address.
    pub(crate) names_itself: Option<String>,
    /// The status of every answer, if it is out of order.
    pub(crate) out_of_order: Option<u16>,
    /// What happens while it is asked what it says of itself.
    pub(crate) meanwhile: Box<dyn Fn() + Send>,
    /// Changes the claims.
    pub(crate) claims: fn(&mut Value),
    /// Changes the header of the token.
    pub(crate) header: fn(&mut Value),
    /// How often it was asked what it says of itself.
    pub(crate) discovered: u32,
    /// Whether a code is good more than once.
    pub(crate) forgiving: bool,
    given: Option<Given>,
}

struct Given {
    code: String,
    nonce: String,
    challenge: String,
    callback: String,
    now: i64,
}

pub(crate) struct Issuer {
    pub(crate) server: Server,
    script: Arc<Mutex<Script>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script {
            seed: [7; 32],
            names_itself: None,
            out_of_order: None,
            meanwhile: Box::new(|| {}),
            claims: |_| {},
            header: |_| {},
            discovered: 0,
            forgiving: false,
            given: None,
        }));
        let own = Arc::clone(&script);
        let server = Server::start(move |asked| answer(&mut own.lock().expect("a lock"), &asked)).await;
        Self { server, script }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("a lock")
    }

    /// What the provider's own page would do: somebody says who they are, and the browser gets a code for that.
    pub(crate) fn signs_in(&self, away: &Away, now: i64) -> String {
        assert_eq!(away.parameter("response_type"), "code");
        assert_eq!(away.parameter("client_id"), CLIENT);
        assert_eq!(away.parameter("code_challenge_method"), "S256");
        assert!(away.parameter("scope").split(' ').any(|scope| scope == "openid"));
        let code = format!("code-of-{}", &away.parameter("state")[..8]);
        self.script().given = Some(Given {
            code: code.clone(),
            nonce: away.parameter("nonce"),
            challenge: away.parameter("code_challenge"),
            callback: away.parameter("redirect_uri"),
            now,
        });
        code
    }
}

fn answer(script: &mut Script, asked: &Asked) -> (u16, Value) {
    if asked.path == "/.well-known/openid-configuration" {
        script.discovered += 1;
        (script.meanwhile)();
    }
    if let Some(status) = script.out_of_order {
        return (status, json!({ "error": "server_error" }));
    }
    let here = format!("http://{}", asked.header("host"));
    let pair = Ed25519KeyPair::from_seed_unchecked(&script.seed).expect("a key");
    let kid = format!("key-{}", script.seed[0]);
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/.well-known/openid-configuration") => (
            200,
            json!({
                "issuer": script.names_itself.clone().unwrap_or_else(|| here.clone()),
                "authorization_endpoint": format!("{here}/authorize"),
                "token_endpoint": format!("{here}/token"),
                "jwks_uri": format!("{here}/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["EdDSA"],
                "authorization_response_iss_parameter_supported": true
            }),
        ),
        ("GET", "/keys") => (
            200,
            json!({ "keys": [{
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid,
                "x": BASE64URL_NOPAD.encode(pair.public_key().as_ref())
            }]}),
        ),
        ("POST", "/token") => {
            let basic = BASE64.encode(format!("{CLIENT}:{SECRET}").as_bytes());
            if asked.header("authorization") != format!("Basic {basic}") {
                return (401, json!({ "error": "invalid_client" }));
            }
            let proved =
                BASE64URL_NOPAD.encode(digest(&SHA256, asked.form("code_verifier").as_bytes()).as_ref());
            let right = |given: &Given| {
                asked.form("grant_type") == "authorization_code"
                    && asked.form("code") == given.code
                    && asked.form("redirect_uri") == given.callback
                    && proved == given.challenge
            };
            let Some(given) = script.given.take_if(|given| right(given)) else {
                return (400, json!({ "error": "invalid_grant" }));
            };
            let mut claims = json!({
                "iss": here, "sub": "subject-1", "aud": CLIENT, "nonce": given.nonce, "iat": given.now,
                "exp": given.now + 300, "email": "Robin@elm.example", "email_verified": true
            });
            (script.claims)(&mut claims);
            let mut header = json!({ "alg": "EdDSA", "kid": kid });
            (script.header)(&mut header);
            let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
            let signed = format!("{}.{}", part(&header), part(&claims));
            let signature = BASE64URL_NOPAD.encode(pair.sign(signed.as_bytes()).as_ref());
            if script.forgiving {
                script.given = Some(given);
            }
            let token = format!("{signed}.{signature}");
            (200, json!({ "access_token": "at", "token_type": "Bearer", "id_token": token }))
        }
        _ => (404, json!({})),
    }
}
