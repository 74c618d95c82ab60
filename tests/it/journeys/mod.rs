//! What people in a clinic do, over HTTP: at the home's own node and through the router.
//!
//! The router of the shared cluster declares itself in California, so what lies beneath a Californian patient is
//! forwarded whatever its category, and what lies beneath a Texan is asked for in Texas.

mod appointments;
mod booking;
mod calendars;
mod encounters;
mod idempotency;
mod keys;
mod kinds;
mod orgs;
mod pagination;
mod patients;
mod providers;
mod search;
pub(crate) mod tenants;
mod users;

use residency_policy::Role;
use tests::client::Client;
use tests::cluster::shared;
use tests::operate;

/// A home that the router may forward everything to.
const HOME: &str = "US-CA";

/// The two doors to a home: the router and the node itself.
fn doors(role: &str) -> [(&'static str, Client); 2] {
    [("the router", shared().client(role, HOME)), ("the node", shared().client_at("ca", role, HOME))]
}

/// The clinic's own auditor: the one of another organisation sees none of this one's rows.
async fn auditor() -> Client {
    let clinic = &shared().credential("provider", HOME).org;
    let (key, _) = operate::mint(shared(), clinic, Role::Auditor).await.expect("a key");
    shared().nobody().key(&key)
}
