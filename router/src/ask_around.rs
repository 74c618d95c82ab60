//! Asks one region after the other, where any of them may answer.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use residency_control::RegionEntry;
use residency_policy::{Home, ProblemKind, RequestId};

use crate::forward::{Unanswered, no_body};
use crate::known::Known;
use crate::life_of_a_request::{AtWork, Edge, Ended, say};
use crate::limits::{Capped, CutShort};
use crate::metrics::Outcome;

impl<K: Known> Edge<K> {
    /// Forwards to the first of the regions that answers. The next one is asked only while no byte of the caller's
    /// body was taken: what was sent once is not sent again. `unreachable` is what is said when none is left.
    pub(crate) async fn ask_around(
        &self,
        regions: Vec<RegionEntry>,
        unreachable: ProblemKind,
        head: Parts,
        body: Incoming,
        id: RequestId,
        at_work: AtWork,
    ) -> Ended {
        let is_head = head.method == Method::HEAD;
        let regions = self.homes.in_order(regions, self.ingress);
        let head = self.homes.prepare(head, id, None);
        let lender = (!body.is_end_stream()).then(|| Lent::new(body, self.bounds.limits.body_bytes));
        let mut last = Unanswered::NotSent;
        for entry in regions {
            let outgoing = match &lender {
                None => no_body(),
                Some((lent, _)) if lent.is_taken_from() => break,
                Some((lent, passage)) => (Either::Right(Either::Left(lent.clone())), Arc::clone(passage)),
            };
            match self.send(Home(entry.region), head.clone(), outgoing).await {
                Err(why) => last = why,
                sent => {
                    let home = Some(entry.region);
                    return match self.answer(sent, id, is_head, at_work).await {
                        Ok(response) => Ended { outcome: Outcome::Forwarded, home, response },
                        Err(why) => say(why.outcome(), home, &why.problem_of(unreachable), id),
                    };
                }
            }
        }
        say(last.outcome(), None, &last.problem_of(unreachable), id)
    }
}

/// A caller's body that is lent to one region after the other, and shows whether one has begun to take it.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Shared>);

struct Shared {
    // Only one region is asked at a time, so nobody ever waits for this.
    body: Mutex<Capped<Incoming>>,
    taken_from: AtomicBool,
}

impl Lent {
    fn new(body: Incoming, most: u64) -> (Self, Arc<crate::limits::Passage>) {
        let (body, passage) = Capped::new(body, most);
        (Self(Arc::new(Shared { body: Mutex::new(body), taken_from: AtomicBool::new(false) })), passage)
    }

    fn is_taken_from(&self) -> bool {
        self.0.taken_from.load(Ordering::Acquire)
    }

    fn body(&self) -> std::sync::MutexGuard<'_, Capped<Incoming>> {
        self.0.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = CutShort<hyper::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // The first look already asks an HTTP/1.1 caller for the body, and no second region could tell what it missed.
        self.0.taken_from.store(true, Ordering::Release);
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
