//! The commands about signing in.

use residency_policy::{DeviceId, IdentityProviderId, OrgId, PasskeyId, SessionId, UserId};
use serde::{Deserialize, Serialize};

use super::account::{
    Account, Invitation, PasswordVerifier, RecoveryCodes, SecondFactor, Session, SigningKey, TotpVerifier,
};
use super::identity_provider::{Entrance, IdentityProvider};
use super::{Device, LoginName, PasskeyAdded, PasskeyShown, RoleMapping, SignInSettings};
use crate::command::{commands, must_be_replicated};
use crate::peer::PeerKind;

commands! {
    /// One change of who can sign in and who is signed in. Times are seconds after the Unix epoch, by the proposer's clock.
    pub enum SignInChange {
        /// Adds an account. One that is there already stays as it is.
        AddAccount(Account),
        /// Invites a user to choose a password. An earlier invitation ends; what signs in stays until this one is taken up.
        Invite {
            /// Where.
            org: OrgId,
            /// Whom.
            user: UserId,
            /// The name to sign in with. It never changes.
            name: LoginName,
            /// What recognises the link.
            invitation: Invitation,
        },
        /// Takes up an invitation. Whatever signed in before is forgotten, and every session ends.
        Accept {
            /// Where.
            org: OrgId,
            /// Who.
            user: UserId,
            /// SHA-256 of the link's secret.
            secret_sha256: [u8; 32],
            /// The password that was chosen.
            password: PasswordVerifier,
            /// When.
            at: i64,
        },
        /// Counts a failed attempt.
        NoteFailure {
            /// Where.
            org: OrgId,
            /// Whose account.
            user: UserId,
            /// When.
            at: i64,
        },
        /// Begins a session.
        OpenSession {
            /// The session.
            session: Session,
            /// The version of the account that was looked at.
            expected: u64,
            /// What was shown beside the password.
            second: SecondFactor,
        },
        /// Replaces the changing half of a session's refresh token.
        Refresh {
            /// Which session.
            session: SessionId,
            /// SHA-256 of the half that was shown.
            from: [u8; 32],
            /// SHA-256 of the next one.
            to: [u8; 32],
            /// The second from which the next one is refused.
            expires: i64,
        },
        /// Ends a session. One that has ended stays so.
        EndSession(SessionId),
        /// Notes an authenticator that its holder has not shown a code of yet, and the codes that will stand in for it.
        EnrolTotp {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// The authenticator.
            totp: TotpVerifier,
            /// The codes.
            recovery: RecoveryCodes,
            /// The version of the account that was looked at.
            expected: u64,
        },
        /// From now on the authenticator is asked for.
        ConfirmTotp {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// The time step of the code that was shown.
            step: u64,
            /// Which session showed it. It is as sure as one that was begun with a code; the others end.
            session: SessionId,
            /// The version of the account that was looked at: a code of one authenticator confirms no other.
            expected: u64,
        },
        /// Adds a key with which a region's node signs.
        AddSigningKey(SigningKey),
        /// Adds a server that an organisation lets say who somebody is.
        AddIdentityProvider(IdentityProvider),
        /// Replaces such a server's secret or domain, or sets it aside.
        ChangeIdentityProvider {
            /// What it shall be.
            provider: IdentityProvider,
            /// The version that the proposer knew.
            expected: u64,
        },
        /// Removes such a server, with every link to it. The sessions of whoever was linked end.
        RemoveIdentityProvider {
            /// Whose.
            org: OrgId,
            /// Which.
            provider: IdentityProviderId,
        },
        /// Lets somebody in through such a server.
        Enter(Entrance),
        /// Notes a device on which somebody showed all that their account asks for.
        NoteDevice(Device),
        /// Lets a device's holder sign in with it.
        AdmitDevice {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// Which.
            id: DeviceId,
        },
        /// Forgets a device. Its holder's sessions end.
        RemoveDevice {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// Which.
            id: DeviceId,
        },
        /// Replaces an organisation's settings of signing in.
        PutSettings {
            /// What they shall be.
            settings: SignInSettings,
            /// The version that the proposer knew; 0 where there are none yet.
            expected: u64,
        },
        /// Replaces a password by its holder's doing. Every other session of theirs ends.
        ChangePassword {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// The password that was chosen.
            password: PasswordVerifier,
            /// What was shown beside the one before.
            second: SecondFactor,
            /// Which session showed it. It goes on.
            session: SessionId,
            /// The version of the account that was looked at.
            expected: u64,
            /// When.
            at: i64,
        },
        /// Uses up a code that was shown to confirm something which is no change of its own.
        UseCode {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// What was shown beside the password.
            second: SecondFactor,
            /// The version of the account that was looked at.
            expected: u64,
            /// When.
            at: i64,
        },
        /// Forgets what such a server calls a user. Their sessions end.
        Unlink {
            /// Where.
            org: OrgId,
            /// Whom.
            user: UserId,
            /// Which server.
            provider: IdentityProviderId,
        },
        /// Notes that a second factor was shown in a session that goes on.
        StepUp {
            /// Where.
            org: OrgId,
            /// Who.
            user: UserId,
            /// What was shown.
            second: SecondFactor,
            /// In which session.
            session: SessionId,
            /// The version of the account that was looked at.
            expected: u64,
            /// When.
            at: i64,
        },
        /// Adds a passkey by its holder's doing. Where it is their first second factor, every other session of theirs ends.
        AddPasskey(PasskeyAdded),
        /// Takes note of a passkey that was shown, and begins the session that it opens.
        ShowPasskey(PasskeyShown),
        /// Forgets a passkey by its holder's doing. Every other session of theirs ends.
        RemovePasskey {
            /// Where.
            org: OrgId,
            /// Whose.
            user: UserId,
            /// Which.
            id: PasskeyId,
            /// Which session asks. It goes on.
            session: SessionId,
        },
        /// Lets somebody in through a server that says that it asked for a second factor.
        EnterAssured {
            /// Who comes in.
            entrance: Entrance,
            /// When it was shown there, in seconds after the Unix epoch; 0 where that is not said. It counts from then.
            shown_at: i64,
        },
        /// Adds such a server or replaces what of it may change, together with what its groups make of people.
        PutIdentityProvider {
            /// What it shall be.
            provider: IdentityProvider,
            /// What its groups make of people; without it, roles are what the organisation says they are.
            mapping: Option<RoleMapping>,
            /// The version that the proposer knew; 0 for a new one.
            expected: u64,
        },
    }
}

impl SignInChange {
    /// A region's node signs in its own name only; the rest is everybody's business.
    pub(crate) fn may_be_proposed_by(&self, who: PeerKind) -> bool {
        match self {
            Self::AddSigningKey(key) => who == PeerKind::Region(key.region),
            _ => matches!(who, PeerKind::Region(_)),
        }
    }
}
