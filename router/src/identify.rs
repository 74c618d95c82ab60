//! Which patient or region a request is about: from method, path and query, never from the body.
//!
//! Pure. A path is taken literally: one that is percent-encoded, dotted, doubled or ends in a slash is no path of
//! ours, because two readers of such a path may disagree on what it names.

use http::{Method, Uri};
use residency_policy::{Category, Home, Jurisdiction, PatientId, Region, wire};

/// How sensitive what a path names may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// The path itself says.
    Of(Category),
    /// Only the home can tell, so the strictest rule of any category holds on the way there.
    Any,
}

/// A page that the router has itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Whether the process is alive.
    Live,
    /// Whether it can route.
    Ready,
    /// What it has counted.
    Metrics,
}

/// Why no home can be read from a query: a word for programs, the same that a node says, and one line for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The word.
    pub code: &'static str,
    /// The line.
    pub detail: &'static str,
}

impl Missing {
    /// It is not there.
    pub const REQUIRED: Self =
        Self { code: "required", detail: "is required, such as home=US-TX: no body is read to find a home" };
    /// It is there more than once.
    pub const REPEATED: Self = Self { code: "repeated", detail: "may be given once" };
    /// It is no place.
    pub const FORMAT: Self = Self { code: "format", detail: "is an ISO 3166-2 code such as US-TX" };
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One patient.
    Patient(PatientId, Sensitivity),
    /// A place where a patient's id belongs, with something else in it: answered like an id that is not known.
    NoPatient(Sensitivity),
    /// A region as a whole.
    Region(Home),
    /// A region as a whole, but which one is not said, or not in a way that can be read.
    HomeMissing(Missing),
    /// What every region answers alike, and no patient is in.
    Anywhere,
    /// A page of the router's own.
    Here(Page),
    /// No path of ours.
    Nothing,
    /// A page of the router's own, and a method that it does not take.
    ReadOnly,
    /// A method that no path takes.
    Method,
}

/// What a request is about, and the template of its path for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identified {
    /// The template of the path: the only form in which a path is ever logged.
    pub route: &'static str,
    /// What it is about.
    pub target: Target,
}

impl Identified {
    /// Whether only a known caller hears anything but 401.
    pub(crate) fn names_a_patient(&self) -> bool {
        matches!(self.target, Target::Patient(..) | Target::NoPatient(_))
    }

    /// The same without the patient. For whoever shows what only a home can judge: where the patient lives is not looked at
    /// for them, so that no answer of the router depends on it.
    #[must_use]
    pub fn of_whomever(self) -> Self {
        match self.target {
            Target::Patient(_, sensitivity) => Self { target: Target::NoPatient(sensitivity), ..self },
            _ => self,
        }
    }
}

/// Identifies.
pub fn identify(method: &Method, uri: &Uri) -> Identified {
    let is = |route, target| Identified { route, target };
    // A tunnel or an echo of headers has no place between a caller and PHI (RFC 9110 sections 9.3.6 and 9.3.8).
    if !taken(method) {
        return is("-", Target::Method);
    }
    let Some(path) = uri.path().strip_prefix('/').filter(|path| plain(path) || *path == "docs/") else {
        return is("-", Target::Nothing);
    };
    let page = |page| if reads(method) { Target::Here(page) } else { Target::ReadOnly };
    let query = uri.query().unwrap_or_default();
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (first, rest) {
        ("v1", Some(rest)) => versioned(rest, query),
        ("healthz", None) => is("/healthz", page(Page::Live)),
        ("readyz", None) => is("/readyz", page(Page::Ready)),
        ("metrics", None) => is("/metrics", page(Page::Metrics)),
        (".well-known", Some("jwks.json")) => is("/.well-known/jwks.json", Target::Anywhere),
        ("openapi.json", None) => is("/openapi.json", Target::Anywhere),
        ("docs", None) => is("/docs", Target::Anywhere),
        ("docs", Some(_)) => is("/docs/{asset}", Target::Anywhere),
        ("problems", None) => is("/problems", Target::Anywhere),
        ("problems", Some(_)) => is("/problems/{slug}", Target::Anywhere),
        _ => is("-", Target::Nothing),
    }
}

fn signing_in(act: &str, below: Option<&str>) -> Identified {
    let is = |route, target| Identified { route, target };
    match (act, below) {
        ("login", None) => is("/v1/auth/login", Target::Anywhere),
        ("refresh", None) => is("/v1/auth/refresh", Target::Anywhere),
        ("logout", None) => is("/v1/auth/logout", Target::Anywhere),
        ("sessions", None) => is("/v1/auth/sessions", Target::Anywhere),
        ("totp", None) => is("/v1/auth/totp", Target::Anywhere),
        ("password", None) => is("/v1/auth/password", Target::Anywhere),
        ("step-up", None) => is("/v1/auth/step-up", Target::Anywhere),
        ("passkeys", None) => is("/v1/auth/passkeys", Target::Anywhere),
        ("totp", Some("confirm")) => is("/v1/auth/totp/confirm", Target::Anywhere),
        ("passkeys", Some("options")) => is("/v1/auth/passkeys/options", Target::Anywhere),
        ("authenticators", Some("passkeys")) => is("/v1/auth/authenticators/passkeys", Target::Anywhere),
        ("authenticators", Some(below)) => match below.strip_prefix("passkeys/") {
            Some("options") => is("/v1/auth/authenticators/passkeys/options", Target::Anywhere),
            Some(one) if !one.contains('/') => {
                is("/v1/auth/authenticators/passkeys/{passkey}", Target::Anywhere)
            }
            _ => is("-", Target::Nothing),
        },
        ("invitations", Some("accept")) => is("/v1/auth/invitations/accept", Target::Anywhere),
        ("oidc", Some(below)) => match below.split_once('/') {
            Some((_, "start")) => is("/v1/auth/oidc/{provider}/start", Target::Anywhere),
            Some((_, "callback")) => is("/v1/auth/oidc/{provider}/callback", Target::Anywhere),
            Some((_, "link")) => is("/v1/auth/oidc/{provider}/link", Target::Anywhere),
            _ => is("-", Target::Nothing),
        },
        ("sessions", Some(id)) if !id.contains('/') => is("/v1/auth/sessions/{session}", Target::Anywhere),
        _ => is("-", Target::Nothing),
    }
}

fn versioned(path: &str, query: &str) -> Identified {
    let is = |route, target| Identified { route, target };
    let mut parts = path.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("patients"), None, None) => is("/v1/patients", region(query)),
        (Some("patients"), Some("search"), None) => is("/v1/patients/search", region(query)),
        (Some("patients"), Some(id), below) => {
            let (route, sensitivity) = match below {
                None => ("/v1/patients/{patient}", Sensitivity::Of(Category::General)),
                Some(below) => beneath(below),
            };
            match id.parse() {
                Ok(id) => is(route, Target::Patient(id, sensitivity)),
                Err(_) => is(route, Target::NoPatient(sensitivity)),
            }
        }
        (Some("portal"), Some(act), None) => match act {
            "accounts" => is("/v1/portal/accounts", region(query)),
            "sign-in" => is("/v1/portal/sign-in", region(query)),
            "sign-out" => is("/v1/portal/sign-out", region(query)),
            "password" => is("/v1/portal/password", region(query)),
            _ => is("-", Target::Nothing),
        },
        (Some("audit"), Some("events"), None) => is("/v1/audit/events", region(query)),
        (Some("break-glass"), Some("reviews"), None) => is("/v1/break-glass/reviews", region(query)),
        (Some("policies"), Some("test"), None) => is("/v1/policies/test", Target::Anywhere),
        (Some("auth"), Some(act), below) => signing_in(act, below),
        (Some("audit"), Some("log"), Some("checkpoint")) => is("/v1/audit/log/checkpoint", region(query)),
        (Some("audit"), Some("log"), Some("cosigned")) => is("/v1/audit/log/cosigned", region(query)),
        (Some("audit"), Some("log"), Some("keys")) => is("/v1/audit/log/keys", region(query)),
        (Some("audit"), Some("log"), Some(below)) => match below.strip_prefix("tile/") {
            // A number has as many groups of digits as it needs.
            Some(tile) if (2..=5).contains(&tile.split('/').count()) => {
                is("/v1/audit/log/tile/...", region(query))
            }
            _ => is("-", Target::Nothing),
        },
        (Some("regions"), None, None) => is("/v1/regions", Target::Anywhere),
        (Some("csp-reports"), None, None) => is("/v1/csp-reports", Target::Anywhere),
        (Some("orgs"), None, None) => is("/v1/orgs", Target::Anywhere),
        (Some("orgs"), Some(_), None) => is("/v1/orgs/{org}", Target::Anywhere),
        (Some("orgs"), Some(_), Some("users")) => is("/v1/orgs/{org}/users", Target::Anywhere),
        (Some("orgs"), Some(_), Some("identity-providers")) => {
            is("/v1/orgs/{org}/identity-providers", Target::Anywhere)
        }
        (Some("orgs"), Some(_), Some("legal-basis")) => is("/v1/orgs/{org}/legal-basis", Target::Anywhere),
        (Some("orgs"), Some(_), Some("devices")) => is("/v1/orgs/{org}/devices", Target::Anywhere),
        (Some("orgs"), Some(_), Some("api-keys")) => is("/v1/orgs/{org}/api-keys", Target::Anywhere),
        (Some("orgs"), Some(_), Some("sign-in-settings")) => {
            is("/v1/orgs/{org}/sign-in-settings", Target::Anywhere)
        }
        (Some("orgs"), Some(_), Some(below)) => match below.strip_prefix("identity-providers/") {
            Some(one) if !one.contains('/') => {
                is("/v1/orgs/{org}/identity-providers/{provider}", Target::Anywhere)
            }
            Some(one) if one.split_once('/').is_some_and(|(_, act)| act == "test") => {
                is("/v1/orgs/{org}/identity-providers/{provider}/test", Target::Anywhere)
            }
            Some(one) if one.split('/').nth(1) == Some("links") && one.split('/').count() == 3 => {
                is("/v1/orgs/{org}/identity-providers/{provider}/links/{user}", Target::Anywhere)
            }
            _ => match below.strip_prefix("api-keys/") {
                Some(one) if !one.contains('/') => is("/v1/orgs/{org}/api-keys/{key}", Target::Anywhere),
                Some(one) if one.split_once('/').is_some_and(|(_, act)| act == "rotate") => {
                    is("/v1/orgs/{org}/api-keys/{key}/rotate", Target::Anywhere)
                }
                _ => match below.strip_prefix("devices/") {
                    Some(one) if !one.contains('/') => is("/v1/orgs/{org}/devices/{device}", Target::Anywhere),
                    Some(one) if one.split_once('/').is_some_and(|(_, act)| act == "admission") => {
                        is("/v1/orgs/{org}/devices/{device}/admission", Target::Anywhere)
                    }
                    _ => is("-", Target::Nothing),
                },
            },
        },
        (Some("users"), Some(_), Some("invitations")) => is("/v1/users/{user}/invitations", Target::Anywhere),
        (Some("users"), Some(_), Some("clinician")) => is("/v1/users/{user}/clinician", Target::Anywhere),
        (Some("users"), Some(_), None) => is("/v1/users/{user}", Target::Anywhere),
        (Some("providers"), None, None) => is("/v1/providers", Target::Anywhere),
        (Some("providers"), Some(_), None) => is("/v1/providers/{provider}", Target::Anywhere),
        (Some("providers"), Some(_), Some(below)) => match below.split_once('/') {
            None if below == "calendar" => is("/v1/providers/{provider}/calendar", Target::Anywhere),
            None if below == "slots" => is("/v1/providers/{provider}/slots", Target::Anywhere),
            None if below == "holds" => is("/v1/providers/{provider}/holds", Target::Anywhere),
            Some(("holds", hold)) if !hold.contains('/') => {
                is("/v1/providers/{provider}/holds/{hold}", Target::Anywhere)
            }
            _ => is("-", Target::Nothing),
        },
        _ => is("-", Target::Nothing),
    }
}

/// The templates of the paths beneath a patient that are known by name here, and what they tell of the category.
/// Others are routed just the same: the home knows what it has, and the strictest rule holds on the way there.
/// Beneath those a home takes and gives only the general category; segregated ones get paths of their own. But consents,
/// grants, disclosures and the ledger of purposes tell of any category, in bodies that are not read here.
fn beneath(below: &str) -> (&'static str, Sensitivity) {
    if let Some(found) = below.strip_prefix("segregated/").and_then(segregated) {
        return found;
    }
    let mut parts = below.split('/');
    let first = parts.next();
    let known = match (first, parts.next(), parts.next(), parts.next()) {
        (Some("encounters"), None, ..) => "/v1/patients/{patient}/encounters",
        (Some("encounters"), Some(_), None, _) => "/v1/patients/{patient}/encounters/{encounter}",
        (Some("encounters"), Some(_), Some("sign"), None) => {
            "/v1/patients/{patient}/encounters/{encounter}/sign"
        }
        (Some("encounters"), Some(_), Some("addenda"), None) => {
            "/v1/patients/{patient}/encounters/{encounter}/addenda"
        }
        (Some("break-glass"), None, ..) => "/v1/patients/{patient}/break-glass",
        (Some("break-glass"), Some(_), Some("review"), None) => {
            "/v1/patients/{patient}/break-glass/{grant}/review"
        }
        (Some("consents"), None, ..) => "/v1/patients/{patient}/consents",
        (Some("consents"), Some(_), None, _) => "/v1/patients/{patient}/consents/{consent}",
        (Some("consents"), Some(_), Some("revoke"), None) => "/v1/patients/{patient}/consents/{consent}/revoke",
        (Some("purposes"), None, ..) => "/v1/patients/{patient}/purposes",
        (Some("disclosures"), None, ..) => "/v1/patients/{patient}/disclosures",
        (Some("appointments"), None, ..) => "/v1/patients/{patient}/appointments",
        (Some("appointments"), Some(_), None, _) => "/v1/patients/{patient}/appointments/{appointment}",
        (Some("appointments"), Some(_), Some("reschedule"), None) => {
            "/v1/patients/{patient}/appointments/{appointment}/reschedule"
        }
        (Some("appointments"), Some(_), Some("cancel"), None) => {
            "/v1/patients/{patient}/appointments/{appointment}/cancel"
        }
        (Some("portal-invitations"), None, ..) => "/v1/patients/{patient}/portal-invitations",
        (Some("portal-account"), None, ..) => "/v1/patients/{patient}/portal-account",
        (Some("waitlist"), None, ..) => "/v1/patients/{patient}/waitlist",
        (Some("waitlist"), Some(_), None, _) => "/v1/patients/{patient}/waitlist/{wish}",
        _ => return ("/v1/patients/{patient}/...", Sensitivity::Any),
    };
    let sensitivity = match first {
        Some("break-glass" | "consents" | "purposes" | "disclosures") => Sensitivity::Any,
        _ => Sensitivity::Of(Category::General),
    };
    (known, sensitivity)
}

/// The paths that name a category themselves.
fn segregated(below: &str) -> Option<(&'static str, Sensitivity)> {
    let mut parts = below.split('/');
    let category: Category = parts.next()?.parse().ok().filter(|category| *category != Category::General)?;
    let route = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("encounters"), None, ..) => "/v1/patients/{patient}/segregated/{category}/encounters",
        (Some("encounters"), Some(_), None, _) => {
            "/v1/patients/{patient}/segregated/{category}/encounters/{encounter}"
        }
        (Some("encounters"), Some(_), Some("sign"), None) => {
            "/v1/patients/{patient}/segregated/{category}/encounters/{encounter}/sign"
        }
        (Some("encounters"), Some(_), Some("addenda"), None) => {
            "/v1/patients/{patient}/segregated/{category}/encounters/{encounter}/addenda"
        }
        _ => return None,
    };
    Some((route, Sensitivity::Of(category)))
}

fn region(query: &str) -> Target {
    let mut named = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| decoded_is(name, wire::HOME_PARAMETER));
    match (named.next(), named.next()) {
        (None, _) => Target::HomeMissing(Missing::REQUIRED),
        (Some(_), Some(_)) => Target::HomeMissing(Missing::REPEATED),
        (Some((_, value)), None) => Jurisdiction::all()
            .find(|jurisdiction| decoded_is(value, jurisdiction.code()))
            .map_or(Target::HomeMissing(Missing::FORMAT), |jurisdiction| {
                Target::Region(Home(Region(jurisdiction)))
            }),
    }
}

/// Whether percent-encoded text says exactly this. Encoded spellings are read, so that no reader after this one
/// finds a second `home` that was hidden from here.
fn decoded_is(encoded: &str, plain: &str) -> bool {
    let mut bytes = encoded.bytes();
    let mut plain = plain.bytes();
    loop {
        let next = match bytes.next() {
            Some(b'%') => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => Some(high << 4 | low),
                _ => return false,
            },
            other => other,
        };
        match (next, plain.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Whether every segment is made of unreserved characters (RFC 3986 section 2.3) and says something.
fn plain(path: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    path.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.bytes().all(unreserved))
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn taken(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    )
}
