//! Who is calling: the bearer of an API key, or of an access token; a browser sends its token as a cookie.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use residency_policy::{
    Jurisdiction, KeyId, KeyScopes, OrgId, OrgType, Problem, ProblemKind, ProviderId, SessionId, UserId,
};

use residency_tokens::{cookie, patient};
use storage::Acting;

use crate::settings::CameFrom;
use crate::{Here, Refused, cookies, own};

/// How long a request waits for its session to be known here. It was begun a moment ago at another node.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// What an API key or a session lets its bearer be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// The key, without its secret; of a session, its id: records name what was shown, whichever it was.
    pub key: KeyId,
    /// The session, if it is one.
    pub session: Option<SessionId>,
    /// How sure it is who it is now: 2 where a second factor was shown less than an hour ago, otherwise 1 (NIST SP 800-63B).
    pub assurance: u16,
    /// Whether a second factor was ever shown in the session.
    pub second_factor: bool,
    /// Whose key it is, if it is a person's; of a patient, what they signed in with.
    pub user: Option<UserId>,
    /// Which clinician of the tenant they are, if an administrator said so.
    pub clinician: Option<ProviderId>,
    /// The tenant.
    pub org: OrgId,
    /// What kind of organisation that is.
    pub org_type: OrgType,
    /// As what they act. To a patient nothing of anybody else is there.
    pub role: Acting,
    /// The homes that the key may ask for.
    pub jurisdictions: Jurisdictions,
    /// For what the key was issued; a session is for everything.
    pub scopes: KeyScopes,
}

/// A set of jurisdictions: one bit for each, by [`Jurisdiction::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Jurisdictions(u64);

impl Jurisdictions {
    /// Whether a jurisdiction is in the set.
    pub fn contains(self, jurisdiction: Jurisdiction) -> bool {
        self.0 & (1 << jurisdiction.index()) != 0
    }

    /// The jurisdictions in the set, in the fixed order.
    pub fn iter(self) -> impl Iterator<Item = Jurisdiction> {
        Jurisdiction::all().filter(move |j| self.contains(*j))
    }
}

impl FromIterator<Jurisdiction> for Jurisdictions {
    fn from_iter<I: IntoIterator<Item = Jurisdiction>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |bits, j| bits | (1 << j.index())))
    }
}

/// Why nobody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRecognised {
    /// It is missing, malformed, unknown, revoked, ended or over.
    Nobody,
    /// A node of this cluster vouches for it, and it was put in the replicated log at this place, which this node has not
    /// reached.
    NotYet(u64),
}

/// Recognises the caller (RFC 6750 section 2.1). What is missing, malformed, unknown, revoked and expired
/// all get the same answer. Who says `Authorization` means that, whatever cookies come with it.
pub async fn recognise(
    here: &Here,
    method: &Method,
    headers: &HeaderMap,
    from: CameFrom,
) -> Result<Credential, Refused> {
    let nobody = || Problem::new(ProblemKind::Unauthenticated);
    let (token, by_cookie) = shown(headers);
    let token = token.ok_or_else(nobody)?;
    if token.starts_with(patient::PREFIX) {
        let caller = own::recognise(here, token, from).await?.ok_or_else(nobody)?;
        if by_cookie {
            cookies::from_our_own_page(method, headers)?;
        }
        return Ok(caller);
    }
    let authenticate = || here.directory.authenticate(token, here.clock.now());
    let caller = match authenticate() {
        Err(NotRecognised::NotYet(index)) => {
            let reached = tokio::time::timeout(KNOWN_WITHIN, here.directory.reached(index)).await;
            reached.map_err(|_| Problem::new(ProblemKind::ViewUnproven).retry_after(1))?;
            authenticate()
        }
        known => known,
    };
    let caller = caller.map_err(|_| nobody())?;
    if by_cookie {
        cookies::from_our_own_page(method, headers)?;
    }
    Ok(caller)
}

/// Recognises a patient where patients come in and go. Of two cookies theirs is meant, and nobody else is anybody there.
pub async fn recognise_patient(
    here: &Here,
    method: &Method,
    headers: &HeaderMap,
    from: CameFrom,
) -> Result<Credential, Refused> {
    let nobody = || Problem::new(ProblemKind::Unauthenticated);
    let (token, by_cookie) = shown_of_patient(headers);
    let caller = own::recognise(here, token.ok_or_else(nobody)?, from).await?.ok_or_else(nobody)?;
    if by_cookie {
        cookies::from_our_own_page(method, headers)?;
    }
    Ok(caller)
}

/// What is shown, and whether a browser's cookie shows it. A browser that is somebody of the workforce is that and no patient.
pub fn shown(headers: &HeaderMap) -> (Option<&str>, bool) {
    if headers.contains_key(AUTHORIZATION) {
        return (bearer(headers), false);
    }
    let one = |name| cookie::cookie(headers, name);
    (one(cookie::ACCESS).or_else(|| one(cookie::PATIENT)), true)
}

/// The same where patients come in and go: a browser may be somebody of the workforce as well, who is not asked about there.
pub fn shown_of_patient(headers: &HeaderMap) -> (Option<&str>, bool) {
    match shown(headers) {
        (_, true) => (cookie::cookie(headers, cookie::PATIENT), true),
        said => said,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    // Two credentials are ambiguous, and a proxy may have looked at the other one.
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (AUTHORIZATION, http::HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_one_bearer_is_read() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        for wrong in [&[][..], &["abc"], &["Basic abc"], &["Bearer "], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let tx: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let ca: Jurisdiction = "US-CA".parse().expect("a jurisdiction");
        let set: Jurisdictions = [tx].into_iter().collect();
        assert!(set.contains(tx));
        assert!(!set.contains(ca));
        assert_eq!(set.iter().collect::<Vec<_>>(), [tx]);
        assert_eq!(Jurisdiction::all().collect::<Jurisdictions>().iter().count(), 57);
    }
}
