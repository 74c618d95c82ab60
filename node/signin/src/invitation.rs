//! Invitations: a link that lets somebody choose a password, once.
//!
//! Its token is `di_` and, in base64url, the organisation, the user, and 32 random bytes. The control plane has the digest
//! of those only, so that whoever reads all of it can take up no invitation.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use residency_control::Refusal;
use residency_control::signin::{Invitation, LoginName, SignInChange};
use residency_policy::{Entropy, OrgId, UserId};

use crate::NotSignedIn;
use crate::desk::Desk;
use crate::federation::flow::Beside;
use crate::guessable;
use crate::hashing::{Password, equal};
use crate::refresh_token::sha256;

/// How long an invitation is open, in seconds.
pub const OPEN_SECONDS: i64 = 3 * 24 * 60 * 60;
const PREFIX: &str = "di_";
const LEN: usize = 16 + 16 + 32;

/// The token of an invitation, for the one who is invited. Its `Debug` is redacted.
pub struct Token {
    org: OrgId,
    user: UserId,
    secret: [u8; 32],
}

/// A new invitation: its token, and what recognises it.
#[derive(Debug)]
pub struct Invited {
    /// The token, shown once.
    pub token: Token,
    /// What makes the control plane know it.
    pub change: SignInChange,
    /// The second after the Unix epoch from which it is refused.
    pub expires: i64,
}

/// Makes an invitation of this user, who will sign in under this name.
pub fn mint(org: OrgId, user: UserId, name: LoginName, now: i64, entropy: &dyn Entropy) -> Invited {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let expires = now + OPEN_SECONDS;
    let invitation = Invitation { secret_sha256: sha256(&secret), expires };
    let change = SignInChange::Invite { org, user, name, invitation };
    Invited { token: Token { org, user, secret }, change, expires }
}

impl Token {
    /// Where.
    pub(crate) fn org(&self) -> OrgId {
        self.org
    }

    /// The text, for the one person who may have it.
    pub fn reveal(&self) -> String {
        let bytes = [self.org.to_bytes().as_slice(), &self.user.to_bytes(), &self.secret].concat();
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads a token.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == BASE64URL_NOPAD.encode_len(LEN))?;
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?;
        let (org, rest) = bytes.split_first_chunk::<16>()?;
        let (user, secret) = rest.split_first_chunk::<16>()?;
        let secret = secret.try_into().ok()?;
        Some(Self { org: OrgId::from_bytes(*org), user: UserId::from_bytes(*user), secret })
    }
}

impl Token {
    /// What a flow through an identity provider remembers of it, if it is open at this organisation.
    pub(crate) fn open(&self, desk: &Desk, at: OrgId) -> Option<Beside> {
        let secret_sha256 = sha256(&self.secret);
        let account = desk.directory.signins().account(self.org, self.user).cloned()?;
        let open = account.invitation.as_ref()?;
        let is = self.org == at && equal(&open.secret_sha256, &secret_sha256) && desk.now() < open.expires;
        is.then_some(Beside::Invitation { org: self.org, user: self.user, secret_sha256 })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Takes up an invitation: from now on the user signs in with this password. Whatever signed in before is forgotten.
pub async fn accept(desk: &Desk, token: &Token, password: Password) -> Result<u64, NotSignedIn> {
    desk.changes.barrier().await?;
    let secret_sha256 = sha256(&token.secret);
    let account =
        desk.directory.signins().account(token.org, token.user).cloned().ok_or(NotSignedIn::Nobody)?;
    let open = account.invitation.as_ref().ok_or(NotSignedIn::Nobody)?;
    // Looked at before the hash: nobody guesses 256 bits, and whoever tries shall not take anybody's time.
    if !equal(&open.secret_sha256, &secret_sha256) || desk.now() >= open.expires {
        return Err(NotSignedIn::Nobody);
    }
    guessable::refuse(desk, &account, &password, "/password").await?;
    let password = desk.hashing.make(password, &*desk.entropy).await?;
    let (org, user, at) = (token.org, token.user, desk.now());
    let accepted = desk.propose(SignInChange::Accept { org, user, secret_sha256, password, at }).await?;
    accepted.map_err(|refusal: Refusal| refusal.into())
}

#[cfg(test)]
mod tests {
    use residency_control::system::SystemEntropy;

    use super::*;

    #[test]
    fn a_token_reads_back_and_does_not_show_itself() {
        let (org, user) = (OrgId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let name = "robin@elm.example".parse().expect("a login name");
        let invited = mint(org, user, name, 7, &SystemEntropy::new());
        let text = invited.token.reveal();
        let read = Token::parse(&text).expect("reads back");
        assert_eq!((read.org, read.user, read.reveal()), (org, user, text.clone()));
        assert!(!format!("{invited:?}").contains(&text[50..]));
        for wrong in ["", "di_", &text[1..], &text[..text.len() - 1], &format!("{text}=")] {
            assert!(Token::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
