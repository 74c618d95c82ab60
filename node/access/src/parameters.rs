//! Query parameters: each at most once, and none that the route does not take.

use jiff::Timestamp;
use residency_policy::{Problem, ProblemKind, wire};

/// The parameters of one request.
#[derive(Default)]
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// Reads a query. A parameter that is unknown, repeated or not readable is refused.
    pub fn read(query: Option<&str>, taken: &'static [&'static str]) -> Result<Self, Problem> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| bad("query", "encoding", "is not percent-encoded UTF-8"))?;
            let Some(name) = taken.iter().copied().find(|taken| *taken == name) else {
                return Err(bad("query", "unknown", "has a parameter that this route does not take"));
            };
            let value = decode(value).ok_or_else(|| bad(name, "encoding", "is not percent-encoded UTF-8"))?;
            if found.iter().any(|(there, _)| *there == name) {
                return Err(bad(name, "repeated", "may be given once"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(there, _)| *there == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| bad(name, "required", "is required"))
    }

    /// An instant (RFC 3339), if it is given.
    pub fn instant(&self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| bad(name, "format", "is an instant (RFC 3339)"));
        self.get(name).map(read).transpose()
    }
}

/// The parameters of a route that lists the patients of one home.
pub const LISTING_OF_HOME: &[&str] = &[wire::HOME_PARAMETER, "limit", "cursor"];
/// The parameters of a route that lists anything else.
pub const LISTING: &[&str] = &["limit", "cursor"];
/// The parameters of a route that names a home only.
pub const HOME: &[&str] = &[wire::HOME_PARAMETER];

/// A parameter is wrong.
pub fn bad(name: &'static str, code: &'static str, detail: &'static str) -> Problem {
    Problem::new(ProblemKind::BadParameter).field(name, code, detail)
}

/// Percent-decoding of `application/x-www-form-urlencoded`, strictly.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_and_strictly() {
        let taken = &["home", "limit"];
        let read = |query| Parameters::read(Some(query), taken);
        assert_eq!(
            read("home=US%2DTX&limit=5").ok().and_then(|p| p.get("home").map(str::to_owned)).as_deref(),
            Some("US-TX")
        );
        assert!(Parameters::read(None, taken).is_ok());
        for wrong in ["home=a&home=b", "other=1", "home=%zz", "home=%f", "home=%ff", "h%6fme2=x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
