//! Whose signature puts rules and access policies in force: several keys at once, so that one is exchanged for another without
//! a moment in which neither counts.
//!
//! A file has one key a line: 64 hexadecimal digits, an Ed25519 public key (RFC 8032), and perhaps from and until when its
//! signatures count. A line that begins with `#` says nothing:
//!
//! ```text
//! # the key until the new year
//! 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c not-after=2027-01-01T00:00:00Z
//! fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025 not-before=2026-12-01T00:00:00Z
//! ```
//!
//! What counts is when a signature is looked at and not when it was made, which nobody can prove: what an ended key had
//! signed is in force no more, everywhere alike.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;

use crate::ruleset::NotSigned;

/// A key whose signatures count, from and until when.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyKey {
    /// The Ed25519 public key.
    pub public: [u8; 32],
    /// The first instant at which its signatures count. Without one they always did.
    pub not_before: Option<Timestamp>,
    /// The first instant at which they count no more. Without one they always will.
    pub not_after: Option<Timestamp>,
}

impl VerifyKey {
    /// Whether its signatures count at this instant.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|from| from <= now) && self.not_after.is_none_or(|end| now < end)
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let public = HEXLOWER_PERMISSIVE.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
        let mut key = Self { public, not_before: None, not_after: None };
        for word in words {
            let (name, at) = word.split_once('=')?;
            let place = match name {
                "not-before" => &mut key.not_before,
                "not-after" => &mut key.not_after,
                _ => return None,
            };
            // Said twice, nobody knows which was meant.
            if place.replace(at.parse().ok()?).is_some() {
                return None;
            }
        }
        let some_time = key.not_before.zip(key.not_after).is_none_or(|(from, end)| from < end);
        some_time.then_some(key)
    }
}

impl fmt::Display for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.public))?;
        if let Some(from) = self.not_before {
            write!(f, " not-before={from}")?;
        }
        self.not_after.map_or(Ok(()), |end| write!(f, " not-after={end}"))
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text names no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotVerifyKeys {
    /// There is no key in it.
    #[error("it holds no key: expected 64 hexadecimal digits, an Ed25519 public key")]
    Empty,
    /// A line is none.
    #[error(
        "line {0}: expected 64 hexadecimal digits, and perhaps not-before=INSTANT and a later not-after=INSTANT"
    )]
    Line(usize),
    /// A key is there twice: nobody knows which dates were meant.
    #[error("line {0}: the key is there twice")]
    Twice(usize),
    /// There are more than anybody rotates.
    #[error("it holds more than {} keys", VerifyKeys::AT_MOST)]
    TooMany,
}

/// The keys whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyKeys(Vec<VerifyKey>);

impl VerifyKeys {
    /// How many there may be.
    pub const AT_MOST: usize = 8;

    /// Reads a file of keys.
    ///
    /// # Errors
    /// There is none, there are too many, or a line is not one; nothing of it is taken then.
    pub fn parse(text: &str) -> Result<Self, NotVerifyKeys> {
        let mut keys: Vec<VerifyKey> = Vec::new();
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let key = VerifyKey::read(line).ok_or(NotVerifyKeys::Line(at))?;
            if keys.iter().any(|there| there.public == key.public) {
                return Err(NotVerifyKeys::Twice(at));
            }
            if keys.len() == Self::AT_MOST {
                return Err(NotVerifyKeys::TooMany);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(NotVerifyKeys::Empty) } else { Ok(Self(keys)) }
    }

    /// Each of them, as the file has them.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyKey> {
        self.0.iter()
    }

    /// Whether what counts may change with time alone.
    pub fn dated(&self) -> bool {
        self.0.iter().any(|key| key.not_before.is_some() || key.not_after.is_some())
    }

    /// Whether one of the keys that count at this instant passes a check of its signature.
    ///
    /// # Errors
    /// None does.
    pub fn verify(
        &self,
        now: Timestamp,
        signed_by: impl Fn(&[u8]) -> Result<(), NotSigned>,
    ) -> Result<(), NotSigned> {
        let mut counting = self.0.iter().filter(|key| key.counts(now));
        if counting.any(|key| signed_by(&key.public).is_ok()) { Ok(()) } else { Err(NotSigned) }
    }
}

/// One key, at all times.
impl From<[u8; 32]> for VerifyKeys {
    fn from(public: [u8; 32]) -> Self {
        Self(vec![VerifyKey { public, not_before: None, not_after: None }])
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::ruleset::{Digest, signed_bytes, verify};

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
    }

    fn hex(pair: &Ed25519KeyPair) -> String {
        HEXLOWER.encode(pair.public_key().as_ref())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn two_keys_overlap_and_each_counts_between_its_dates_and_at_no_other_time() {
        let (old, new, unknown) = (pair(1), pair(2), pair(3));
        let text = format!(
            "# the old one\n{} not-after=2027-01-01T00:00:00Z\n\n{} not-before=2026-12-01T00:00:00Z\n",
            hex(&old),
            hex(&new)
        );
        let keys = VerifyKeys::parse(&text).expect("two keys");
        assert!(keys.dated());
        let digest = Digest::of(b"rules");
        let counts = |by: &Ed25519KeyPair, now: &str| {
            let signature = by.sign(&signed_bytes(7, digest));
            keys.verify(at(now), |key| verify(7, digest, signature.as_ref(), key)).is_ok()
        };
        for (now, of_old, of_new) in [
            ("2026-11-30T23:59:59Z", true, false),
            ("2026-12-01T00:00:00Z", true, true),
            ("2026-12-31T23:59:59Z", true, true),
            ("2027-01-01T00:00:00Z", false, true),
        ] {
            assert_eq!((counts(&old, now), counts(&new, now)), (of_old, of_new), "{now}");
            assert!(!counts(&unknown, now), "{now}");
        }
    }

    #[test]
    fn a_file_of_one_key_is_that_key_at_all_times() {
        let digits = hex(&pair(1));
        let one = VerifyKeys::parse(&format!("{}\n", digits.to_uppercase())).expect("one key");
        let public: [u8; 32] = pair(1).public_key().as_ref().try_into().expect("32 bytes");
        assert_eq!(one, VerifyKeys::from(public));
        assert!(!one.dated());
        let again: String = one.iter().map(ToString::to_string).collect();
        assert_eq!(again, digits);
    }

    #[test]
    fn what_is_not_plainly_a_list_of_keys_is_refused_whole() {
        let key = hex(&pair(1));
        let line = |rest: &str| VerifyKeys::parse(&format!("{}\n{key} {rest}", hex(&pair(2))));
        assert!(line("not-before=2026-01-01T00:00:00Z not-after=2027-01-01T00:00:00Z").is_ok(), "the control");
        for wrong in [
            "not-before=2027-01-01T00:00:00Z not-after=2027-01-01T00:00:00Z",
            "not-after=2027-01-01T00:00:00Z not-after=2028-01-01T00:00:00Z",
            "not-after=2027-01-01",
            "not-after=",
            "until=2027-01-01T00:00:00Z",
            "0a",
        ] {
            assert_eq!(line(wrong), Err(NotVerifyKeys::Line(2)), "{wrong}");
        }
        for (wrong, why) in
            [("", NotVerifyKeys::Empty), ("# nothing\n", NotVerifyKeys::Empty), ("0a", NotVerifyKeys::Line(1))]
        {
            assert_eq!(VerifyKeys::parse(wrong), Err(why));
        }
        assert_eq!(VerifyKeys::parse(&format!("{key}\n{key}")), Err(NotVerifyKeys::Twice(2)));
        let many: Vec<String> = (1..=9).map(|seed| hex(&pair(seed))).collect();
        assert_eq!(VerifyKeys::parse(&many.join("\n")), Err(NotVerifyKeys::TooMany));
        assert!(VerifyKeys::parse(&many[..8].join("\n")).is_ok(), "the control");
    }
}
