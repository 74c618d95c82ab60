//! What a request that relies on the cookies of a browser must show.
//!
//! A browser sends cookies with every request, also with one that another site's page made it send. So a change that is
//! made on the strength of a cookie must come from a page of this server: the browser says so in `Sec-Fetch-Site` (W3C
//! Fetch Metadata), a header that no page can set. `SameSite=Strict` and bodies of `application/json` only are the second
//! and third wall. Whoever sends a token in `Authorization` is no browser on its own and needs none of it.

use http::{HeaderMap, Method};
use residency_policy::{Problem, ProblemKind};

/// Refuses a change that relies on a cookie and does not come from a page of this server.
pub fn from_our_own_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    match site(headers) {
        (Some(b"same-origin"), false) => Ok(()),
        _ => Err(Problem::new(ProblemKind::CrossSite).detail(
            "a change with cookies must come from a page of this server; programs send a token instead",
        )),
    }
}

/// Refuses a sign-in that another site's page began: the browser would be signed in as whoever that page chose, and what is
/// then written would be theirs to read.
pub fn from_nobody_elses_page(headers: &HeaderMap) -> Result<(), Problem> {
    match site(headers) {
        (None | Some(b"same-origin" | b"none"), false) => Ok(()),
        _ => Err(Problem::new(ProblemKind::CrossSite)
            .detail("sign in from a page of this server, or by its address: not from another site's page")),
    }
}

/// What the browser says of the page that made it ask, and whether it says more than one thing.
fn site(headers: &HeaderMap) -> (Option<&[u8]>, bool) {
    let mut said = headers.get_all("sec-fetch-site").iter();
    (said.next().map(http::HeaderValue::as_bytes), said.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), (*value).parse().expect("a value")))
            .collect()
    }

    #[test]
    fn a_change_with_a_cookie_comes_from_our_own_page() {
        let refused = |method: Method, lines: &[_]| from_our_own_page(&method, &headers(lines)).is_err();
        assert!(!refused(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!refused(Method::GET, &[]));
        for wrong in ["cross-site", "same-site", "none", "Same-Origin", ""] {
            assert!(refused(Method::POST, &[("sec-fetch-site", wrong)]), "{wrong}");
        }
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(refused(method, &[("origin", "https://localhost")]));
        }
    }
}
