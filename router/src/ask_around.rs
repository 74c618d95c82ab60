//! Asks one region after the other, where any of them may answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, request::Parts};
use http_body::Body as _;
use http_body_util::Either;
use hyper::body::Incoming;
use residency_control::RegionEntry;
use residency_policy::{Home, ProblemKind, RequestId};

use crate::at_work::AtWork;
use crate::forward::{Unanswered, no_body};
use crate::known::Known;
use crate::lent::Lent;
use crate::life_of_a_request::{Edge, Ended, say};
use crate::metrics::Outcome;

impl<K: Known> Edge<K> {
    /// Forwards to the first of the regions that answers. The next one is asked only while it is certain that the one
    /// before did nothing: what was sent once is not sent again. `unreachable` is what is said when none is left.
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
                Some((lent, _)) if lent.is_spent() => break,
                Some((lent, _)) if lent.is_touched() && last != Unanswered::NotTaken => break,
                Some((lent, passage)) => (Either::Left(lent.lend()), Arc::clone(passage)),
            };
            // Nothing is held for a region that is away: another one knows the same.
            match self.send(Home(entry.region), head.clone(), outgoing, Duration::ZERO).await {
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
