//! Links that misbehave: what the emulator does to the kernel's own packets, and what clusters do over such links.
//!
//! The clusters' tests take turns at one cluster, whose links are made whole before each.

mod apart;
mod by_hand;
mod distance;
mod measured;
mod overload;
mod spoilt;

use std::sync::OnceLock;

use tests::cluster::{Cluster, TurnGuard, Wish, turn};
use tests::namespaces::{available, be};

/// The regions.
const REGIONS: [&str; 3] = ["ca", "ny", "tx"];

/// The cluster over links as between states, for one test at a time; `None` where that cannot be, which was said then.
async fn over_links(test: &str) -> Option<(&'static Cluster, TurnGuard<'static, ()>)> {
    static OVER_LINKS: OnceLock<Cluster> = OnceLock::new();
    if !available(test) {
        return None;
    }
    let turn = turn().await;
    let cluster = OVER_LINKS.get_or_init(|| {
        let more = vec!["--wan".to_owned(), "us".to_owned()];
        Cluster::start(&Wish { name: "links", people: 6, more }).unwrap_or_else(|e| panic!("{e:#}"))
    });
    be(cluster, "us").expect("its links are made whole");
    Some((cluster, turn))
}
