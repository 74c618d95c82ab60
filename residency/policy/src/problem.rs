//! What is said when something is refused (RFC 9457).
//!
//! Every text in a problem is a constant of the program: there is no field in which a value that a caller sent,
//! or a value of PHI, could travel. The router and the nodes share this list so that the same refusal reads the
//! same wherever it is made.

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::licensure::NoAuthority;
use crate::{Epoch, Home, Jurisdiction, ProviderId, RequestId};

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $slug:literal, $title:literal;)+) => {
        /// What is wrong. The slug is stable: clients may branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $variant,)+ }

        impl ProblemKind {
            /// Every kind, for the documentation pages.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)+ } }

            /// The last segment of the type URI.
            pub const fn slug(self) -> &'static str { match self { $(Self::$variant => $slug,)+ } }

            /// One line for people.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)+ } }
        }
    };
}

problems! {
    /// The bytes are not what the route takes.
    Malformed = 400, "malformed", "The request could not be read";
    /// A header that the route requires is not there.
    MissingHeader = 400, "missing-header", "A required header is missing";
    /// A header's value is not one that is accepted.
    BadHeader = 400, "bad-header", "A header has a value that is not accepted";
    /// A query parameter is missing or wrong.
    BadParameter = 400, "bad-parameter", "A query parameter is missing or has a value that is not accepted";
    /// More time is asked for than one answer covers.
    WindowTooWide = 400, "window-too-wide", "The window is wider than is answered at once";
    /// Nobody known asks.
    Unauthenticated = 401, "unauthenticated", "A valid API key or sign-in is required";
    /// The password was right, and a second factor is enrolled.
    SecondFactorRequired = 401, "second-factor-required", "A code of your authenticator is required as well";
    /// The caller is known and may not do this.
    Forbidden = 403, "forbidden", "This caller may not do this for this purpose";
    /// The caller is known and comes from somewhere that their organisation has not listed.
    AddressNotAllowed = 403, "address-not-allowed", "This organisation does not let its people or keys come from this address";
    /// The organisation lets people sign in with devices only that it knows.
    DeviceNotAdmitted = 403, "device-not-admitted", "This organisation does not let you sign in with this device yet";
    /// The organisation asks for a second factor, and the session was begun without one.
    SecondFactorToEnrol = 403, "second-factor-to-enrol", "This organisation asks for a second factor: enrol one first";
    /// The browser was made to send it by a page of another site.
    CrossSite = 403, "cross-site", "This change does not come from a page of this server";
    /// There is nothing there that the caller may know of.
    NotFound = 404, "not-found", "Nothing is found here";
    /// The path takes other methods.
    MethodNotAllowed = 405, "method-not-allowed", "This path does not take this method";
    /// The client took too long.
    RequestTimeout = 408, "request-timeout", "The request did not arrive in time";
    /// The thing is in a state that does not allow this.
    IllegalTransition = 409, "illegal-transition", "The current state does not allow this";
    /// Somebody else has the time.
    SlotTaken = 409, "slot-taken", "Somebody else has this time";
    /// A calendar has a bound.
    CalendarFull = 409, "calendar-full", "The calendar holds as many times as it can";
    /// The hold has lapsed.
    HoldExpired = 409, "hold-expired", "The hold's time is over";
    /// The hold was made a booking before.
    HoldUsed = 409, "hold-used", "The hold is booked already";
    /// A waiting list holds as much as it may.
    WaitlistFull = 409, "waitlist-full", "The waiting list takes no more wishes";
    /// The provider has no authority to practise where the patient is.
    NoAuthority = 409, "no-authority", "The provider may not practise there on that day";
    /// The same idempotency key is being worked on.
    IdempotencyInFlight = 409, "idempotency-in-flight", "A request with this idempotency key is in progress";
    /// Something with this identity is already there.
    AlreadyExists = 409, "already-exists", "This already exists";
    /// The `If-Match` does not fit.
    PreconditionFailed = 412, "precondition-failed", "The resource has changed since it was read";
    /// The body is over the limit.
    ContentTooLarge = 413, "content-too-large", "The body is larger than is accepted";
    /// The path or query is over the limit.
    UriTooLong = 414, "uri-too-long", "The path is longer than is accepted";
    /// The body's type is not taken.
    UnsupportedMediaType = 415, "unsupported-media-type", "Only application/json is accepted";
    /// This region is not the patient's home.
    Misdirected = 421, "misdirected", "This region is not the patient's home";
    /// Fields are wrong.
    Invalid = 422, "invalid", "One or more fields are not valid";
    /// The visit would have begun already.
    SlotInPast = 422, "slot-in-past", "The slot is in the past";
    /// The calendar has no slot there that can be booked now.
    SlotNotOffered = 422, "slot-not-offered", "The calendar does not offer this time";
    /// No such time zone.
    UnknownZone = 422, "unknown-zone", "There is no such time zone";
    /// The clock was changed past it.
    NoSuchLocalTime = 422, "no-such-local-time", "The clock on the wall does not show this time on that day";
    /// The clock was changed back to it.
    AmbiguousLocalTime = 422, "ambiguous-local-time", "The clock on the wall shows this time twice on that day";
    /// The idempotency key was used for something else.
    IdempotencyReused = 422, "idempotency-reused", "This idempotency key was used with a different request";
    /// The route requires `If-Match`.
    PreconditionRequired = 428, "precondition-required", "An If-Match header is required";
    /// Too many requests.
    TooManyRequests = 429, "too-many-requests", "Too many requests";
    /// The headers are over the limit.
    HeadersTooLarge = 431, "headers-too-large", "The headers are larger than is accepted";
    /// A rule of law or contract forbids this transit.
    TransitRefused = 451, "transit-refused", "The home's rules refuse this transit";
    /// A defect on this side.
    Internal = 500, "internal", "An error on this side; nothing was changed";
    /// The home cannot be reached.
    HomeUnavailable = 503, "home-unavailable", "The patient's home cannot be reached now";
    /// The database, keys or disk of this region do not answer.
    RegionUnavailable = 503, "region-unavailable", "This region cannot serve now";
    /// The server that says who somebody is does not answer, or not as it should.
    IdentityProviderUnavailable = 503, "identity-provider-unavailable", "The identity provider cannot be asked now";
    /// The control plane has no quorum.
    ControlUnavailable = 503, "control-unavailable", "The control plane cannot take changes now";
    /// The view of the directory or of the rules is too old, or not proven.
    ViewUnproven = 503, "view-unproven", "The placement or its rules cannot be proven now";
    /// The access policies in force are not here, or not proven.
    PoliciesUnproven = 503, "policies-unproven", "The access policies in force cannot be proven here now";
    /// More work is under way than is accepted.
    Overloaded = 503, "overloaded", "Too much work is under way";
}

impl ProblemKind {
    /// The type URI, relative to the server that answers: it serves a page there that explains the problem.
    pub fn type_uri(self) -> String {
        format!("/problems/{}", self.slug())
    }
}

/// One wrong field. The pointer and the texts are constants of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901) into the body, or the name of a header or parameter.
    pub pointer: &'static str,
    /// A stable word for programs.
    pub code: &'static str,
    /// What would be right, for people.
    pub detail: &'static str,
}

/// A refusal, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ProblemKind,
    detail: Option<&'static str>,
    errors: Vec<FieldError>,
    home: Option<(Home, Option<Epoch>)>,
    retry_after_seconds: Option<u32>,
    about: Option<Box<About>>,
}

/// What a few problems say besides. In a box: most problems have none, and all are passed around.
#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    Slot(ProviderId, Timestamp),
    Authority(NoAuthority),
    Reason(&'static str),
}

impl Problem {
    /// A problem that its kind says enough about.
    pub fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, errors: Vec::new(), home: None, retry_after_seconds: None, about: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Adds a wrong field.
    #[must_use]
    pub fn field(mut self, pointer: &'static str, code: &'static str, detail: &'static str) -> Self {
        self.errors.push(FieldError { pointer, code, detail });
        self
    }

    /// Adds wrong fields.
    #[must_use]
    pub fn fields(mut self, errors: impl IntoIterator<Item = FieldError>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// Adds where the patient's home is, for a caller who may know.
    #[must_use]
    pub fn home(mut self, home: Home, epoch: Option<Epoch>) -> Self {
        self.home = Some((home, epoch));
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds which slot it is about: whose, and when it begins.
    #[must_use]
    pub fn slot(mut self, provider: ProviderId, start: Timestamp) -> Self {
        self.about = Some(Box::new(About::Slot(provider, start)));
        self
    }

    /// Adds which authority to practise is missing.
    #[must_use]
    pub fn authority(mut self, missing: NoAuthority) -> Self {
        self.about = Some(Box::new(About::Authority(missing)));
        self
    }

    /// Adds why: a stable word for programs.
    #[must_use]
    pub fn reason(mut self, code: &'static str) -> Self {
        self.about = Some(Box::new(About::Reason(code)));
        self
    }

    /// Why, if a word says so.
    pub fn reason_code(&self) -> Option<&'static str> {
        match self.about.as_deref() {
            Some(About::Reason(code)) => Some(*code),
            _ => None,
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// The value of the `Retry-After` header, in seconds (RFC 9110 section 10.2.3).
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// The document to send, with the id of the request it answers.
    pub fn document(&self, request: RequestId) -> ProblemDocument<'_> {
        ProblemDocument { problem: self, request }
    }
}

/// A [`Problem`] as `application/problem+json`.
#[derive(Debug)]
pub struct ProblemDocument<'a> {
    problem: &'a Problem,
    request: RequestId,
}

impl Serialize for ProblemDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let problem = self.problem;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &problem.kind.type_uri())?;
        map.serialize_entry("title", problem.kind.title())?;
        map.serialize_entry("status", &problem.kind.status())?;
        match (problem.detail, problem.about.as_deref()) {
            (Some(detail), _) => map.serialize_entry("detail", detail)?,
            (None, Some(About::Authority(missing))) => {
                map.serialize_entry("detail", &missing.to_string())?;
            }
            (None, Some(About::Slot(..) | About::Reason(_)) | None) => {}
        }
        if !problem.errors.is_empty() {
            map.serialize_entry("errors", &problem.errors)?;
        }
        if let Some((home, epoch)) = problem.home {
            map.serialize_entry("home", &home)?;
            if let Some(epoch) = epoch {
                map.serialize_entry("epoch", &epoch)?;
            }
        }
        match problem.about.as_deref() {
            Some(About::Slot(provider, start)) => {
                map.serialize_entry("slot", &SlotDocument { provider: *provider, start: *start })?;
            }
            Some(About::Authority(NoAuthority { service, lack })) => {
                let licence = LicenceDocument { service_jurisdiction: *service, code: lack.code() };
                map.serialize_entry("licence", &licence)?;
            }
            Some(About::Reason(code)) => map.serialize_entry("reason", code)?,
            None => {}
        }
        map.serialize_entry("request_id", &self.request)?;
        map.end()
    }
}

/// Which slot a problem is about.
#[derive(Serialize)]
struct SlotDocument {
    provider: ProviderId,
    start: Timestamp,
}

/// Which authority to practise is missing.
#[derive(Serialize)]
struct LicenceDocument {
    service_jurisdiction: Jurisdiction,
    code: &'static str,
}
