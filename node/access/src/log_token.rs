//! What stands in the log for a key or a session: a token of the day.
//!
//! Whoever reads logs can follow one credential through a day and through the nodes of a region, and cannot tell whose
//! it is, nor that tomorrow's is the same (45 CFR 164.514(c): derived with a key that is not disclosed). The access log,
//! which has both, is joined by the request's id. An organisation is no person, and stands in the clear.

use std::fmt;

use jiff::civil::Date;
use residency_policy::KeyId;

use crate::facts::today;
use crate::{Here, Secret};

/// The token of a credential on a day: the same on every node of a region. Prints as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogToken([u8; 8]);

impl fmt::Display for LogToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Here {
    /// What stands in the log today for a key, or for a session by the id that stands in its place.
    pub fn log_token(&self, credential: KeyId) -> LogToken {
        token(self.secret(), today(self), credential)
    }
}

/// HMAC-SHA-256 under the region's secret, for this use alone, cut to 64 bits.
fn token(secret: &Secret, day: Date, credential: KeyId) -> LogToken {
    let (year, month, day) = (day.year().to_be_bytes(), day.month().to_be_bytes(), day.day().to_be_bytes());
    let mac = secret.mac("a token in the log, v1", &[&year, &month, &day, &credential.to_bytes()]);
    let mut short = [0; 8];
    short.copy_from_slice(&mac[..8]);
    LogToken(short)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_token_is_the_same_all_day_in_a_region_and_another_one_tomorrow_and_elsewhere() {
        let (secret, elsewhere) = (Secret::new([7; 32]), Secret::new([8; 32]));
        let (key, other) = (KeyId::from_bytes([1; 16]), KeyId::from_bytes([2; 16]));
        let today = date(2026, 11, 22);
        let one = token(&secret, today, key);
        assert_eq!(one, token(&secret.clone(), today, key));
        for another in [
            token(&secret, date(2026, 11, 23), key),
            token(&secret, date(2026, 12, 22), key),
            token(&secret, date(2027, 11, 22), key),
            token(&secret, today, other),
            token(&elsewhere, today, key),
        ] {
            assert_ne!(one, another);
        }
        let text = one.to_string();
        assert!(text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
        assert!(!key.to_string().replace('-', "").contains(&text), "it shows nothing of the id");
    }
}
