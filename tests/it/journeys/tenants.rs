//! An organisation of one's own, for a test that changes or closes it.

use residency_control::system::SystemClock;
use residency_policy::{Clock as _, Role};
use ring::hmac;
use serde_json::{Value, json};
use tests::client::Client;
use tests::cluster::shared;
use tests::faults::wait_until;
use tests::operate;

use super::HOME;

/// An organisation that nobody else in this test run touches.
pub(crate) struct Tenant {
    pub(super) id: String,
    pub(super) path: String,
    /// The key of its administrator.
    pub(super) key: String,
}

impl Tenant {
    pub(crate) async fn new(name: &str) -> Self {
        let founder = shared().client("org_admin", HOME);
        let body = json!({ "name": name, "type": "provider", "serves": [HOME] });
        let added = founder.post("/v1/orgs", &body).await.expect("an answer").expect(201).expect("is added");
        let id = added.json()["id"].as_str().expect("an id").to_owned();
        let (key, _) = operate::mint(shared(), &id, Role::OrgAdmin).await.expect("a key");
        Self { path: format!("/v1/orgs/{id}"), id, key }
    }

    /// The access token of an administrator who signed in with a second factor.
    pub(super) async fn sure(&self) -> String {
        self.sure_as(Role::OrgAdmin).await
    }

    /// The access token of somebody of this role who signed in with a second factor.
    pub(crate) async fn sure_as(&self, role: Role) -> String {
        let admin = self.admin();
        let post = async |client: &Client, path: &str, body: Value, status: u16| {
            client.post(path, &body).await.expect("an answer").expect(status).expect(path)
        };
        let new = json!({ "name": "Robin Sample", "roles": [role.as_str()] });
        let user = post(&admin, &format!("{}/users", self.path), new, 201).await.json()["id"].clone();
        let user = user.as_str().expect("an id").to_owned();
        let login = format!("{}@clinic.example", role.as_str().replace('_', "."));
        let invite = format!("/v1/users/{user}/invitations");
        let invitation =
            post(&admin, &invite, json!({ "login": login }), 201).await.json()["invitation"].clone();
        let (nobody, password) = (shared().nobody(), "a sentence that nobody guesses");
        let accepted = json!({ "invitation": invitation, "password": password });
        post(&nobody, "/v1/auth/invitations/accept", accepted, 204).await;
        let shown = json!({ "organisation": self.id, "login": login, "password": password, "tokens": "body" });
        let signed_in = post(&nobody, "/v1/auth/login", shown, 200).await.json();
        let token = signed_in["access_token"].as_str().expect("a token").to_owned();
        let own = nobody.key(&token);
        let secret = post(&own, "/v1/auth/totp", json!({ "password": password }), 201).await.json();
        let code = code(secret["secret"].as_str().expect("a secret"), SystemClock.now().as_second());
        post(&own, "/v1/auth/totp/confirm", json!({ "code": code }), 204).await;
        token
    }

    /// Its administrator, at the router and at every node.
    pub(super) fn everywhere(&self) -> Vec<Client> {
        at_every_door(&self.key)
    }

    /// Its administrator, at the router.
    pub(crate) fn admin(&self) -> Client {
        shared().nobody().key(&self.key)
    }
}

/// What an authenticator with this secret shows (RFC 6238).
fn code(secret: &str, at: i64) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let step = u64::try_from(at / 30).expect("after the epoch");
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 0x0f);
    let word: [u8; 4] = tag.as_ref()[offset..offset + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

pub(super) fn at_every_door(key: &str) -> Vec<Client> {
    let nodes = shared().described().regions.iter().map(|region| region.url.clone());
    [shared().nobody().url().to_owned()]
        .into_iter()
        .chain(nodes)
        .map(|at| shared().nobody().at(&at).key(key))
        .collect()
}

/// Waits until the key is refused at every door, or is good at every door.
pub(super) async fn settles(key: &str, status: u16) {
    for client in at_every_door(key) {
        let settled = wait_until("the key to be judged anew", async || {
            client.get("/v1/regions").await.ok().filter(|a| a.status == status).map(|_| ())
        });
        settled.await.unwrap_or_else(|e| panic!("{}: {e}", client.url()));
    }
}
