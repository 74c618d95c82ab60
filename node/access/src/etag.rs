//! Strong entity tags and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1).

use std::fmt::Display;

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use residency_policy::{Problem, ProblemKind};

use crate::{Here, Refused};

/// The grammar of the header, for the documentation: exactly one strong tag.
pub const PATTERN: &str = r#"^"[!#-~]{1,32}"$"#;

/// The entity tag of a version, which is a number.
pub fn of(version: impl Display) -> HeaderValue {
    // Digits and quotes are always a header value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

/// The version that the caller has seen. `*`, weak tags and lists are refused: each would overwrite a change
/// that the caller never saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(String);

impl IfMatch {
    fn parse(value: &str) -> Option<Self> {
        let inner = value.strip_prefix('"')?.strip_suffix('"')?;
        let fits = (1..=32).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        fits.then(|| Self(inner.to_owned()))
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(IF_MATCH).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let wrong = || {
            Problem::new(ProblemKind::BadHeader).field(
                "if-match",
                "format",
                "send the one strong entity tag that you were given, such as \"3\"",
            )
        };
        if values.next().is_some() {
            return Err(wrong());
        }
        value.to_str().ok().and_then(Self::parse).map(Some).ok_or_else(wrong)
    }

    /// Refuses with 412 unless this is the version now.
    pub fn check(&self, version: impl Display) -> Result<(), Problem> {
        if self.0 == version.to_string() {
            Ok(())
        } else {
            Err(Problem::new(ProblemKind::PreconditionFailed).detail("read it again and repeat the change"))
        }
    }

    /// The tag as sent, for a fingerprint.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromRequestParts<Here> for IfMatch {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Here) -> Result<Self, Refused> {
        Ok(Self::read(&parts.headers)?.ok_or_else(|| {
            Problem::new(ProblemKind::PreconditionRequired).field(
                "if-match",
                "required",
                "send the entity tag of the version that you have read",
            )
        })?)
    }
}

/// An `If-Match` that may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeIfMatch(pub Option<IfMatch>);

impl FromRequestParts<Here> for MaybeIfMatch {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Here) -> Result<Self, Refused> {
        Ok(Self(IfMatch::read(&parts.headers)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_strong_tag_is_read_and_nothing_else() {
        assert_eq!(IfMatch::parse("\"3\""), Some(IfMatch("3".to_owned())));
        for wrong in ["*", "3", "W/\"3\"", "\"3\", \"4\"", "\"\"", "\"3", "\"\u{7f}\""] {
            assert_eq!(IfMatch::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_stale_tag_is_refused() {
        let tag = IfMatch("3".to_owned());
        assert!(tag.check(3).is_ok());
        assert_eq!(tag.check(4).expect_err("stale").kind(), ProblemKind::PreconditionFailed);
        assert_eq!(of(3), "\"3\"");
    }
}
