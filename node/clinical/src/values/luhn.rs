//! The check digit of ISO/IEC 7812-1 annex B.

/// Whether the last digit is the check digit of the others. Anything but digits is `false`.
pub(super) fn checks(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum = digits.rev().enumerate().try_fold(0u32, |sum, (place, byte)| {
        let digit = char::from(byte).to_digit(10)?;
        let weighed = if place % 2 == 1 { digit * 2 } else { digit };
        Some(sum + weighed / 10 + weighed % 10)
    });
    sum.is_some_and(|sum| sum % 10 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_digit_is_found() {
        assert!(checks(b"79927398713".iter().copied()));
        for place in 0..11 {
            let mut digits = *b"79927398713";
            digits[place] = if digits[place] == b'9' { b'0' } else { digits[place] + 1 };
            assert!(!checks(digits.iter().copied()), "at {place}");
        }
        assert!(!checks(b"7992739871x".iter().copied()));
    }
}
