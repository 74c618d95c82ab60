//! The cookies in which a browser keeps its tokens.

use http::{HeaderMap, header};

/// The access token. The prefix binds it to this host, over TLS (RFC 6265bis section 4.1.3.2).
pub const ACCESS: &str = "__Host-domicile-access";
/// The refresh token.
pub const REFRESH: &str = "__Host-domicile-refresh";

/// What a patient shows who signed in ([`crate::patient`]).
pub const PATIENT: &str = "__Host-domicile-patient";

/// What a browser keeps of a known device ([`crate::device`]).
pub const DEVICE: &str = "__Host-domicile-device";

/// The value of a cookie. One that comes twice is none: nobody can say who set which.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(there, _)| *there == name).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
