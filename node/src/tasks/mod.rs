//! What a node does besides answering.

pub mod announce;
pub mod bookings;
pub mod fence;
pub mod gauges;
pub mod id_pool;
pub mod key_uses;
pub mod log_gauges;
pub mod policies;
pub mod publish_log;
pub mod purge;
pub mod sequence;
pub mod signing_keys;
pub mod witness;

use std::sync::Arc;

use futures::FutureExt as _;
use router::listen::Drain;
use tokio_util::task::TaskTracker;

use crate::wiring::Node;

/// Starts every task. They end when the drain begins.
pub fn start(node: &Node, drain: &Drain) -> TaskTracker {
    let tasks = TaskTracker::new();
    gauges::register(node);
    log_gauges::register(node);
    let until = |drain: &Drain| {
        let drain = drain.clone();
        async move { drain.begun().await }
    };
    let all = [
        announce::announce(node).boxed(),
        bookings::settle(node).boxed(),
        id_pool::keep_filled(node).boxed(),
        fence::follow(node).boxed(),
        key_uses::tell(node).boxed(),
        policies::follow(node).boxed(),
        publish_log::publish(node).boxed(),
        purge::purge(node).boxed(),
        sequence::sequence(node).boxed(),
        signing_keys::publish(node).boxed(),
        witness::witness(node).boxed(),
        router::count::forget(Arc::clone(&node.here.rates)).boxed(),
    ];
    for task in all {
        let begun = until(drain);
        tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = begun => {}
            }
        });
    }
    tasks.close();
    tasks
}
