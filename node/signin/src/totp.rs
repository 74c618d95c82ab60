//! Authenticators (RFC 6238), and the codes that stand in for them.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use residency_control::signin::{Account, RecoveryCodes, SecondFactor, TotpVerifier};
use residency_policy::{Entropy, OrgId, UserId};
use totp_rs::{Builder, Totp};

use crate::refresh_token::sha256;
use crate::sealing::{Seal, SealingKeys};

/// What authenticators take everywhere: SHA-1, six digits, half a minute; and one step to either side, for clocks.
const SECRET_LEN: usize = 20;
/// How many recovery codes there are.
const CODES: usize = 10;
/// 120 bits each, so that a digest without salt is enough to keep of them (OWASP ASVS 5.0, 6.5.2 asks for 112).
const CODE_LEN: usize = 15;
/// Those that were given out before have 80 bits, and are good until they are used.
const OLD_CODE_LEN: usize = 10;

/// An authenticator that was just enrolled: what its holder is shown once, and what is kept.
pub struct Enrolled {
    /// The secret, in base32, as authenticators take it.
    pub secret: String,
    /// The codes that stand in for it.
    pub codes: Vec<String>,
    /// What is kept of the secret.
    pub totp: TotpVerifier,
    /// What is kept of the codes.
    pub recovery: RecoveryCodes,
}

impl SealingKeys {
    /// A new authenticator of this account. None where no key was given.
    pub fn enrol(&self, org: OrgId, user: UserId, entropy: &dyn Entropy) -> Option<Enrolled> {
        let mut secret = [0; SECRET_LEN];
        entropy.fill(&mut secret);
        let mut sealed = secret;
        let Seal { sealed_under, nonce, tag } = self.seal(&bound_to(org, user), &mut sealed, entropy)?;
        let totp = TotpVerifier { sealed_under, nonce, secret: sealed, tag, confirmed: false, last_step: 0 };
        let mut recovery = RecoveryCodes { sha256: Box::new([[0; 32]; CODES]), used: 0 };
        let codes = recovery.sha256.iter_mut().map(|digest| {
            let mut bytes = [0; CODE_LEN];
            entropy.fill(&mut bytes);
            *digest = sha256(&bytes);
            in_groups(&BASE32_NOPAD.encode(&bytes))
        });
        let codes = codes.collect();
        Some(Enrolled { secret: BASE32_NOPAD.encode(&secret), codes, totp, recovery })
    }

    /// The time step of a code that is right and was not used.
    pub fn step(&self, account: &Account, code: &str, now: i64) -> Option<u64> {
        let verifier = account.totp.as_ref()?;
        let totp = self.authenticator(account, verifier)?;
        let step = totp.check(code, u64::try_from(now).ok()?)?;
        (step > verifier.last_step).then_some(step)
    }

    /// What a code is: the authenticator's, or one that stands in for it. None if it is neither, or was used.
    pub fn second(&self, account: &Account, code: &str, now: i64) -> Option<SecondFactor> {
        if code.len() == 6 {
            return self.step(account, code, now).map(SecondFactor::Totp);
        }
        let bytes = recovery_code(code)?;
        account.recovery.as_ref()?.place(&sha256(&bytes)).map(SecondFactor::Recovery)
    }

    fn authenticator(&self, account: &Account, verifier: &TotpVerifier) -> Option<Totp> {
        let TotpVerifier { sealed_under, nonce, mut secret, tag, .. } = *verifier;
        self.open(&bound_to(account.org, account.user), &Seal { sealed_under, nonce, tag }, &mut secret)?;
        Builder::new().with_secret(secret).build().ok()
    }
}

impl fmt::Debug for Enrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolled(redacted)")
    }
}

/// A seal that was moved to another account does not open.
fn bound_to(org: OrgId, user: UserId) -> Vec<u8> {
    [b"signin: totp v1".as_slice(), &org.to_bytes(), &user.to_bytes()].concat()
}

fn in_groups(code: &str) -> String {
    code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-")
}

/// Reads a recovery code as people type it.
fn recovery_code(text: &str) -> Option<Vec<u8>> {
    if text.len() > 40 {
        return None;
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let bytes = BASE32_NOPAD.decode(plain.to_ascii_uppercase().as_bytes()).ok()?;
    [CODE_LEN, OLD_CODE_LEN].contains(&bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    fn account(n: u8, enrolled: &Enrolled) -> Account {
        let name = "robin@elm.example".parse().expect("a login name");
        let account = Account::new(OrgId::from_bytes([n; 16]), UserId::from_bytes([n; 16]), name);
        Account { totp: Some(enrolled.totp.clone()), recovery: Some(enrolled.recovery.clone()), ..account }
    }

    fn enrol(keys: &SealingKeys) -> Enrolled {
        let (org, user) = (OrgId::from_bytes([1; 16]), UserId::from_bytes([1; 16]));
        keys.enrol(org, user, &SystemEntropy::new()).expect("a key seals")
    }

    fn code(enrolled: &Enrolled, at: u64) -> String {
        let secret = BASE32_NOPAD.decode(enrolled.secret.as_bytes()).expect("base32");
        let secret: [u8; SECRET_LEN] = secret.try_into().expect("twenty bytes");
        Builder::new().with_secret(secret).build().expect("a secret").generate(at).to_string()
    }

    /// RFC 6238, appendix B, in six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let totp = Builder::new().with_secret(*b"12345678901234567890").build().expect("a secret");
        for (at, expected) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(totp.generate(at).to_string(), expected);
        }
    }

    #[test]
    fn a_code_is_good_around_its_step_and_later_than_the_last_one() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let enrolled = enrol(&keys);
        let mut holder = account(1, &enrolled);
        let at = 1_800_000_000;
        let shown = code(&enrolled, at);
        let step = |holder: &Account, now| keys.step(holder, &shown, now);
        assert_eq!(step(&holder, 1_800_000_000), Some(60_000_000));
        assert_eq!(step(&holder, 1_800_000_030), Some(60_000_000));
        assert_eq!(step(&holder, 1_800_000_060), None, "too late");
        assert_eq!(step(&holder, 1_799_999_969), None, "too early");
        for wrong in ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"] {
            assert_eq!(keys.second(&holder, wrong, 1_800_000_000), None, "{wrong}");
        }
        if let Some(totp) = holder.totp.as_mut() {
            totp.last_step = 60_000_000;
        }
        assert_eq!(step(&holder, 1_800_000_000), None, "it was used");
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let enrolled = enrol(&keys);
        let mut holder = account(1, &enrolled);
        assert_eq!(enrolled.codes.len(), CODES);
        for typed in [enrolled.codes[3].clone(), enrolled.codes[3].replace('-', " ").to_lowercase()] {
            assert_eq!(keys.second(&holder, &typed, 0), Some(SecondFactor::Recovery(3)));
        }
        if let Some(recovery) = holder.recovery.as_mut() {
            recovery.used = 1 << 3;
        }
        assert_eq!(keys.second(&holder, &enrolled.codes[3], 0), None);
        for wrong in ["AAAA-AAAA-AAAA-AAAA", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"] {
            assert_eq!(keys.second(&holder, wrong, 0), None);
        }
    }

    #[test]
    fn recovery_codes_have_120_bits_and_those_of_before_stay_good() {
        let keys = SealingKeys::new(&[(1, [7; 32])]);
        let enrolled = enrol(&keys);
        let lengths = enrolled.codes.iter().map(|code| code.replace('-', "").len() * 5);
        assert!(lengths.into_iter().all(|bits| bits == 120), "five bits a character");
        let mut holder = account(1, &enrolled);
        let old = "ABCD-EFGH-IJKL-MNOP";
        assert_eq!(keys.second(&holder, old, 0), None);
        if let Some(recovery) = holder.recovery.as_mut() {
            recovery.sha256[7] = sha256(&BASE32_NOPAD.decode(b"ABCDEFGHIJKLMNOP").expect("base32"));
        }
        assert_eq!(keys.second(&holder, old, 0), Some(SecondFactor::Recovery(7)));
    }

    #[test]
    fn a_secret_opens_for_its_account_with_its_key_whichever_is_first() {
        let old = SealingKeys::new(&[(1, [7; 32])]);
        let enrolled = enrol(&old);
        let shown = code(&enrolled, 1_800_000_000);
        let opens = |keys: &SealingKeys, n| keys.step(&account(n, &enrolled), &shown, 1_800_000_000).is_some();
        assert!(opens(&old, 1) && opens(&SealingKeys::new(&[(2, [8; 32]), (1, [7; 32])]), 1));
        assert!(!opens(&old, 2), "another account");
        assert!(!opens(&SealingKeys::new(&[(2, [8; 32])]), 1), "a key that is gone");
        assert!(!opens(&SealingKeys::new(&[(1, [8; 32])]), 1), "another key of this number");
        assert!(
            SealingKeys::new(&[])
                .enrol(OrgId::from_bytes([1; 16]), UserId::from_bytes([1; 16]), &SystemEntropy::new())
                .is_none()
        );
    }
}
