//! What signing in needs of its node.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use node_access::{Changes, Directory};
use residency_control::Outcome;
use residency_control::signin::{Session, SignInChange};
use residency_control::{Command, Refusal};
use residency_policy::{Clock, Entropy, OrgId, Role, UserId};
use residency_tokens::Claims;

use crate::refresh_token::RefreshToken;
use crate::{Federated, Hashing, Issuer, NotSignedIn, Passkeys, SealingKeys};

/// How long an access token is good, in seconds.
pub const ACCESS_SECONDS: i64 = 15 * 60;
/// After so long without a refresh a session is over, in seconds (NIST SP 800-63B-4, section 2.2.3).
pub const IDLE_SECONDS: i64 = 60 * 60;
/// After so long a session is over however often it is refreshed, in seconds (the same section allows twice as much).
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;

/// Where people sign in.
pub struct Desk {
    /// The control plane's view.
    pub directory: Arc<dyn Directory>,
    /// Changes of the control plane.
    pub changes: Arc<dyn Changes>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashes.
    pub hashing: Hashing,
    /// What signs access tokens.
    pub issuer: Arc<Issuer>,
    /// What seals the secrets of authenticators and of identity providers.
    pub keys: SealingKeys,
    /// What lets people in through identity providers.
    pub federated: Federated,
    /// What verifies passkeys.
    pub passkeys: Passkeys,
}

/// A session that began or goes on, and its tokens. Its `Debug` is redacted.
pub struct Opened {
    /// The session.
    pub session: Session,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// How long the access token is good, in seconds.
    pub access_seconds: i64,
    /// How long the refresh token is, in seconds.
    pub refresh_seconds: i64,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("session", &self.session.id).finish_non_exhaustive()
    }
}

impl Desk {
    /// The second after the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    /// Has a change made, and tells where it stands in the log, or why it was not.
    pub(crate) async fn propose(&self, change: SignInChange) -> Result<Result<u64, Refusal>, NotSignedIn> {
        let proposed = self.changes.propose(Command::SignIn(change)).await?;
        Ok(match proposed.outcome {
            Outcome::Done => Ok(proposed.index),
            Outcome::Refused(refusal) => Err(refusal),
        })
    }

    /// Refuses whoever comes from where the organisation lets nobody come from. Who signs in is asked before anything that
    /// they show is looked at, so that it says nothing of it.
    pub(crate) fn admit(&self, org: OrgId, from: Option<IpAddr>) -> Result<(), NotSignedIn> {
        let shut = self.directory.settings(org).is_some_and(|settings| !settings.admit(from));
        if shut { Err(NotSignedIn::NotFromHere) } else { Ok(()) }
    }

    /// What somebody may be at an organisation now.
    pub(crate) fn roles(&self, user: UserId, org: OrgId) -> Vec<Role> {
        let Some(at) = self.directory.organisation(org).filter(|org| org.active) else { return Vec::new() };
        let user = self.directory.user(user).filter(|user| user.active);
        let there = user.and_then(|user| user.memberships.of(org).copied()).filter(|there| there.active);
        let roles = there.into_iter().flat_map(|there| there.roles.iter());
        roles.filter(|role| at.org_type.may_have(*role)).collect()
    }

    /// The tokens of a session that is in the log at this place.
    pub(crate) fn tokens(
        &self,
        session: Session,
        index: u64,
        refresh: &RefreshToken,
        now: i64,
    ) -> Result<Opened, NotSignedIn> {
        let exp = (now + ACCESS_SECONDS).min(session.ends);
        let claims = Claims {
            iss: self.issuer.cluster().to_owned(),
            aud: self.issuer.cluster().to_owned(),
            sub: session.user,
            sid: session.id,
            org: session.org,
            role: session.role,
            aal: session.assurance,
            idx: index,
            iat: now,
            exp,
        };
        let known = self.directory.signins();
        let access = self.issuer.sign(&claims, |id| known.signing_key(id).is_some());
        Ok(Opened {
            access: access.ok_or(NotSignedIn::NoKey)?,
            refresh: refresh.text(),
            access_seconds: exp - now,
            refresh_seconds: session.expires - now,
            session,
        })
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}
