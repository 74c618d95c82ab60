//! Takes out of a text what looks like a social security number, a phone number, an e-mail address, a date of
//! birth or an API key.
//!
//! Written by hand: four shapes need no regular-expression engine. A shape must not touch another letter, digit or
//! hyphen, so that a UUID, an instant with a time of day, an ARN or a version is left alone.

use std::borrow::Cow;

/// The text without what looks like PHI or a credential.
pub fn scrub(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b.is_ascii_digit() || b == b'@' || b == b'_') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match find(bytes, at) {
            Some((from, end, instead)) if from >= copied => {
                out.push_str(&text[copied..from]);
                out.push_str(instead);
                copied = end;
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[copied..]) }
}

/// A shape that is seen first at `at`: where it begins and ends, and what stands for it.
fn find(bytes: &[u8], at: usize) -> Option<(usize, usize, &'static str)> {
    let byte = bytes[at];
    if byte == b'@' {
        return email(bytes, at);
    }
    let before = |back: usize| at.checked_sub(back).map(|i| bytes[i]);
    let in_a_number = before(1) == Some(b'.') && before(2).is_some_and(|b| b.is_ascii_digit());
    if in_a_number || before(1).is_some_and(joins) {
        return None;
    }
    let shape = |length: Option<usize>, instead| length.map(|length| (at, at + length, instead));
    match byte {
        b'd' => shape(api_key(&bytes[at..]), "[api key]"),
        b'+' | b'(' => shape(phone(&bytes[at..]), "[phone]"),
        b'0'..=b'9' => shape(date(&bytes[at..]), "[date]")
            .or_else(|| shape(ssn(&bytes[at..]), "[ssn]"))
            .or_else(|| shape(phone(&bytes[at..]), "[phone]")),
        _ => None,
    }
}

/// What would make a shape part of something longer.
fn joins(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn ends(bytes: &[u8], length: usize) -> bool {
    let next = bytes.get(length).copied();
    // A full stop after a number ends a sentence; one before a digit belongs to a longer number.
    let goes_on = next == Some(b'.') && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
    !(goes_on || next.is_some_and(joins))
}

/// Matches a pattern in which `9` stands for any digit and `*` for any separator.
fn fits(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let fit = bytes.len() >= pattern.len()
        && bytes.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'9' => byte.is_ascii_digit(),
            b'*' => matches!(byte, b'-' | b'.' | b' '),
            exact => byte == exact,
        });
    (fit && ends(bytes, pattern.len())).then_some(pattern.len())
}

fn ssn(bytes: &[u8]) -> Option<usize> {
    fits(bytes, b"999-99-9999").or_else(|| fits(bytes, b"999 99 9999")).or_else(|| fits(bytes, b"999999999"))
}

fn phone(bytes: &[u8]) -> Option<usize> {
    const SHAPES: [&[u8]; 11] = [
        b"+1*999*999*9999",
        b"1*999*999*9999",
        b"+1 (999) 999*9999",
        b"1 (999) 999*9999",
        b"(999) 999*9999",
        b"(999)999*9999",
        b"999*999*9999",
        b"+1*9999999999",
        b"9999999999",
        b"19999999999",
        b"(999)9999999",
    ];
    international(bytes).or_else(|| SHAPES.iter().find_map(|shape| fits(bytes, shape)))
}

/// `+` and 8 to 15 digits (E.164).
fn international(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.strip_prefix(b"+")?.iter().take_while(|b| b.is_ascii_digit()).count();
    ((8..=15).contains(&digits) && ends(bytes, digits + 1)).then_some(digits + 1)
}

/// A date without a time of day. An instant, as certificates and logs have it, goes on with `T`.
fn date(bytes: &[u8]) -> Option<usize> {
    const SHAPES: [&[u8]; 6] =
        [b"9999-99-99", b"9999/99/99", b"99/99/9999", b"9/99/9999", b"99/9/9999", b"9/9/9999"];
    SHAPES.iter().find_map(|shape| fits(bytes, shape))
}

/// `dk_<32 hexadecimal digits>_<secret>`: what follows the id goes as well, however it ends.
fn api_key(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"dk_")?;
    let body = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
    (body >= 16).then_some(body + 3)
}

fn email(bytes: &[u8], at: usize) -> Option<(usize, usize, &'static str)> {
    // Letters outside ASCII are bytes above 127 and belong to a name.
    let local = |b: u8| b.is_ascii_alphanumeric() || b > 127 || b".!#$%&'*+/=?^_`{|}~-".contains(&b);
    let domain = |b: u8| b.is_ascii_alphanumeric() || b > 127 || matches!(b, b'.' | b'-');
    let before = bytes[..at].iter().rev().take_while(|b| local(**b)).count();
    let after = bytes[at + 1..].iter().take_while(|b| domain(**b)).count();
    let has_dot = bytes[at + 1..at + 1 + after].contains(&b'.');
    (before > 0 && after > 2 && has_dot).then_some((at - before, at + 1 + after, "[e-mail]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_phi_goes() {
        for (text, expected) in [
            ("ssn 078-05-1120.", "ssn [ssn]."),
            ("ssn=078051120", "ssn=[ssn]"),
            ("078 05 1120", "[ssn]"),
            ("call +12145550123 now", "call [phone] now"),
            ("(214) 555-0123, 214-555-0123", "[phone], [phone]"),
            ("214.555.0123", "[phone]"),
            ("+1 214 555 0123", "[phone]"),
            ("\"2145550123\"", "\"[phone]\""),
            ("born 1980-02-29", "born [date]"),
            ("born 02/29/1980; 2/9/1980", "born [date]; [date]"),
            ("to ana.garcia+x@mail.example.com!", "to [e-mail]!"),
            ("an añá@correo.example", "an [e-mail]"),
            ("Key (email)=(a@b.co) exists", "Key (email)=([e-mail]) exists"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn a_credential_goes_whole() {
        let key = format!("dk_{}_{}", "0123456789abcdef".repeat(2), "A-b_9".repeat(9));
        assert_eq!(scrub(&format!("Bearer {key} x")), "Bearer [api key] x");
        assert_eq!(scrub(&format!("Bearer {}", &key[..30])), "Bearer [api key]", "a part of one as well");
    }

    #[test]
    fn what_an_operator_needs_stays() {
        for text in [
            "550e8400-e29b-41d4-a716-446655440000",
            "12345678-1234-4123-8123-123456789012",
            "valid until 2026-11-22T10:00:00Z",
            "127.0.0.1:20001",
            "10.200.300.4000",
            "localhost:5432 answered in 1234567 ns",
            "spiffe://domicile/region/us-tx/node/3",
            "arn:aws:kms:us-east-2:111122223333:key/1",
            "postgres 15.18 (Debian 15.18-0+deb12u1)",
            "index 12345678",
            "at node/src/telemetry/scrub.rs:12:34",
            "user@host",
            "",
        ] {
            assert_eq!(scrub(text), text);
            assert!(matches!(scrub(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn text_of_any_script_survives() {
        let text = "日本語 1980-02-29 🦀 a@b.co ñ";
        assert_eq!(scrub(text), "日本語 [date] 🦀 [e-mail] ñ");
    }
}
