//! Passkeys over HTTP.

mod authenticator;
mod enrolling;
mod signing_in;

use residency_policy::Role;
use serde_json::{Value, json};

use crate::signin::{PASSWORD, Somebody, text};
use crate::support::{Answer, World};
use authenticator::{Authenticator, Says};

const OWN: &str = "/v1/auth/authenticators/passkeys";

impl World {
    async fn as_holder(&self, token: &str, method: &str, below: &str, body: Option<&Value>) -> Answer {
        let ask = self.ask(token, method, &format!("{OWN}{below}")).without("purpose-of-use");
        let ask = if let Some(body) = body { ask.json(body) } else { ask };
        ask.send().await
    }

    /// A challenge for somebody's authenticator.
    async fn challenge_for(&self, token: &str) -> Value {
        let body = json!({ "password": PASSWORD });
        self.as_holder(token, "POST", "/options", Some(&body)).await.is(200).json()
    }

    async fn adds(&self, token: &str, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({ "ceremony": challenge["ceremony"], "credential": credential });
        self.as_holder(token, "POST", "", Some(&body)).await
    }

    async fn own(&self, token: &str) -> Vec<Value> {
        let answer = self.as_holder(token, "GET", "", None).await.is(200);
        answer.json()["data"].as_array().expect("a list").clone()
    }

    /// A challenge for whoever wants to sign in.
    async fn challenge(&self) -> Value {
        let asking = self.ask("", "POST", "/v1/auth/passkeys/options").without("authorization");
        asking.without("purpose-of-use").send().await.is(200).json()
    }

    async fn brings(&self, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({ "ceremony": challenge["ceremony"], "credential": credential, "tokens": "body" });
        self.post("/v1/auth/passkeys", &body).await
    }

    /// Signs in with what an authenticator says.
    async fn with_passkey(&self, passkey: &Authenticator, says: &Says) -> Answer {
        let challenge = self.challenge().await;
        self.brings(&challenge, &passkey.signs(&challenge["options"], says)).await
    }
}

/// Somebody who is signed in with a passkey that they added: who, the session that added it, and the passkey. Its counter
/// stands at 1.
async fn holder(world: &World, login: &str, id: u8) -> (Somebody, String, Authenticator) {
    let who = world.staff(login, &[Role::Provider]);
    let token = text(&world.login(&who, PASSWORD).await.is(200), "access_token");
    let mut passkey = Authenticator::new(&[id; 20]);
    let challenge = world.challenge_for(&token).await;
    let made = passkey.makes(&challenge["options"], &Says::so(1));
    world.adds(&token, &challenge, &made).await.is(201);
    (who, token, passkey)
}
