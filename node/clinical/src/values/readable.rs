//! Which text is fit to be shown to people: the rule that names, cities and street lines share.

use unicode_normalization::UnicodeNormalization;

use super::Wrong;

/// The text in normalisation form C, without blanks around it.
pub(super) fn readable(text: &str, chars_max: usize) -> Result<String, Wrong> {
    const TOO_LONG: Wrong = Wrong::new("too-long", "this text is longer than is accepted");
    // Before any work is done for it: one character of form C is written with at most four others of four bytes,
    // and a text of megabytes shall cost nothing.
    if text.len() > chars_max * 16 {
        return Err(TOO_LONG);
    }
    let text = text.trim();
    // ASCII is in form C, and most of what is read is ASCII.
    let text: String = if text.is_ascii() { text.to_owned() } else { text.nfc().collect() };
    if text.chars().any(unfit) {
        return Err(Wrong::new(
            "control-character",
            "control characters, text direction overrides and broken characters are not accepted",
        ));
    }
    if !text.chars().any(char::is_alphanumeric) {
        return Err(Wrong::new("blank", "expected at least one letter or digit"));
    }
    if text.chars().count() > chars_max {
        return Err(TOO_LONG);
    }
    Ok(text)
}

/// Postgres cannot hold NUL; the others let a text look like something else than it is.
fn unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFD}' | '\u{FDD0}'..='\u{FDEF}')
        || u32::from(c) & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_cannot_read_is_refused() {
        for (text, code) in [
            ("", "blank"),
            ("   ", "blank"),
            ("-.'", "blank"),
            ("\u{200B}", "blank"),
            ("a\0b", "control-character"),
            ("a\nb", "control-character"),
            ("a\u{202E}b", "control-character"),
            ("a\u{FFFD}b", "control-character"),
            ("a\u{1FFFE}b", "control-character"),
            ("abcdefghijk", "too-long"),
            (&"a".repeat(1 << 20), "too-long"),
        ] {
            assert_eq!(readable(text, 10).map_err(|wrong| wrong.code), Err(code), "{text:.20?}");
        }
    }

    #[test]
    fn two_spellings_of_one_character_become_one() {
        assert_eq!(readable(" Zoe\u{308} ", 10).as_deref(), Ok("Zo\u{EB}"));
        assert_eq!(readable("نور", 10).as_deref(), Ok("نور"));
        let ascii: String = (32_u8..127).map(char::from).collect();
        assert_eq!(readable(&ascii, 100), Ok(ascii.trim().nfc().collect()), "its form C is itself");
    }
}
