//! A medical record number.

use residency_policy::Entropy;

use super::Wrong;

/// What an organisation calls a patient: 1 to 32 letters, digits and hyphens, capitals.
#[derive(Clone, PartialEq, Eq)]
pub struct Mrn(String);

impl Mrn {
    /// Reads a number; small letters become capitals.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=32).contains(&text.len()) || !text.bytes().all(allowed) || !text.bytes().any(|b| b != b'-') {
            return Err(Wrong::new("format", "expected 1 to 32 letters, digits and hyphens"));
        }
        Ok(Self(text.to_ascii_uppercase()))
    }

    /// A new number from 60 random bits, such as `M-7Q2K-9XTR-04HB`: like an id it holds no time and no sequence. The
    /// letters are Crockford's, which people do not confuse when they read them out.
    pub fn random(entropy: &dyn Entropy) -> Self {
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut bytes = [0; 12];
        entropy.fill(&mut bytes);
        let mut text = String::from("M");
        for (i, byte) in bytes.iter().enumerate() {
            if i % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(LETTERS[usize::from(byte % 32)]));
        }
        Self(text)
    }

    /// What a search compares: the number itself, which has one spelling only.
    pub fn normalised(&self) -> String {
        self.0.clone()
    }
}

text_value!(Mrn);

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, dest: &mut [u8]) {
            for (byte, i) in dest.iter_mut().zip(20u8..) {
                *byte = i;
            }
        }
    }

    #[test]
    fn a_new_number_reads_back() {
        let mrn = Mrn::random(&Counting);
        assert_eq!(mrn.as_str(), "M-MNPQ-RSTV-WXYZ");
        assert_eq!(Mrn::parse(&mrn.as_str().to_lowercase()), Ok(mrn));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "-", "a b", "a/b", "é", &"1".repeat(33)] {
            assert_eq!(Mrn::parse(text).map_err(|w| w.code), Err("format"), "{text:?}");
        }
    }
}
