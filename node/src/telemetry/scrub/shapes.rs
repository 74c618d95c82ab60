//! The shapes themselves.

/// A shape that is seen first at `at`: where it begins and ends, and what stands for it.
pub(super) fn find(bytes: &[u8], at: usize) -> Option<(usize, usize, &'static str)> {
    let byte = bytes[at];
    if byte == b'@' {
        return email(bytes, at);
    }
    if matches!(byte, b'm' | b'M')
        && let Some(found) = named_mrn(bytes, at)
    {
        return Some(found);
    }
    let before = |back: usize| at.checked_sub(back).map(|i| bytes[i]);
    let in_a_number = before(1) == Some(b'.') && before(2).is_some_and(|b| b.is_ascii_digit());
    if in_a_number || before(1).is_some_and(joins) {
        return None;
    }
    let rest = &bytes[at..];
    let shape = |length: Option<usize>, instead| length.map(|length| (at, at + length, instead));
    let known = match byte {
        b'd' => shape(credential(rest, b"dk_"), "[api key]")
            .or_else(|| TOKENS.iter().find_map(|begin| shape(credential(rest, begin), "[token]"))),
        b'e' => shape(json_web_token(rest), "[token]"),
        b'M' => shape(mrn(rest), "[mrn]"),
        b'+' | b'(' => shape(phone(rest), "[phone]"),
        b'0'..=b'9' => shape(date(rest), "[date]")
            .or_else(|| shape(ssn(rest), "[ssn]"))
            .or_else(|| shape(phone(rest), "[phone]")),
        _ => None,
    };
    known.or_else(|| shape(code(rest), "[code]"))
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
            // A plus is a space in a form.
            b'*' => matches!(byte, b'-' | b'.' | b' ' | b'+'),
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
    SHAPES.iter().find_map(|shape| fits(bytes, shape)).or_else(|| compact_date(bytes))
}

/// Eight digits that are a day from 1900 to 2099, the year first or last.
fn compact_date(bytes: &[u8]) -> Option<usize> {
    let length = fits(bytes, b"99999999")?;
    let number = |from: usize, end: usize| {
        bytes[from..end].iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let is_day = |year: u32, month: u32, day: u32| {
        (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
    };
    let fit =
        is_day(number(0, 4), number(4, 6), number(6, 8)) || is_day(number(4, 8), number(0, 2), number(2, 4));
    fit.then_some(length)
}

/// What begins a refresh token, an invitation, the secret of a device, and a patient's session.
const TOKENS: [&[u8]; 4] = [b"dr_", b"di_", b"dd_", b"dom_p_"];

/// What begins so and goes on with a secret goes whole, however it ends.
fn credential(bytes: &[u8], begin: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(begin)?;
    let body = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
    (body >= 16).then_some(begin.len() + body)
}

/// A JSON Web Token, or the beginning of one: `{"` in base64url, and what follows (RFC 7519 section 3).
fn json_web_token(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"eyJ")?;
    let body = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || b"_-.=".contains(b)).count();
    (body >= 17).then_some(body + 3)
}

/// A medical record number as they are given out here, such as `M-7Q2K-9XTR-04HB`.
fn mrn(bytes: &[u8]) -> Option<usize> {
    let letter = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let fit = bytes.get(1..16)?.chunks(5).all(|group| group[0] == b'-' && group[1..].iter().all(letter));
    (fit && ends(bytes, 16)).then_some(16)
}

/// Whatever an organisation calls a patient, where it is called `mrn`: `mrn=17`, `"mrn": "A-17"`, `(mrn)=(A-17)`.
fn named_mrn(bytes: &[u8], at: usize) -> Option<(usize, usize, &'static str)> {
    let rest = bytes.get(at..)?;
    let (name, rest) = rest.split_first_chunk::<3>()?;
    let goes_on = at.checked_sub(1).is_some_and(|i| bytes[i].is_ascii_alphanumeric());
    if goes_on || !name.eq_ignore_ascii_case(b"mrn") {
        return None;
    }
    let between = rest.iter().take_while(|b| b" :=\"'()".contains(b)).count();
    let says = rest[..between].iter().any(|b| matches!(b, b':' | b'='));
    let length = rest[between..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    let from = at + 3 + between;
    (says && length > 0).then_some((from, from + length, "[mrn]"))
}

/// A code that stands in for an authenticator, as it is shown: six groups of four in base32, or four of those that were
/// given out before; and an authenticator's own secret, 32 such characters.
fn code(bytes: &[u8]) -> Option<usize> {
    let base32 = |b: &u8| b.is_ascii_alphabetic() || (b'2'..=b'7').contains(b);
    let of = |length: usize, group: usize| {
        let text = bytes.get(..length)?;
        let fit = text.chunks(group + 1).all(|chunk| {
            let (letters, hyphen) = chunk.split_at(chunk.len().min(group));
            letters.iter().all(base32) && hyphen.iter().all(|b| *b == b'-')
        });
        // Words with hyphens are no code, and neither is the id of a trace, which is 32 small letters and digits.
        let capitals = !text.iter().any(u8::is_ascii_lowercase);
        let meant = capitals || (length < 32 && text.iter().any(u8::is_ascii_digit));
        (fit && meant && ends(bytes, length)).then_some(length)
    };
    of(29, 4).or_else(|| of(19, 4)).or_else(|| of(32, 32))
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
