//! A National Provider Identifier in a body.

use residency_policy::{NotAnNpi, Npi};

use super::Wrong;

/// Reads an identifier.
pub fn parse_npi(text: &str) -> Result<Npi, Wrong> {
    text.parse().map_err(|wrong| match wrong {
        NotAnNpi::Format => Wrong::new("format", "expected ten digits, the first of them 1 or 2"),
        NotAnNpi::CheckDigit => Wrong::new("check-digit", "the last digit does not fit the others"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_a_word() {
        assert!(parse_npi("1234567893").is_ok());
        assert_eq!(parse_npi("1234567890").map_err(|w| w.code), Err("check-digit"));
        assert_eq!(parse_npi("123456789x").map_err(|w| w.code), Err("format"));
    }
}
