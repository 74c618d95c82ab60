//! A text as whoever undoes its escapes reads it.

/// What is read, and where each byte of it stands in the text; one place more is the end of the text.
pub(super) struct Undone {
    pub(super) bytes: Vec<u8>,
    pub(super) from: Vec<usize>,
}

/// Undoes escapes so many times. None where the last time changes nothing.
pub(super) fn undone(text: &str, times: usize) -> Option<Undone> {
    if !text.bytes().any(|b| b == b'%' || b == b'\\') {
        return None;
    }
    let mut read = Undone { bytes: text.as_bytes().to_vec(), from: (0..=text.len()).collect() };
    for _ in 0..times {
        read = once(&read)?;
    }
    Some(read)
}

fn once(written: &Undone) -> Option<Undone> {
    let mut read = Undone { bytes: Vec::with_capacity(written.bytes.len()), from: Vec::new() };
    let mut at = 0;
    while at < written.bytes.len() {
        let (byte, length) = escaped(&written.bytes[at..]).unwrap_or((written.bytes[at], 1));
        read.bytes.push(byte);
        read.from.push(written.from[at]);
        at += length;
    }
    read.from.push(written.from[at]);
    (read.bytes.len() < written.bytes.len()).then_some(read)
}

/// The byte that an escape stands for, and how long the escape is.
fn escaped(bytes: &[u8]) -> Option<(u8, usize)> {
    match *bytes {
        [b'%', high, low, ..] => Some((hex(high, low)?, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((hex(high, low)?, 6)),
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => Some((b' ', 2)),
        [b'\\', other @ (b'"' | b'\\' | b'/'), ..] => Some((other, 2)),
        _ => None,
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str, times: usize) -> Option<String> {
        undone(text, times).map(|read| String::from_utf8_lossy(&read.bytes).into_owned())
    }

    #[test]
    fn escapes_are_undone_as_often_as_asked_and_each_byte_knows_its_place() {
        assert_eq!(reads("a%40b%2Bc", 1).as_deref(), Some("a@b+c"));
        assert_eq!(reads("a%2540b", 1).as_deref(), Some("a%40b"));
        assert_eq!(reads("a%2540b", 2).as_deref(), Some("a@b"));
        assert_eq!(reads(r#"{\"a\":\"\u0040\/\n\"}"#, 1).as_deref(), Some(r#"{"a":"@/ "}"#));
        assert_eq!(reads("a%2540b", 3), None, "nothing is left to undo");
        for plain in ["", "100 %", "50%zz", "a\\", "\\u00e", "%4"] {
            assert_eq!(reads(plain, 1), None, "{plain}");
        }
        let read = undone("x%40y", 1).expect("an escape");
        assert_eq!(read.from, [0, 1, 4, 5]);
    }
}
