//! The name under which a member of the workforce signs in.

use std::fmt;
use std::str::FromStr;

use residency_policy::OrgId;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// What somebody who works for an organisation types to sign in there: 3 to 64 characters, shaped like a mail address in
/// lower case. It is never a patient's: only accounts of the workforce have a field for it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoginName(Box<str>);

/// The text is not a login name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a login name: expected 3 to 64 characters such as robin@clinic.example, in lower case")]
pub struct NotALoginName;

impl LoginName {
    /// The longest name, in bytes.
    pub const LEN_MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What finds the account of this name in an organisation: two organisations may give the same name to two people.
    pub(crate) fn place(&self, org: OrgId) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&org.to_bytes());
        context.update(self.0.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

impl FromStr for LoginName {
    type Err = NotALoginName;

    fn from_str(text: &str) -> Result<Self, NotALoginName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
        let (local, domain) = text.split_once('@').ok_or(NotALoginName)?;
        let local_is = !local.is_empty() && local.bytes().all(|b| plain(b) || matches!(b, b'_' | b'+'));
        let domain_is = !domain.is_empty() && domain.bytes().all(plain);
        if text.len() > Self::LEN_MAX || !local_is || !domain_is {
            return Err(NotALoginName);
        }
        Ok(Self(text.into()))
    }
}

residency_policy::spelt!(LoginName, NotALoginName, without Debug);

/// A log is no place for who signs in where.
impl fmt::Debug for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginName")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_name_is_short_lower_case_and_looks_like_a_mail_address() {
        for text in ["robin@clinic.example", "r.o_b+in-2@a", &format!("{}@b", "a".repeat(62))] {
            assert_eq!(text.parse::<LoginName>().map(|n| n.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "@", "a@", "@b", "a@b@c", "A@b", "a b@c", "é@b", "a@b\n", &format!("{}@b", "a".repeat(63))]
        {
            assert_eq!(text.parse::<LoginName>(), Err(NotALoginName), "{text:?}");
        }
        let name: LoginName = "robin@clinic.example".parse().expect("a name");
        assert_eq!(format!("{name:?}"), "LoginName");
        let [one, other] = [1, 2].map(|n| name.place(OrgId::from_bytes([n; 16])));
        assert_ne!(one, other);
    }
}
