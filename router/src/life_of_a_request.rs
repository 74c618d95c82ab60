//! The life of a request, in order: accept -> limit -> identify -> count -> decide -> forward | redirect | refuse.
//!
//! What must stay true here:
//! - No byte of a body is read before the decision, and none at all for a redirect or a refusal.
//! - A request goes to the home that its path or query names, or nowhere. There is no default.
//!   An id that is nobody's has no home: where its request goes is said in [`crate::decide`].
//! - On a patient's path a caller who is not known hears 401 before anything else is looked at: a redirect, a refused
//!   transit, an unreachable home, or a node that first finds fault with the method would each say that the id exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use http_body::Body as _;
use http_body_util::Either;
use hyper::body::Incoming;
use rates::{Rates, Standing, too_many};
use residency_control::peer::PeerPool;
use residency_policy::{Clock, Entropy, Epoch, Home, Ingress, Problem, ProblemKind, Region, RequestId};
use tracing::Instrument as _;

use crate::ahead::Ahead;
use crate::at_work::AtWork;
use crate::certificates::Certificates;
use crate::config::Bounds;
use crate::count;
use crate::decide::{Step, choose};
use crate::drain::Drain;
use crate::forward::{self, Head, Homes, Outgoing, Slot, Unanswered, location, overloaded};
use crate::health::{self, Unready};
use crate::hold_back::{HeldBack, Lane};
use crate::identify::{Identified, Page, Target, identify};
use crate::known::{Caller, Known, admitted};
use crate::lent::Lent;
use crate::limits::{Passage, close_after, over};
use crate::metrics::{Metrics, Now, Outcome};
use crate::passing::Answer;
use crate::respond;
use crate::room::room;
use crate::traces::{self, Went};

/// How long a 421 or a new session waits for the view to learn what a node knows already.
pub(crate) const CATCH_UP: std::time::Duration = std::time::Duration::from_millis(500);

/// Everything the stages need.
pub struct Edge<K> {
    pub(crate) known: K,
    pub(crate) ingress: Ingress,
    pub(crate) bounds: Bounds,
    pub(crate) rates: Arc<Rates>,
    pub(crate) homes: Homes,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) metrics_here: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Ahead,
    pub(crate) drain: Drain,
    certificates: Option<Arc<Certificates>>,
    at_work: Arc<AtomicUsize>,
    pub(crate) held_back: HeldBack,
}

/// How a request ended.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) home: Option<Region>,
    pub(crate) response: Response<Answer>,
}

/// Takes one request from its head to the head of its answer, counts it, logs one line, and traces it.
pub async fn life_of_a_request<K: Known>(edge: &Edge<K>, request: Request<Incoming>) -> Response<Answer> {
    let span = traces::server_span(request.method(), request.headers());
    stages(edge, request).instrument(span).await
}

async fn stages<K: Known>(edge: &Edge<K>, request: Request<Incoming>) -> Response<Answer> {
    // What is rare below is boxed: the room for it would be copied with every request.
    let (head, body) = request.into_parts();
    let id = respond::request_id(&head.headers, &edge.ids);
    let line = edge.line(&head.method, id);
    let (version, is_head, unread) = (head.version, head.method == Method::HEAD, !body.is_end_stream());

    let mut standing = None;
    let (route, mut ended) = match edge.limit(&head, &mut standing) {
        Err(problem) => ("-", say(Outcome::Limited, None, &problem, id)),
        Ok(at_work) => {
            let (about, caller) = edge.recognise(identify(&head.method, &head.uri), &head).await;
            let counted = count::caller(&edge.rates, caller);
            standing = counted.unwrap_or_else(Some);
            let ended = match counted {
                Err(over) => say(Outcome::Limited, None, &too_many(&over), id),
                Ok(_) => edge.decided(&about, caller, head, body, id, at_work).await,
            };
            (about.route, ended)
        }
    };

    // The router leaves a body that it does not want unread, and the connection ends. A home's 404 must not differ
    // in that, or it would tell an id that is not there from one that may not be seen.
    let forwarded = ended.outcome == Outcome::Forwarded;
    if unread && (!forwarded || ended.response.status() == StatusCode::NOT_FOUND) {
        close_after(version, &mut ended.response);
    }
    if !forwarded && is_head && version >= Version::HTTP_2 {
        respond::without_body(&mut ended.response);
    }
    if let Some(standing) = standing {
        standing.tell(ended.response.headers_mut());
    }
    line.end(route, &ended);
    ended.response
}

impl<K: Known> Edge<K> {
    /// The stages, ready to be walked.
    #[expect(clippy::too_many_arguments, reason = "each is another thing, and all are said once, in run.rs")]
    pub fn new(
        known: K,
        pool: PeerPool,
        ingress: Ingress,
        bounds: Bounds,
        rates: Arc<Rates>,
        metrics: Arc<Metrics>,
        metrics_here: bool,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        drain: Drain,
    ) -> Self {
        let homes = Homes::new(pool, ingress, bounds.answer, bounds.in_flight_per_home);
        let (certificates, at_work) = (None, Arc::default());
        Self {
            known,
            ingress,
            bounds,
            rates,
            homes,
            metrics,
            metrics_here,
            clock,
            ids: Ahead::new(entropy),
            drain,
            certificates,
            at_work,
            held_back: HeldBack::default(),
        }
    }

    /// The same, which tells on its page of readiness what is wrong with these.
    #[must_use]
    pub fn with_certificates(self, certificates: Arc<Certificates>) -> Self {
        Self { certificates: Some(certificates), ..self }
    }

    /// Limit: what is too much by its head alone, or with all else that is at work, or for its address.
    fn limit(&self, head: &Parts, standing: &mut Option<Standing>) -> Result<AtWork, Problem> {
        if let Some(problem) = over(head, &self.bounds.limits) {
            return Err(problem);
        }
        let at_work = AtWork::one_more(&self.at_work);
        if at_work.how_many > room(self.bounds.in_flight, head.uri.path()) {
            return Err(overloaded());
        }
        count::address(&self.rates, head).map_err(|over| too_many(standing.insert(over)))?;
        Ok(at_work)
    }

    /// Decide.
    fn choose(&self, method: &Method, about: &Identified, caller: Option<Caller>) -> Step {
        let (now, serves) = (self.clock.now(), caller.map(|caller| caller.serves));
        choose(&self.known, self.ingress, self.bounds.view_age_max, now, method, about, serves)
    }

    /// Decide, and do what was decided.
    async fn decided(
        &self,
        about: &Identified,
        caller: Option<Caller>,
        head: Parts,
        body: Incoming,
        id: RequestId,
        at_work: AtWork,
    ) -> Ended {
        if about.names_a_patient() && caller.is_none() {
            return refuse(about, &Problem::new(ProblemKind::Unauthenticated), id);
        }
        // The node says so too; a redirect would first say where the patient lives.
        if caller.is_some_and(|caller| about.names_a_patient() && !admitted(&self.known, caller, &head)) {
            return refuse(about, &Problem::new(ProblemKind::AddressNotAllowed), id);
        }
        match self.choose(&head.method, about, caller) {
            Step::Here(page) => self.here(page, id),
            Step::Forward(home, epoch) => {
                self.forward(about, caller, home, epoch, head, body, id, at_work).await
            }
            Step::ForwardAnywhere => {
                let otherwise = ProblemKind::ControlUnavailable;
                Box::pin(self.ask_around(self.known.regions(), otherwise, head, body, id, at_work)).await
            }
            // An id that nobody has is held back as one is that lives where too much is asked: neither may be told by that.
            Step::ForwardUnknown(regions)
                if regions.iter().any(|entry| self.holds_back(about, caller, entry.region, &head.method)) =>
            {
                say(Outcome::Limited, None, &overloaded(), id)
            }
            Step::ForwardUnknown(regions) => {
                let otherwise = ProblemKind::HomeUnavailable;
                Box::pin(self.ask_around(regions, otherwise, head, body, id, at_work)).await
            }
            Step::Redirect(home) => self.redirect(home, &head, id),
            Step::Refuse(problem) => refuse(about, &problem, id),
        }
    }

    /// Forward to the home, once. A 421 is the home's own word and is passed on, unless it shows that this view
    /// was stale: then a request without a body goes once more to where the view now says.
    #[expect(clippy::too_many_arguments, reason = "a request in its parts")]
    async fn forward(
        &self,
        about: &Identified,
        caller: Option<Caller>,
        home: Home,
        epoch: Option<Epoch>,
        head: Parts,
        body: Incoming,
        id: RequestId,
        at_work: AtWork,
    ) -> Ended {
        let method = head.method.clone();
        if self.holds_back(about, caller, home.0, &method) {
            return say(Outcome::Limited, Some(home.0), &overloaded(), id);
        }
        let head = self.homes.prepare(head, id, epoch);
        let body = (!body.is_end_stream()).then(|| Lent::new(body, self.bounds.limits.body_bytes));
        let first = self.carry(home, &head, body.as_ref()).await;
        let lane = caller.and_then(|caller| Lane::of(home.0, caller, &method, about.route));
        if let (Some(lane), Ok((response, _))) = (lane, &first) {
            self.held_back.heard(&lane, forward::was_shed(response), Instant::now());
        }
        let stale = matches!(&first, Ok((response, _)) if response.status() == StatusCode::MISDIRECTED_REQUEST);

        let (home, sent) = match (body, about.target, epoch) {
            (None, Target::Patient(patient, _), Some(past))
                if stale && Box::pin(self.known.advanced(patient, past, CATCH_UP)).await =>
            {
                match self.choose(&method, about, caller) {
                    Step::Forward(now, _) => (now, self.carry(now, &head, None).await),
                    _ => (home, first),
                }
            }
            _ => (home, first),
        };
        match self.answer(sent, id, method == Method::HEAD, at_work).await {
            Ok(response) => Ended { outcome: Outcome::Forwarded, home: Some(home.0), response },
            Err(why) => say(why.outcome(), Some(home.0), &why.problem(), id),
        }
    }

    pub(crate) async fn send(
        &self,
        home: Home,
        head: Head,
        (body, passage): (Outgoing, Arc<Passage>),
        hold: std::time::Duration,
    ) -> Result<(Response<Incoming>, Slot), Unanswered> {
        let entry = self.known.region(home.0).ok_or(Unanswered::NotSent)?;
        let slot = self.homes.slot(home.0, &head).ok_or(Unanswered::Busy)?;
        let response = self.homes.send(&entry, head, body, &passage, hold).await?;
        Ok((response, slot))
    }

    pub(crate) async fn answer(
        &self,
        sent: Result<(Response<Incoming>, Slot), Unanswered>,
        id: RequestId,
        is_head: bool,
        at_work: AtWork,
    ) -> Result<Response<Answer>, Unanswered> {
        let (response, slot) = sent?;
        self.homes.answer(response, id, is_head, (at_work, slot)).await
    }

    /// Redirect: the home's own address, on the head alone.
    fn redirect(&self, home: Home, head: &Parts, id: RequestId) -> Ended {
        let entry = self.known.region(home.0);
        match location(home, entry.as_ref(), &head.uri) {
            Some(to) => Ended {
                outcome: Outcome::Redirected,
                home: Some(home.0),
                response: respond::redirect(to, id).map(Either::Left),
            },
            None => say(Outcome::Unavailable, None, &Unanswered::NotSent.problem(), id),
        }
    }

    fn here(&self, page: Page, id: RequestId) -> Ended {
        let response = match page {
            Page::Live => health::live(id),
            Page::Ready => {
                let old = self.known.age() > self.bounds.view_age_max;
                let certificates = self.certificates.as_ref().and_then(|certificates| certificates.wrong());
                health::ready(self.unready(), old, certificates, id)
            }
            Page::Metrics if self.metrics_here => health::metrics(self.metrics_page(), id),
            Page::Metrics => health::nothing(id),
        };
        Ended { outcome: Outcome::Here, home: None, response: response.map(Either::Left) }
    }

    fn unready(&self) -> Option<Unready> {
        let reasons = [
            (self.drain.is_begun(), Unready::Draining),
            (self.known.regions().is_empty(), Unready::NoRegions),
            (self.known.rules().is_none(), Unready::NoRules),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
    }

    pub(crate) fn metrics_page(&self) -> String {
        self.metrics.page(Now {
            in_flight: self.at_work.load(Ordering::Relaxed),
            view_age: self.known.age(),
            regions: self.known.regions().len(),
        })
    }

    fn line(&self, method: &Method, id: RequestId) -> Line<'_> {
        let (method, begun) = (method.clone(), Instant::now());
        Line { metrics: &self.metrics, ingress: self.ingress, method, id, begun, ended: false }
    }
}

/// One request's line in the log. It is written also when the caller goes away and the stages are dropped midway:
/// there are as many lines as requests.
struct Line<'e> {
    metrics: &'e Metrics,
    ingress: Ingress,
    method: Method,
    id: RequestId,
    begun: Instant,
    ended: bool,
}

impl Line<'_> {
    fn end(mut self, route: &'static str, ended: &Ended) {
        self.write(route, ended.outcome, ended.home, ended.response.status().as_u16());
    }

    fn write(&mut self, route: &'static str, outcome: Outcome, home: Option<Region>, status: u16) {
        self.ended = true;
        let took = self.begun.elapsed();
        self.metrics.ended(outcome, home, status, took);
        let home = home.map_or("-", |region| region.0.code());
        traces::ended(&self.method, &Went { route, status, id: self.id, home, outcome: outcome.as_str() });
        tracing::info!(
            target: "request",
            request_id = %self.id,
            route,
            outcome = outcome.as_str(),
            home,
            status,
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            ingress = self.ingress.0.code(),
        );
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // No status was sent. 499 is what logs of proxies say for that since nginx did.
            self.write("-", Outcome::BrokenOff, None, 499);
        }
    }
}

/// Refuse.
fn refuse(about: &Identified, problem: &Problem, id: RequestId) -> Ended {
    let mut ended = say(Outcome::Refused, None, problem, id);
    if about.target == Target::ReadOnly {
        ended.response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    ended
}

pub(crate) fn say(outcome: Outcome, home: Option<Region>, problem: &Problem, id: RequestId) -> Ended {
    Ended { outcome, home, response: respond::problem(problem, id).map(Either::Left) }
}
