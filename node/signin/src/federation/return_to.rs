//! Where a browser goes when it has come in: somewhere on this server, and nowhere else.

/// The longest, in bytes.
pub(crate) const LEN_MAX: usize = 512;

/// The text if it is a path of this server, as any browser would read it.
///
/// Browsers take `\` for `/`, drop tabs and line breaks, and read `//host` as another server. So a path here begins with
/// one slash and has no second one after it, and is made of the characters of RFC 3986 without those: what is
/// percent-encoded stays so, since nothing decodes it before a browser follows it. An encoded slash or backslash at the
/// front is refused all the same, for whatever stands between.
pub(crate) fn read(text: &str) -> Option<String> {
    let taken = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@?#".contains(&b);
    let rest = text.strip_prefix('/')?;
    let lower = rest.to_ascii_lowercase();
    let elsewhere = ["/", "%2f", "%5c", "%09", "%0a", "%0d"].iter().any(|front| lower.starts_with(front));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    // `/./` and `/../` are taken away by browsers, and what is left may begin with two slashes.
    let dotted = path.split('/').any(|part| {
        let plain = part.to_ascii_lowercase().replace("%2e", ".");
        matches!(plain.as_str(), "." | "..")
    });
    let is = text.len() <= LEN_MAX && text.bytes().all(taken) && !elsewhere && !dotted && !path.contains("//");
    is.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_stays_on_this_server() {
        for text in ["/", "/docs/", "/charts?page=2&q=a%20b#top", "/a:b@c", "/a?next=//b"] {
            assert_eq!(read(text), Some(text.to_owned()), "{text}");
        }
        for text in [
            "",
            "docs",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/.//evil.example",
            "/..//evil.example",
            "/%2e//evil.example",
            "/a/..//evil.example",
            "/a//b",
            "/é",
            "/a b",
            "/\"><script>",
            "/\u{0}",
            &format!("/{}", "a".repeat(512)),
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
