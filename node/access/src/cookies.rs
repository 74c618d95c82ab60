//! The cookies of a browser that signed in, and what a request that relies on them must show.
//!
//! A browser sends cookies with every request, also with one that another site's page made it send. So a change that is
//! made on the strength of a cookie must come from a page of this server: the browser says so in `Sec-Fetch-Site` (W3C
//! Fetch Metadata), a header that no page can set. `SameSite=Strict` and bodies of `application/json` only are the second
//! and third wall. Whoever sends a token in `Authorization` is no browser on its own and needs none of it.

use http::{HeaderMap, Method, header};
use residency_policy::{Problem, ProblemKind};

/// The access token. The prefix binds it to this host, over TLS (RFC 6265bis section 4.1.3.2).
pub const ACCESS: &str = "__Host-domicile-access";
/// The refresh token.
pub const REFRESH: &str = "__Host-domicile-refresh";

/// The value of a cookie. One that comes twice is none: nobody can say who set which.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(there, _)| *there == name).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Refuses a change that relies on a cookie and does not come from a page of this server.
pub fn from_our_own_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let mut said = headers.get_all("sec-fetch-site").iter();
    match (said.next().map(http::HeaderValue::as_bytes), said.next()) {
        (Some(b"same-origin"), None) => Ok(()),
        _ => Err(Problem::new(ProblemKind::CrossSite).detail(
            "a change with cookies must come from a page of this server; programs send a token instead",
        )),
    }
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

    fn appended(lines: &[&'static str]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for line in lines {
            all.append(header::COOKIE, (*line).parse().expect("a value"));
        }
        all
    }

    #[test]
    fn a_cookie_is_found_in_any_line_and_one_that_comes_twice_is_none() {
        let all = appended(&["a=1; __Host-domicile-access=x.y", "b=2"]);
        assert_eq!(cookie(&all, ACCESS), Some("x.y"));
        assert_eq!(cookie(&all, REFRESH), None);
        for twice in [["a=1; a=2", ""], ["a=1", "a=2"]] {
            assert_eq!(cookie(&appended(&twice), "a"), None, "{twice:?}");
        }
        assert_eq!(cookie(&appended(&["aa=1"]), "a"), None);
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
