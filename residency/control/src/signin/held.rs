//! The accounts, sessions and signing keys that there are, and what finds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use residency_policy::{DeviceId, OrgId, PasskeyId, SessionId, SigningKeyId, UserId};

use super::account::{Account, Session, SigningKey};
use super::federation::Federation;
use super::{Device, LoginName, Passkey, SignInSettings};
use crate::Sheets;

/// Everything about signing in that is replicated. A clone is cheap and shares what neither side has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIns {
    accounts: Arc<Sheets<(OrgId, UserId), Arc<Account>>>,
    /// What finds an account by its name; follows from the accounts.
    names: Arc<Sheets<[u8; 32], UserId>>,
    sessions: Arc<Sheets<SessionId, Arc<Session>>>,
    /// Whose sessions are whose; follows from the sessions.
    whose: Arc<Sheets<(OrgId, UserId, SessionId), ()>>,
    /// When sessions end; follows from the sessions.
    endings: Arc<Sheets<(i64, SessionId), ()>>,
    /// When a second factor was shown last, where that was not when the session began.
    assured: Arc<Sheets<SessionId, i64>>,
    keys: Arc<BTreeMap<SigningKeyId, SigningKey>>,
    federation: Federation,
    settings: Arc<Sheets<OrgId, Arc<SignInSettings>>>,
    devices: Arc<Sheets<(OrgId, UserId, DeviceId), Device>>,
    pub(super) passkeys: Arc<Sheets<(OrgId, UserId, PasskeyId), Arc<Passkey>>>,
    /// What finds a passkey by what its authenticator calls it; follows from the passkeys.
    pub(super) credentials: Arc<Sheets<[u8; 32], (OrgId, UserId, PasskeyId)>>,
}

impl SignIns {
    /// The most accounts.
    pub const ACCOUNTS_MAX: usize = 1_000_000;
    /// The most sessions.
    pub const SESSIONS_MAX: usize = 2_000_000;
    /// The most sessions of one account. The oldest ends when there is one more.
    pub const SESSIONS_EACH_MAX: usize = 16;
    /// The most devices of one account.
    pub const DEVICES_EACH_MAX: usize = 8;
    /// How long a second factor counts after it was shown, in seconds.
    pub const SURE_SECONDS: i64 = 3_600;
    /// The most passkeys of one account.
    pub const PASSKEYS_EACH_MAX: usize = 8;
    /// The most keys with which one region signs, those that only verify by now included.
    pub const KEYS_EACH_MAX: usize = 32;

    /// How a user signs in at an organisation.
    pub fn account(&self, org: OrgId, user: UserId) -> Option<&Arc<Account>> {
        self.accounts.get(&(org, user))
    }

    /// The account of this name.
    pub fn account_named(&self, org: OrgId, name: &LoginName) -> Option<&Arc<Account>> {
        self.account(org, *self.names.get(&name.place(org))?)
    }

    /// Every account.
    pub fn accounts(&self) -> &Sheets<(OrgId, UserId), Arc<Account>> {
        &self.accounts
    }

    /// One session that has not ended. Whether its time is over is for a clock to say.
    pub fn session(&self, id: SessionId) -> Option<&Arc<Session>> {
        self.sessions.get(&id)
    }

    /// Every session.
    pub fn sessions(&self) -> &Sheets<SessionId, Arc<Session>> {
        &self.sessions
    }

    /// A user's sessions at an organisation, ascending by id.
    pub fn sessions_of(&self, org: OrgId, user: UserId) -> impl Iterator<Item = &Arc<Session>> {
        let first = SessionId::from_bytes([0; 16]);
        self.whose
            .iter_from(&(org, user, first))
            .map(|(place, ())| place)
            .take_while(move |(at, of, _)| (*at, *of) == (org, user))
            .filter_map(|(.., id)| self.sessions.get(id))
    }

    /// Whether a second factor was shown in a session, and less than an hour ago.
    pub fn is_sure(&self, session: &Session, now: i64) -> bool {
        session.assurance >= 2 && now < self.assured_at(session).saturating_add(Self::SURE_SECONDS)
    }

    /// When a second factor was shown last in a session that is as sure as one.
    pub fn assured_at(&self, session: &Session) -> i64 {
        self.assured.get(&session.id).copied().unwrap_or(session.created)
    }

    /// When second factors were shown in sessions that had begun before.
    pub(crate) fn assured(&self) -> impl Iterator<Item = (SessionId, i64)> {
        self.assured.iter().map(|(id, at)| (*id, *at))
    }

    /// Notes when a second factor was shown in a session that has not ended.
    pub(crate) fn note_assured(&mut self, id: SessionId, at: i64) {
        if self.sessions.contains_key(&id) {
            Arc::make_mut(&mut self.assured).insert(id, at);
        }
    }

    /// The sessions at an organisation.
    pub(super) fn sessions_at(&self, org: OrgId) -> Vec<SessionId> {
        let first = (org, UserId::from_bytes([0; 16]), SessionId::from_bytes([0; 16]));
        let here = self.whose.iter_from(&first).take_while(|((at, ..), ())| *at == org);
        here.map(|((.., id), ())| *id).collect()
    }

    /// At most so many sessions that ended before this second, the oldest first.
    pub(super) fn over(&self, before: i64, at_most: usize) -> Vec<SessionId> {
        let all = self.endings.keys().take_while(|(ends, _)| *ends < before);
        all.take(at_most).map(|(_, id)| *id).collect()
    }

    /// One signing key.
    pub fn signing_key(&self, id: SigningKeyId) -> Option<&SigningKey> {
        self.keys.get(&id)
    }

    /// Every signing key, ascending by id.
    pub fn signing_keys(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.values()
    }

    /// The identity providers.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// One device of a user at an organisation.
    pub fn device(&self, org: OrgId, user: UserId, id: DeviceId) -> Option<&Device> {
        self.devices.get(&(org, user, id))
    }

    /// A user's devices at an organisation.
    pub fn devices_of(&self, org: OrgId, user: UserId) -> impl Iterator<Item = &Device> {
        let first = (org, user, DeviceId::from_bytes([0; 16]));
        let all = self.devices.iter_from(&first).map(|(_, device)| device);
        all.take_while(move |one| (one.org, one.user) == (org, user))
    }

    /// Everybody's devices at an organisation.
    pub fn devices_at(&self, org: OrgId) -> impl Iterator<Item = &Device> {
        let first = (org, UserId::from_bytes([0; 16]), DeviceId::from_bytes([0; 16]));
        let all = self.devices.iter_from(&first).map(|(_, device)| device);
        all.take_while(move |one| one.org == org)
    }

    /// Every device.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// Puts a device.
    pub(crate) fn put_device(&mut self, device: Device) {
        Arc::make_mut(&mut self.devices).insert((device.org, device.user, device.id), device);
    }

    /// Forgets all devices of a user at an organisation.
    pub(super) fn forget_devices(&mut self, org: OrgId, user: UserId) {
        let all: Vec<DeviceId> = self.devices_of(org, user).map(|one| one.id).collect();
        for id in all {
            self.forget_device(org, user, id);
        }
    }

    /// Forgets a device.
    pub(super) fn forget_device(&mut self, org: OrgId, user: UserId, id: DeviceId) {
        Arc::make_mut(&mut self.devices).remove(&(org, user, id));
    }

    /// What an organisation asks of everybody who signs in there; nothing, where it set nothing.
    pub fn settings(&self, org: OrgId) -> Option<&Arc<SignInSettings>> {
        self.settings.get(&org)
    }

    /// The settings of every organisation that set some.
    pub(crate) fn all_settings(&self) -> impl Iterator<Item = &Arc<SignInSettings>> {
        self.settings.values()
    }

    /// Puts an organisation's settings.
    pub(crate) fn put_settings(&mut self, settings: SignInSettings) {
        Arc::make_mut(&mut self.settings).insert(settings.org, Arc::new(settings));
    }

    pub(crate) fn federation_mut(&mut self) -> &mut Federation {
        &mut self.federation
    }

    /// Puts an account. Its name never changes.
    pub(crate) fn put_account(&mut self, account: Account) {
        Arc::make_mut(&mut self.names).insert(account.name.place(account.org), account.user);
        Arc::make_mut(&mut self.accounts).insert((account.org, account.user), Arc::new(account));
    }

    /// Puts a session. When a second factor was shown in it stays.
    pub(crate) fn put_session(&mut self, session: Session) {
        let (id, assured) = (session.id, self.assured.get(&session.id).copied());
        self.end(id);
        Arc::make_mut(&mut self.whose).insert((session.org, session.user, session.id), ());
        Arc::make_mut(&mut self.endings).insert((session.ends, session.id), ());
        Arc::make_mut(&mut self.sessions).insert(id, Arc::new(session));
        if let Some(at) = assured {
            self.note_assured(id, at);
        }
    }

    /// Ends a session, if it has not ended.
    pub(super) fn end(&mut self, id: SessionId) {
        if !self.sessions.contains_key(&id) {
            return;
        }
        if let Some(gone) = Arc::make_mut(&mut self.sessions).remove(&id) {
            Arc::make_mut(&mut self.whose).remove(&(gone.org, gone.user, id));
            Arc::make_mut(&mut self.endings).remove(&(gone.ends, id));
            if self.assured.contains_key(&id) {
                Arc::make_mut(&mut self.assured).remove(&id);
            }
        }
    }

    /// Puts a signing key.
    pub(crate) fn put_key(&mut self, key: SigningKey) {
        Arc::make_mut(&mut self.keys).insert(key.id, key);
    }

    /// Forgets a signing key.
    pub(super) fn forget_key(&mut self, id: SigningKeyId) {
        Arc::make_mut(&mut self.keys).remove(&id);
    }
}
