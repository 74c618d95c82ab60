//! An e-mail address.

use super::Wrong;

/// An address as mailboxes in use have it: a dot-atom before the `@` (RFC 5322 section 3.4.1), a host name with at
/// least two labels after it, at most 254 characters. Quoted local parts, address literals and characters outside
/// ASCII are refused: none of the services that send mail for a clinic delivers to them reliably.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let text = text.trim();
        if text.len() > 254 {
            return Err(Wrong::new("too-long", "an e-mail address has at most 254 characters"));
        }
        let (local, host) = text.split_once('@').ok_or(FORMAT)?;
        if local_part(local) && host_name(host) { Ok(Self(text.to_owned())) } else { Err(FORMAT) }
    }

    /// What a search compares: small letters. RFC 5321 lets a mail server tell capitals apart; none in use does.
    pub fn normalised(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

text_value!(Email);

const FORMAT: Wrong = Wrong::new("format", "expected an address such as name@example.com");

fn local_part(text: &str) -> bool {
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.len() <= 64 && text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would be an IP address (RFC 1123 section 2.1).
    text.rsplit_once('.').is_some_and(|(_, top)| top.len() >= 2 && !top.bytes().all(|b| b.is_ascii_digit()))
        && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_use_are_accepted() {
        for text in [
            "a@example.com",
            "ana.garcia+tx@example.com",
            "o'brien@mail.example.co.uk",
            "x_y-z@xn--bcher-kva.example",
        ] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
        assert_eq!(Email::parse(" Ana@Example.COM ").expect("an address").normalised(), "ana@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@example.com",
            "a@b",
            "a@@example.com",
            "a@example..com",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a b@example.com",
            "a@-example.com",
            "a@example.com-",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "\"a b\"@example.com",
            "añ@example.com",
            "a@exam\u{0}ple.com",
            "a@example.com\r\nBcc: b@example.com",
            "a@example.c",
        ] {
            assert_eq!(Email::parse(text).map_err(|w| w.code), Err("format"), "{text:?}");
        }
        let long = format!("a@{}.com", "a.".repeat(130));
        assert_eq!(Email::parse(&long).map_err(|w| w.code), Err("too-long"));
        assert_eq!(Email::parse(&format!("{}@example.com", "a".repeat(65))).map_err(|w| w.code), Err("format"));
    }
}
