//! Passkeys: what is replicated of them, and what a change about them does. Pure: the times are in the commands.

use std::fmt;
use std::sync::Arc;

use residency_policy::{OrgId, PasskeyId, SessionId, UserId};
use serde::{Deserialize, Serialize};

use super::account::{Account, Session};
use super::act::{account, changed, end_all_of, make_room};
use super::enter::{room_for_flow, spend_flow};
use super::{CredentialId, SignIns};
use crate::command::{Refusal, must_be_replicated, record};
use crate::machine::State;

/// The public key of a passkey (RFC 9053). An authenticator keeps the other half.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasskeyKey {
    /// ECDSA on P-256 with SHA-256.
    Es256 {
        /// Where the point is.
        x: [u8; 32],
        /// Where the point is.
        y: [u8; 32],
    },
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2,048 bits: what the TPM of many a desktop makes.
    Rs256 {
        /// The modulus.
        n: Box<[[u8; 32]; 8]>,
        /// The exponent.
        e: [u8; 3],
    },
}

record! {
    /// A passkey (WebAuthn Level 3): what verifies, and nothing that signs. It has no name but the time when it was added.
    pub struct Passkey {
        /// Where.
        pub org: OrgId,
        /// Whose.
        pub user: UserId,
        /// Its id.
        pub id: PasskeyId,
        /// What its authenticator calls it. No two passkeys are called the same.
        pub credential: CredentialId,
        /// What verifies it.
        pub key: PasskeyKey,
        /// The signature counter that was shown last; 0 where its authenticator does not count.
        pub counter: u32,
        /// Whether its authenticator may copy it elsewhere. That never changes.
        pub backup_eligible: bool,
        /// Whether it was copied elsewhere when it was shown last.
        pub backed_up: bool,
        /// When it was added, in seconds after the Unix epoch.
        pub added: i64,
        /// When it last signed somebody in.
        pub used: Option<i64>,
    }
}

record! {
    /// Somebody showed a passkey.
    pub struct PasskeyShown {
        /// Where.
        pub org: OrgId,
        /// Who.
        pub user: UserId,
        /// Which passkey.
        pub passkey: PasskeyId,
        /// The signature counter that came along.
        pub counter: u32,
        /// Whether it is copied elsewhere now.
        pub backed_up: bool,
        /// The version of the account that was looked at.
        pub expected: u64,
        /// When.
        pub at: i64,
        /// SHA-256 of the challenge, which is good once.
        pub flow_sha256: [u8; 32],
        /// The second after the Unix epoch from which the challenge is refused.
        pub flow_ends: i64,
        /// The session that begins. None where something else keeps them out: the challenge is used up all the same.
        pub session: Option<Session>,
    }
}

record! {
    /// Somebody adds a passkey to their account.
    pub struct PasskeyAdded {
        /// The passkey.
        pub passkey: Passkey,
        /// Which session adds it.
        pub session: SessionId,
        /// The version of the account that was looked at.
        pub expected: u64,
        /// SHA-256 of the challenge, which is good once.
        pub flow_sha256: [u8; 32],
        /// The second after the Unix epoch from which the challenge is refused.
        pub flow_ends: i64,
    }
}

/// What is in them is left out of every log.
macro_rules! redacted {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )+};
}

redacted!(PasskeyKey, Passkey, PasskeyShown, PasskeyAdded);

/// Adds a passkey. The session that does is as sure as one that was begun with it. Where it is the first second factor the
/// account has, the others end; and an authenticator that nobody confirmed is forgotten, with its codes: whoever began to
/// enrol it may have been somebody else.
pub(super) fn add(state: &mut State, added: PasskeyAdded) -> Result<(), Refusal> {
    let PasskeyAdded { passkey, session, expected, flow_sha256, flow_ends } = added;
    let (org, user) = (passkey.org, passkey.user);
    if state.signin.federation().is_spent(flow_ends, &flow_sha256) {
        // The same proposal again; anything else is a challenge that is used a second time.
        let same = state.signin.passkey(org, user, passkey.id).is_some_and(|there| **there == passkey);
        return if same { Ok(()) } else { Err(Refusal::CodeUsed) };
    }
    let known = account(state, org, user)?;
    if passkey.added >= flow_ends {
        return Err(Refusal::Lapsed);
    }
    let held = state.signin.session(session).cloned();
    let held = held.filter(|held| (held.org, held.user) == (org, user) && passkey.added < held.ends);
    let held = held.ok_or(Refusal::UnknownSession)?;
    if known.version != expected {
        return Err(Refusal::StaleVersion);
    }
    let there = state.signin.passkey(org, user, passkey.id).is_some();
    if there || state.signin.passkey_called(&passkey.credential).is_some() {
        return Err(Refusal::AlreadyKnown);
    }
    if state.signin.passkeys_of(org, user).count() >= SignIns::PASSKEYS_EACH_MAX {
        return Err(Refusal::Full);
    }
    room_for_flow(state, passkey.added)?;
    let first = !state.signin.asks_for_more(&known);
    let known = changed(known)?;

    spend_flow(state, passkey.added, flow_ends, flow_sha256);
    let known = if known.has_authenticator() { known } else { Account { totp: None, recovery: None, ..known } };
    state.signin.put_account(known);
    state.signin.put_passkey(Passkey { used: None, ..passkey });
    if first {
        end_all_of(state, org, user, |one| one.id != session);
    }
    state.signin.put_session(Session { assurance: 2, ..Session::clone(&held) });
    state.signin.note_assured(session, passkey.added);
    Ok(())
}

/// Takes note of a passkey that was shown, and begins the session that it opens. A counter that does not go on is refused: two
/// copies of an authenticator would each show their own (WebAuthn Level 3, section 6.1.1).
pub(super) fn show(state: &mut State, shown: PasskeyShown) -> Result<(), Refusal> {
    let (org, user, at) = (shown.org, shown.user, shown.at);
    if state.signin.federation().is_spent(shown.flow_ends, &shown.flow_sha256) {
        let same = shown
            .session
            .as_ref()
            .is_some_and(|session| state.signin.session(session.id).is_some_and(|there| **there == *session));
        return if same { Ok(()) } else { Err(Refusal::CodeUsed) };
    }
    if at >= shown.flow_ends {
        return Err(Refusal::Lapsed);
    }
    let known = account(state, org, user)?;
    if known.version != shown.expected {
        return Err(Refusal::StaleVersion);
    }
    let passkey = state.signin.passkey(org, user, shown.passkey).cloned().ok_or(Refusal::UnknownPasskey)?;
    let counts = shown.counter > 0 || passkey.counter > 0;
    if counts && shown.counter <= passkey.counter {
        return Err(Refusal::CodeUsed);
    }
    if let Some(session) = &shown.session {
        if (session.org, session.user, session.created) != (org, user, at) {
            return Err(Refusal::UnknownSession);
        }
        if !state.may_be(user, org, session.role) {
            return Err(Refusal::NotAMember);
        }
        if state.signin.session(session.id).is_some() {
            return Err(Refusal::AlreadyKnown);
        }
    }
    room_for_flow(state, at)?;
    if let Some(session) = &shown.session {
        make_room(state, session)?;
    }

    spend_flow(state, at, shown.flow_ends, shown.flow_sha256);
    let (counter, backed_up) = (shown.counter, shown.backed_up);
    state.signin.put_passkey(Passkey { counter, backed_up, used: Some(at), ..Passkey::clone(&passkey) });
    if let Some(session) = shown.session {
        state.signin.put_session(session);
    }
    Ok(())
}

/// Forgets a passkey. Which sessions were begun with it is not kept, so all of its holder's end but the one that asks.
pub(super) fn remove(
    state: &mut State,
    (org, user): (OrgId, UserId),
    id: PasskeyId,
    session: SessionId,
) -> Result<(), Refusal> {
    let known = changed(account(state, org, user)?)?;
    if state.signin.passkey(org, user, id).is_none() {
        return Err(Refusal::UnknownPasskey);
    }
    // What was looked at before rests on it.
    state.signin.put_account(known);
    state.signin.forget_passkey(org, user, id);
    end_all_of(state, org, user, |one| one.id != session);
    Ok(())
}

impl SignIns {
    /// One passkey of a user at an organisation.
    pub fn passkey(&self, org: OrgId, user: UserId, id: PasskeyId) -> Option<&Arc<Passkey>> {
        self.passkeys.get(&(org, user, id))
    }

    /// The passkey that its authenticator calls so, whoever's it is.
    pub fn passkey_called(&self, credential: &CredentialId) -> Option<&Arc<Passkey>> {
        self.passkeys.get(self.credentials.get(&credential.place())?)
    }

    /// A user's passkeys at an organisation.
    pub fn passkeys_of(&self, org: OrgId, user: UserId) -> impl Iterator<Item = &Arc<Passkey>> {
        let first = (org, user, PasskeyId::from_bytes([0; 16]));
        let all = self.passkeys.iter_from(&first).map(|(_, passkey)| passkey);
        all.take_while(move |one| (one.org, one.user) == (org, user))
    }

    /// Every passkey.
    pub(crate) fn passkeys(&self) -> impl Iterator<Item = &Arc<Passkey>> {
        self.passkeys.values()
    }

    /// Whether somebody has to show more than a password: they enrolled an authenticator, or a passkey.
    pub fn asks_for_more(&self, account: &Account) -> bool {
        account.has_authenticator() || self.passkeys_of(account.org, account.user).next().is_some()
    }

    /// Puts a passkey. What its authenticator calls it never changes.
    pub(crate) fn put_passkey(&mut self, passkey: Passkey) {
        let place = (passkey.org, passkey.user, passkey.id);
        Arc::make_mut(&mut self.credentials).insert(passkey.credential.place(), place);
        Arc::make_mut(&mut self.passkeys).insert(place, Arc::new(passkey));
    }

    fn forget_passkey(&mut self, org: OrgId, user: UserId, id: PasskeyId) {
        if let Some(gone) = Arc::make_mut(&mut self.passkeys).remove(&(org, user, id)) {
            Arc::make_mut(&mut self.credentials).remove(&gone.credential.place());
        }
    }

    /// Forgets all passkeys of a user at an organisation.
    pub(super) fn forget_passkeys(&mut self, org: OrgId, user: UserId) {
        let all: Vec<PasskeyId> = self.passkeys_of(org, user).map(|one| one.id).collect();
        for id in all {
            self.forget_passkey(org, user, id);
        }
    }
}
