//! Brings a request to a home that may just be starting again.
//!
//! A node that ends says so on its connections, and a request may cross that word on the way. What certainly did nothing
//! there is sent again: to whoever sent it, a node that restarts is a moment of waiting and no failure. What may have
//! done something is not, unless it only reads.

use std::sync::Arc;
use std::time::Instant;

use http::Response;
use http_body_util::Either;
use hyper::body::Incoming;
use residency_policy::Home;

use crate::forward::{Head, Slot, Unanswered, no_body};
use crate::known::Known;
use crate::lent::Lent;
use crate::life_of_a_request::Edge;
use crate::limits::Passage;

/// How often a request is sent again that its home did not take.
const NOT_TAKEN_MAX: u32 = 5;

impl<K: Known> Edge<K> {
    /// Sends a request to its home, once, as far as anybody can tell; a body of which a part is gone is not sent again.
    pub(crate) async fn carry(
        &self,
        home: Home,
        head: &Head,
        body: Option<&(Lent, Arc<Passage>)>,
    ) -> Result<(Response<Incoming>, Slot), Unanswered> {
        let (hold, begun) = (self.bounds.hold, Instant::now());
        let (mut not_taken, mut broke_off) = (0, 0);
        loop {
            let outgoing = match body {
                None => no_body(),
                Some((lent, passage)) => (Either::Left(lent.lend()), Arc::clone(passage)),
            };
            let sent = self.send(home, head.clone(), outgoing, hold).await;
            let again = match sent {
                Err(Unanswered::NotTaken) => {
                    not_taken += 1;
                    not_taken <= NOT_TAKEN_MAX && body.is_none_or(|(lent, _)| !lent.is_spent())
                }
                Err(Unanswered::Lost) if body.is_none() && head.is_read() => {
                    broke_off += 1;
                    // An answer that did not begin in time is not waited for twice.
                    broke_off == 1 && begun.elapsed() < hold
                }
                _ => false,
            };
            if !again {
                return sent;
            }
        }
    }
}
