//! A diagnosis code.

use super::Wrong;

/// A code shaped as ICD-10-CM has them, with its dot. That the code exists in this year's list is not checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Icd10(String);

impl Icd10 {
    /// Reads a code. Small letters and the form without the dot, which claims use, are accepted.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        const FORMAT: Wrong = Wrong::new("format", "expected an ICD-10-CM code such as E11.9");
        // Before slicing: bytes and characters are the same in what is accepted.
        if !text.is_ascii() || !(3..=8).contains(&text.len()) {
            return Err(FORMAT);
        }
        let upper = text.to_ascii_uppercase();
        let (head, tail) = upper.split_at(3);
        let tail = match tail.strip_prefix('.') {
            Some("") => return Err(FORMAT),
            Some(rest) => rest,
            None => tail,
        };
        let shaped = matches!(head.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', c] if c.is_ascii_alphanumeric())
            && tail.len() <= 4
            && tail.bytes().all(|b| b.is_ascii_alphanumeric());
        match (shaped, tail) {
            (false, _) => Err(FORMAT),
            (true, "") => Ok(Self(head.to_owned())),
            (true, tail) => Ok(Self(format!("{head}.{tail}"))),
        }
    }
}

text_value!(Icd10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_get_their_dot() {
        for (text, code) in [
            ("E11.9", "E11.9"),
            ("e119", "E11.9"),
            ("I10", "I10"),
            ("U07.1", "U07.1"),
            ("C7A.00", "C7A.00"),
            ("S52.521A", "S52.521A"),
            ("T36.0X1A", "T36.0X1A"),
        ] {
            assert_eq!(Icd10::parse(text).map(|c| c.as_str().to_owned()).as_deref(), Ok(code));
        }
        for text in [
            "",
            "E1",
            "E11.",
            "E11.99999",
            "11.9",
            "EE1.9",
            "E11.9 ",
            "E1.19",
            "E11-9",
            "É11",
            "E11..9",
            "250.00",
        ] {
            assert_eq!(Icd10::parse(text).map_err(|w| w.code), Err("format"), "{text:?}");
        }
    }
}
