//! The address that an identity provider signs with.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The issuer of an identity provider (OpenID Connect Core 1.0, section 2): `https`, a host in lower case, and a path of
/// unreserved characters; no user, query or fragment, and at most 200 characters. `http` only for this machine itself. Only
/// identity providers have a field for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerUrl(Box<str>);

/// The text is not an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an issuer: expected at most 200 characters such as https://login.clinic.example/tenant")]
pub struct NotAnIssuerUrl;

impl IssuerUrl {
    /// The longest issuer, in bytes.
    pub const LEN_MAX: usize = 200;

    /// The issuer as text. It is compared byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, and the port if there is one.
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// Whether it is reached without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl FromStr for IssuerUrl {
    type Err = NotAnIssuerUrl;

    fn from_str(text: &str) -> Result<Self, NotAnIssuerUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnIssuerUrl)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = authority.split_once(':').unwrap_or((authority, "1"));
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
        let path_is = path.bytes().all(unreserved)
            && !path.contains("//")
            && !path.split('/').any(|part| matches!(part, "." | ".."));
        let scheme_is = match scheme {
            "https" => true,
            "http" => matches!(host, "127.0.0.1" | "localhost"),
            _ => false,
        };
        let port_is = port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with(['+', '0']);
        if text.len() > Self::LEN_MAX || !scheme_is || !port_is || !host.split('.').all(label) || !path_is {
            return Err(NotAnIssuerUrl);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(IssuerUrl, NotAnIssuerUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_one_spelling_of_an_address_and_holds_nothing_else() {
        for text in [
            "https://accounts.google.com",
            "https://tenant.auth0.example/",
            "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0",
            "https://idp.example:8443/realms/clinic",
            "http://127.0.0.1:4000",
            "http://localhost:4000/a",
        ] {
            assert_eq!(text.parse::<IssuerUrl>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "https://",
            "idp.example",
            "http://idp.example",
            "ftp://idp.example",
            "https://IDP.example",
            "https://idp.example?tenant=1",
            "https://idp.example/#a",
            "https://user@idp.example",
            "https://idp.example:0",
            "https://idp.example:port",
            "https://idp.example:080",
            "https://idp..example",
            "https://-idp.example",
            "https://[::1]",
            "https://idp.example//a",
            "https://idp.example/../a",
            "https://idp.example/a b",
            "https://idp.example/%41",
            "https://idp.example/\n",
            &format!("https://idp.example/{}", "a".repeat(200)),
        ] {
            assert_eq!(text.parse::<IssuerUrl>(), Err(NotAnIssuerUrl), "{text:?}");
        }
        let one: IssuerUrl = "https://idp.example:8443/realms/clinic".parse().expect("an issuer");
        assert_eq!((one.authority(), one.is_plain()), ("idp.example:8443", false));
    }
}
