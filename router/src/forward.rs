//! Carries a request to its home and the answer back: streamed, unread, within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, request::Parts};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use rates::ClientAddress;
use residency_control::RegionEntry;
use residency_control::peer::{PeerError, PeerExpect, PeerPool};
use residency_policy::{Epoch, Home, Ingress, Jurisdiction, Problem, ProblemKind, Region, RequestId, wire};
use tokio::time::timeout;

use crate::lent::Lent;
use crate::limits::Passage;
use crate::metrics::Outcome;
use crate::passing::{Answer, pass};
use crate::respond;
use crate::room::room;
use crate::traces;

const INGRESS: HeaderName = HeaderName::from_static(wire::INGRESS);
const CLIENT: HeaderName = HeaderName::from_static(wire::CLIENT);
const EPOCH: HeaderName = HeaderName::from_static(wire::EPOCH);
const SHED: HeaderName = HeaderName::from_static(wire::SHED);

/// When a caller may ask again after its home did not answer.
const ASK_AGAIN_SECONDS: u32 = 2;
/// How long a region that could not be reached is asked last.
const SHUN: Duration = Duration::from_secs(2);

/// The homes as they are reached from here.
pub(crate) struct Homes {
    pool: PeerPool,
    ingress: HeaderValue,
    answer: Duration,
    at_work_max: usize,
    begun: Instant,
    places: Vec<Arc<Place>>,
}

/// What is known of reaching one region.
#[derive(Default)]
struct Place {
    at_work: AtomicUsize,
    /// When it last could not be reached, in milliseconds from the start, plus one; 0 since it last answered.
    failed_ms: AtomicU64,
}

/// A request at work for one home, until this is dropped.
pub(crate) struct Slot(Arc<Place>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's head, made ready for a home.
#[derive(Clone)]
pub(crate) struct Head {
    method: Method,
    path: PathAndQuery,
    headers: HeaderMap,
}

/// What is sent: the caller's body, lent to one home after the other, or none.
pub(crate) type Outgoing = Either<Lent, Empty<Bytes>>;

/// Why a home gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// No byte of the request reached it.
    NotSent,
    /// It was ending, and did nothing of the request.
    NotTaken,
    /// The request may have reached it.
    Lost,
    /// The caller did not send its body in time.
    BodySlow,
    /// The caller broke its body off.
    BodyBroken,
    /// The body was larger than is accepted.
    BodyTooLarge,
    /// As much as may be is at work for this home already.
    Busy,
}

impl Unanswered {
    pub(crate) fn problem(self) -> Problem {
        self.problem_of(ProblemKind::HomeUnavailable)
    }

    /// What the caller is told, when `unreachable` is the name of what could not be reached.
    pub(crate) fn problem_of(self, unreachable: ProblemKind) -> Problem {
        match self {
            Self::NotSent | Self::NotTaken => Problem::new(unreachable).retry_after(ASK_AGAIN_SECONDS),
            Self::Lost => Problem::new(unreachable)
                .detail("a change may or may not have been made: repeat it with the same Idempotency-Key")
                .retry_after(ASK_AGAIN_SECONDS),
            Self::BodySlow => Problem::new(ProblemKind::RequestTimeout),
            Self::BodyBroken => Problem::new(ProblemKind::Malformed),
            Self::BodyTooLarge => Problem::new(ProblemKind::ContentTooLarge),
            Self::Busy => overloaded(),
        }
    }

    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::NotSent | Self::NotTaken | Self::Lost => Outcome::Unavailable,
            Self::BodySlow | Self::BodyBroken | Self::BodyTooLarge | Self::Busy => Outcome::Limited,
        }
    }
}

/// More is at work than is accepted.
pub(crate) fn overloaded() -> Problem {
    Problem::new(ProblemKind::Overloaded).retry_after(1)
}

/// Whether a home did not begin with a request because it has too much to do.
pub(crate) fn was_shed(response: &Response<Incoming>) -> bool {
    response.headers().contains_key(SHED)
}

/// No body.
pub(crate) fn no_body() -> (Outgoing, Arc<Passage>) {
    (Either::Right(Empty::new()), Arc::new(Passage::of_no_body()))
}

impl Head {
    /// Whether the request changes nothing (RFC 9110 section 9.2.1).
    pub(crate) fn is_read(&self) -> bool {
        self.method.is_safe()
    }
}

impl Homes {
    pub(crate) fn new(pool: PeerPool, ingress: Ingress, answer: Duration, at_work_max: usize) -> Self {
        Self {
            pool,
            ingress: HeaderValue::from_static(ingress.0.code()),
            answer,
            at_work_max,
            begun: Instant::now(),
            places: Jurisdiction::all().map(|_| Arc::default()).collect(),
        }
    }

    fn place(&self, region: Region) -> &Arc<Place> {
        &self.places[usize::from(region.0.index())]
    }

    /// A place at work for this home, unless it has as many as it may: a slow home must not slow the others.
    pub(crate) fn slot(&self, region: Region, head: &Head) -> Option<Slot> {
        let place = self.place(region);
        let slot = Slot(Arc::clone(place));
        let most = room(self.at_work_max, head.path.path());
        (place.at_work.fetch_add(1, Ordering::Relaxed) < most).then_some(slot)
    }

    /// The regions in the order in which to ask them what all of them know: this ingress's own first, and those
    /// that could not be reached a moment ago last.
    pub(crate) fn in_order(&self, mut regions: Vec<RegionEntry>, own: Ingress) -> Vec<RegionEntry> {
        regions.sort_by_key(|entry| (self.is_shunned(entry.region), entry.region.0 != own.0, entry.region));
        regions
    }

    fn is_shunned(&self, region: Region) -> bool {
        let failed = self.place(region).failed_ms.load(Ordering::Relaxed);
        failed != 0 && self.begun.elapsed().saturating_sub(Duration::from_millis(failed - 1)) < SHUN
    }

    /// Makes a head ready: what belongs to the caller's connection, what only we may say, and what would speak
    /// about the caller without proof is taken out; where the bytes entered, from which address, and the
    /// request's id are put in.
    pub(crate) fn prepare(&self, parts: Parts, id: RequestId, epoch: Option<Epoch>) -> Head {
        let Parts { method, uri, mut headers, extensions, .. } = parts;
        strip(&mut headers);
        for name in [HOST, EXPECT, FORWARDED, PROXY_AUTHORIZATION] {
            headers.remove(name);
        }
        headers.insert(INGRESS, self.ingress.clone());
        let from = extensions.get::<ClientAddress>().map(|from| from.0.to_canonical().to_string());
        if let Some(from) = from.and_then(|from| HeaderValue::try_from(from).ok()) {
            headers.insert(CLIENT, from);
        }
        if let Some(epoch) = epoch {
            headers.insert(EPOCH, HeaderValue::from(epoch.0));
        }
        respond::carry_id(&mut headers, id);
        traces::pass_on(&mut headers);
        Head { method, path: uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")), headers }
    }

    /// Sends one request to one region, once, and holds it for so long while the region cannot be reached.
    pub(crate) async fn send(
        &self,
        to: &RegionEntry,
        head: Head,
        body: Outgoing,
        passage: &Passage,
        hold: Duration,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(head.path);
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = head.headers;

        let expect = PeerExpect::Region(to.region);
        let sent = timeout(self.answer, self.pool.send_held(&to.peer, expect, request, hold)).await;
        let failed_ms = &self.place(to.region).failed_ms;
        match sent {
            Ok(Ok(response)) => {
                if failed_ms.load(Ordering::Relaxed) != 0 && failed_ms.swap(0, Ordering::Relaxed) != 0 {
                    tracing::info!(home = %to.region, "a home can be reached again");
                }
                Ok(response)
            }
            _ if passage.was_over() => Err(Unanswered::BodyTooLarge),
            _ if passage.was_broken() => Err(Unanswered::BodyBroken),
            Ok(Err(PeerError::TurnedAway { .. })) => Err(Unanswered::NotTaken),
            Ok(Err(error)) => {
                let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
                // Said once: while a home is down, every request for it comes here.
                if failed_ms.swap(now + 1, Ordering::Relaxed) == 0 {
                    tracing::warn!(home = %to.region, %error, "a home cannot be reached");
                }
                Err(if error.not_sent() { Unanswered::NotSent } else { Unanswered::Lost })
            }
            Err(_) if !passage.has_ended() => Err(Unanswered::BodySlow),
            Err(_) => {
                tracing::warn!(home = %to.region, "a home did not begin its answer in time");
                Err(Unanswered::Lost)
            }
        }
    }

    /// Makes a home's answer ready for the caller. Its body is passed on as it is.
    pub(crate) async fn answer<S: Send + 'static>(
        &self,
        from: Response<Incoming>,
        id: RequestId,
        is_head: bool,
        slots: S,
    ) -> Result<Response<Answer>, Unanswered> {
        let (mut parts, body) = from.into_parts();
        strip(&mut parts.headers);
        // The listener dates every answer; a date of the home's own would tell who answered.
        parts.headers.remove(DATE);
        parts.version = Version::HTTP_11;
        respond::settle(parts.status, &mut parts.headers, id);
        // An answer to HEAD has no body, whatever a home sends.
        let body = if is_head {
            Either::Left(Full::default())
        } else {
            pass(body, self.answer, slots).await.map_err(|_| Unanswered::Lost)?
        };
        Ok(Response::from_parts(parts, body))
    }
}

/// Takes out what holds for one connection only (RFC 9110 section 7.6.1), and what only members may say.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // The length is the message's, whatever a caller says of it.
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in named {
        headers.remove(name);
    }
    // One look at all names costs less than a search for each of these, and mostly none is there.
    let theirs: Vec<HeaderName> = headers.keys().filter(|name| is_not_passed_on(name)).cloned().collect();
    for name in theirs {
        headers.remove(name);
    }
}

fn is_not_passed_on(name: &HeaderName) -> bool {
    if [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE].contains(name) {
        return true;
    }
    let name = name.as_str();
    name.starts_with(wire::RESERVED_PREFIX)
        || name.starts_with("x-forwarded-")
        || matches!(name, "keep-alive" | "proxy-connection" | "x-real-ip")
}

/// Where a caller goes who is sent to the home itself.
pub(crate) fn location(home: Home, known: Option<&RegionEntry>, uri: &Uri) -> Option<HeaderValue> {
    let entry = known.filter(|entry| entry.region == home.0)?;
    let at = entry.public.to_string();
    // 443 is what https means.
    let authority = at.strip_suffix(":443").unwrap_or(&at);
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    HeaderValue::from_str(&format!("https://{authority}{path}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_connections_and_what_is_ours_is_taken_out_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-private"),
            ("connection", "content-length"),
            ("x-private", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("domicile-ingress", "US-TX"),
            ("domicile-anything", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("authorization", "Bearer x"),
            ("content-length", "3"),
            ("purpose-of-use", "TREAT"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "content-length", "purpose-of-use"]);
    }

    #[test]
    fn a_redirect_keeps_the_path_and_names_no_default_port() {
        let texas = Region("US-TX".parse().expect("a jurisdiction"));
        let entry = |public: &str| RegionEntry {
            region: texas,
            public: public.parse().expect("an endpoint"),
            peer: "tx:7443".parse().expect("an endpoint"),
        };
        let uri: Uri = "/v1/patients?home=US-TX".parse().expect("a uri");
        let (default_port, other_port) = (entry("tx.example:443"), entry("localhost:8443"));
        let to = |entry| location(Home(texas), entry, &uri).map(|v| v.to_str().expect("text").to_owned());
        assert_eq!(to(Some(&default_port)).as_deref(), Some("https://tx.example/v1/patients?home=US-TX"));
        assert_eq!(to(Some(&other_port)).as_deref(), Some("https://localhost:8443/v1/patients?home=US-TX"));
        assert_eq!(to(None), None);
    }
}
