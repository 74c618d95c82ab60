//! Takes out of a text what looks like PHI or a credential: a social security number, a phone number, an e-mail address,
//! a date of birth, a medical record number; an API key, a token of ours, a JSON Web Token, a code that stands in for an
//! authenticator.
//!
//! Written by hand: such shapes need no regular-expression engine. A shape must not touch another letter, digit or
//! hyphen, so that a UUID, an instant with a time of day, an ARN or a version is left alone. A text is looked at as it is
//! written, and as whoever undoes the escapes of URLs (RFC 3986 section 2.1) and of JSON (RFC 8259 section 7) reads it.

mod escapes;
mod shapes;

use std::borrow::Cow;

/// So many times are escapes undone: a URL in a text in JSON in JSON.
const DEPTH_MAX: usize = 4;

/// The text without what looks like PHI or a credential.
pub fn scrub(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| b.is_ascii_digit() || b"@_-=:%\\".contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = replaced(text, text.as_bytes(), |at| at);
    for depth in 1..=DEPTH_MAX {
        let Some(read) = escapes::undone(&out, depth) else { break };
        if let Cow::Owned(shorter) = replaced(&out, &read.bytes, |at| read.from[at]) {
            out = Cow::Owned(shorter);
        }
    }
    out
}

/// A text without the shapes that are seen in `bytes`, whose byte `at` stands at `source(at)` of the text.
fn replaced<'t>(text: &'t str, bytes: &[u8], source: impl Fn(usize) -> usize) -> Cow<'t, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    // A shape never ends within a character; a log must not end a program if it did.
    let between = |from, end| text.get(source(from)..source(end)).unwrap_or_default();
    while at < bytes.len() {
        match shapes::find(bytes, at) {
            Some((from, end, instead)) if from >= copied => {
                out.push_str(between(copied, from));
                out.push_str(instead);
                copied = end;
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + between(copied, bytes.len())) }
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
            ("born 19800229, seen 02291980", "born [date], seen [date]"),
            ("patient M-7Q2K-9XTR-04HB.", "patient [mrn]."),
            ("Key (mrn)=(A-17b) exists; MRN: 0042", "Key (mrn)=([mrn]) exists; MRN: [mrn]"),
            ("\"patient_mrn\": \"00042\"", "\"patient_mrn\": \"[mrn]\""),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn what_is_escaped_is_seen_as_whoever_reads_it_sees_it() {
        for (text, expected) in [
            ("/v1/patients?email=ana%40mail.example x=1", "[e-mail] x=1"),
            ("phone=%2B12145550123", "phone=[phone]"),
            ("q=214+555+0123", "q=[phone]"),
            ("born%201980-02-29%2C", "born%20[date]%2C"),
            ("to%3Dana%2540mail.example", "[e-mail]"),
            ("mrn%3D00042&a=b", "mrn%3D[mrn]&a=b"),
            ("an%C3%B1a%40mail.example", "[e-mail]"),
            (r#"{"a":{"phone":"+12145550123"}}"#, r#"{"a":{"phone":"[phone]"}}"#),
            (r#"{"a":"{\"ssn\":\"078051120\"}"}"#, r#"{"a":"{\"ssn\":\"[ssn]\"}"}"#),
            (
                r#"{"a":"{\"b\":\"{\\\"to\\\":\\\"ana\\u0040mail.example\\\"}\"}"}"#,
                r#"{"a":"{\"b\":\"{\\\"to\\\":\\\"[e-mail]\\\"}\"}"}"#,
            ),
            (r"born\n02\/29\/1980\n", r"born\n[date]\n"),
            (r#"{\"url\":\"/p?to=ana%40mail.example\"}"#, r#"{\"url\":\"[e-mail]\"}"#),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn a_credential_goes_whole() {
        let key = format!("dk_{}_{}", "0123456789abcdef".repeat(2), "A-b_9".repeat(9));
        assert_eq!(scrub(&format!("Bearer {key} x")), "Bearer [api key] x");
        assert_eq!(scrub(&format!("Bearer {}", &key[..30])), "Bearer [api key]", "a part of one as well");
        let body = "Ab-_01".repeat(12);
        for begin in ["dr_", "di_", "dd_"] {
            assert_eq!(scrub(&format!("{begin}{body}, x")), "[token], x");
            assert_eq!(scrub(&format!("token%3D{begin}{body}%0A")), "token%3D[token]%0A");
        }
        let token = format!("eyJhbGciOiJFZERTQSJ9.{body}.{body}");
        assert_eq!(scrub(&format!("Bearer {token}\"")), "Bearer [token]\"");
        assert_eq!(
            scrub(&format!("cookie=__Host-access={}; x", &token[..60])),
            "cookie=__Host-access=[token]; x"
        );
        for code in ["ABCD-EFGH-IJKL-MNOP-QRST-UVWX", "abc2-efgh-ijkl-mnop-qrst-uvwx", "AB23-CD45-EF67-GHIJ"] {
            assert_eq!(scrub(&format!("code {code}.")), "code [code].");
        }
        assert_eq!(scrub("?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=6"), "?secret=[code]&digits=6");
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
            "index 12345678 of 20261399 and 19001301",
            "100 % of 50%zz at C:\\new",
            "/v1/patients/{id}?limit=50%20",
            "over-the-wire-from-here to-some-body-else",
            "every mrn is one patient's; eyJust so; dr_short",
            "0123456789abcdef0123456789abcdef",
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
