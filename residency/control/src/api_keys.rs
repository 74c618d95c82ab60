//! API keys that an organisation issues itself: for what, until when, and with which secret before the present one.
//!
//! The verifier ([`KeyVerifier`]) is what every key has; what stands here a key has only if it was issued by its
//! organisation's administrator. A key that an operator put has every scope.

use std::sync::Arc;

use residency_policy::{KeyId, KeyScopes, OrgId, Role, UserId};
use serde::{Deserialize, Deserializer, Serialize};

use crate::JurisdictionSet;
use crate::command::{KeyVerifier, Refusal, commands, must_be_replicated, record};
use crate::forget_keys;
use crate::machine::{self, State};
use crate::peer::PeerKind;

record! {
    /// What was said when a key was issued or rotated.
    #[derive(Debug)]
    pub struct KeyGrant {
        /// For what.
        pub scopes: KeyScopes,
        /// When it was issued, in seconds after the Unix epoch.
        pub created: i64,
        /// 1 when it was issued, and one more with every rotation.
        pub version: u64,
        /// The secret before this one, while it is still good.
        pub previous: Option<PreviousSecret>,
    }
}

record! {
    /// A secret that another one has taken the place of.
    pub struct PreviousSecret {
        /// SHA-256 of it.
        pub secret_sha256: [u8; 32],
        /// The second after the Unix epoch from which it is refused.
        pub until: i64,
    }
}

impl std::fmt::Debug for PreviousSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviousSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

commands! {
    /// One change of the keys that organisations issue themselves. Times are seconds after the Unix epoch, by the
    /// proposer's clock.
    pub enum KeyChange {
        /// Issues a key.
        Issue {
            /// What recognises it. It must expire.
            verifier: KeyVerifier,
            /// For what.
            scopes: KeyScopes,
            /// When.
            at: i64,
        },
        /// Gives a key another secret. The present one stays good for a while.
        Rotate {
            /// Which key.
            key: KeyId,
            /// SHA-256 of the new secret.
            secret_sha256: [u8; 32],
            /// From when on the key is refused, whichever secret is shown.
            expires: i64,
            /// From when on the present secret is refused.
            overlap_until: i64,
            /// When.
            at: i64,
            /// The version that the proposer knew.
            expected: u64,
        },
        /// Notes when keys were last used.
        NoteUses(KeyUses),
        /// Revokes a key for good, and says when, so that it can be forgotten.
        Revoke {
            /// Which key.
            key: KeyId,
            /// When.
            at: i64,
        },
    }
}

/// When keys were last used: 1 to 1,024 different keys, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct KeyUses(Box<[(KeyId, i64)]>);

/// The keys do not make a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of used keys: expected 1 to 1,024 different keys")]
pub struct NotKeyUses;

impl KeyUses {
    /// The most keys in one list.
    pub const LEN_MAX: usize = 1_024;

    /// These keys, in any order.
    pub fn new(mut uses: Vec<(KeyId, i64)>) -> Result<Self, NotKeyUses> {
        uses.sort_unstable();
        Self::ascending(uses)
    }

    /// The keys, ascending.
    pub fn as_slice(&self) -> &[(KeyId, i64)] {
        &self.0
    }

    fn ascending(uses: Vec<(KeyId, i64)>) -> Result<Self, NotKeyUses> {
        let ascending = uses.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if uses.is_empty() || uses.len() > Self::LEN_MAX || !ascending {
            return Err(NotKeyUses);
        }
        Ok(Self(uses.into()))
    }
}

impl<'de> Deserialize<'de> for KeyUses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::ascending(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A key as its organisation's administrator sees it. Nothing in it recognises or makes the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStanding {
    /// The key.
    pub key: KeyId,
    /// What its holder may be.
    pub role: Role,
    /// The jurisdictions that it works in.
    pub jurisdictions: JurisdictionSet,
    /// Whose it is, if it is a person's.
    pub user: Option<UserId>,
    /// For what it was issued.
    pub scopes: KeyScopes,
    /// When it was issued; not known of one that an operator put.
    pub created: Option<i64>,
    /// From when on it is refused.
    pub expires: Option<i64>,
    /// Until when the secret before the present one is good too.
    pub overlap_until: Option<i64>,
    /// When it was last used, a few minutes late.
    pub last_used: Option<i64>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// How often it was issued or rotated; 0 for one that an operator put.
    pub version: u64,
}

impl KeyGrant {
    /// Whether the secret of this digest was the one before the present one, and is still good.
    pub(crate) fn was(
        &self,
        secret_sha256: &[u8; 32],
        now: i64,
        equal: fn(&[u8; 32], &[u8; 32]) -> bool,
    ) -> bool {
        self.previous.as_ref().is_some_and(|past| now < past.until && equal(&past.secret_sha256, secret_sha256))
    }
}

impl KeyStanding {
    /// Whether it is accepted, as far as it is up to the key.
    pub fn is_good(&self, now: i64) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }
}

impl KeyChange {
    /// Everybody's nodes issue keys for whoever asks there.
    pub(crate) fn may_be_proposed_by(who: PeerKind) -> bool {
        matches!(who, PeerKind::Region(_))
    }
}

impl State {
    /// The most keys of one organisation that are neither revoked nor expired when another one is issued.
    pub const KEYS_EACH_MAX: usize = 200;
    /// The longest that an issued key is good, in seconds: a year and a day.
    pub const KEY_SECONDS_MAX: i64 = 366 * 86_400;
    /// The longest that a secret stays good after it was rotated, in seconds: a week.
    pub const OVERLAP_SECONDS_MAX: i64 = 7 * 86_400;

    /// What was said when a key was issued.
    pub fn grant(&self, key: KeyId) -> Option<&KeyGrant> {
        self.grants.get(&key)
    }

    /// An organisation's keys, ascending by id: also those that are revoked or expired.
    pub fn keys_of(&self, org: OrgId) -> impl Iterator<Item = KeyStanding> {
        let first = (org, KeyId::from_bytes([0; 16]));
        let own =
            self.org_keys.iter_from(&first).map(|(place, ())| *place).take_while(move |(of, _)| *of == org);
        own.filter_map(|(_, key)| self.standing(key))
    }

    fn standing(&self, key: KeyId) -> Option<KeyStanding> {
        let verifier = self.keys.get(&key)?;
        let grant = self.grants.get(&key);
        Some(KeyStanding {
            key,
            role: verifier.role,
            jurisdictions: verifier.jurisdictions,
            user: self.key_users.get(&key).copied(),
            scopes: grant.map_or(KeyScopes::ALL, |grant| grant.scopes),
            created: grant.map(|grant| grant.created),
            expires: verifier.expires,
            overlap_until: grant.and_then(|grant| grant.previous.as_ref()).map(|past| past.until),
            last_used: self.key_uses.get(&key).copied(),
            revoked: verifier.revoked,
            version: grant.map_or(0, |grant| grant.version),
        })
    }

    /// Puts a verifier, and what finds it by its organisation and by when it ends.
    pub(crate) fn insert_key(&mut self, verifier: KeyVerifier) {
        let key = verifier.key;
        self.forget_ending(key);
        Arc::make_mut(&mut self.org_keys).insert((verifier.org, key), ());
        Arc::make_mut(&mut self.keys).insert(key, verifier);
        self.note_ending(key);
    }

    /// Puts what was said when a key was issued or rotated.
    pub(crate) fn insert_grant(&mut self, key: KeyId, grant: KeyGrant) {
        Arc::make_mut(&mut self.grants).insert(key, grant);
        self.note_ending(key);
    }
}

/// Applies one change. One that is refused changes nothing at all.
pub(crate) fn apply(state: &mut State, change: KeyChange) -> Result<(), Refusal> {
    match change {
        KeyChange::Issue { verifier, scopes, at } => issue(state, verifier, scopes, at),
        KeyChange::Rotate { key, secret_sha256, expires, overlap_until, at, expected } => {
            rotate(state, key, secret_sha256, (expires, overlap_until, at), expected)
        }
        KeyChange::NoteUses(uses) => {
            note_uses(state, &uses);
            Ok(())
        }
        KeyChange::Revoke { key, at } => revoke(state, key, at),
    }
}

/// Whether a key may be good until then, from now on.
fn in_time(expires: i64, at: i64) -> bool {
    at < expires && expires <= at.saturating_add(State::KEY_SECONDS_MAX)
}

fn issue(state: &mut State, verifier: KeyVerifier, scopes: KeyScopes, at: i64) -> Result<(), Refusal> {
    match (state.keys.get(&verifier.key), state.grants.get(&verifier.key)) {
        (None, _) => {}
        // The same proposal again.
        (Some(known), Some(grant)) if *known == verifier && (grant.scopes, grant.created) == (scopes, at) => {
            return Ok(());
        }
        (Some(_), _) => return Err(Refusal::AlreadyKnown),
    }
    let org = verifier.org;
    if !state.organisations.contains_key(&org) {
        return Err(Refusal::UnknownOrg);
    }
    if state.mark(org).closed.is_some() {
        return Err(Refusal::Closed);
    }
    if verifier.revoked || scopes.is_empty() || !verifier.expires.is_some_and(|expires| in_time(expires, at)) {
        return Err(Refusal::Lapsed);
    }
    if state.keys_of(org).filter(|key| key.is_good(at)).count() >= State::KEYS_EACH_MAX {
        return Err(Refusal::Full);
    }
    let key = verifier.key;
    machine::put_key(state, verifier)?;
    state.insert_grant(key, KeyGrant { scopes, created: at, version: 1, previous: None });
    forget_keys::long_over(state, at);
    forget_keys::too_many_of(state, org, at);
    Ok(())
}

fn rotate(
    state: &mut State,
    key: KeyId,
    secret_sha256: [u8; 32],
    (expires, overlap_until, at): (i64, i64, i64),
    expected: u64,
) -> Result<(), Refusal> {
    let known = state.keys.get(&key).ok_or(Refusal::UnknownKey)?.clone();
    // What an operator put, an operator replaces.
    let grant = state.grants.get(&key).ok_or(Refusal::UnknownKey)?.clone();
    if known.revoked || !in_time(expires, at) || overlap_until > at.saturating_add(State::OVERLAP_SECONDS_MAX) {
        return Err(Refusal::Lapsed);
    }
    if grant.version != expected {
        return Err(Refusal::StaleVersion);
    }
    let version = grant.version.checked_add(1).ok_or(Refusal::Full)?;
    // What the organisation gave up since is not given out again.
    let serves = state.organisations.get(&known.org).ok_or(Refusal::UnknownOrg)?.serves;
    let jurisdictions: JurisdictionSet =
        known.jurisdictions.iter().filter(|one| serves.contains(*one)).collect();
    if jurisdictions.is_empty() {
        return Err(Refusal::Lapsed);
    }
    // An expired key comes back with its new secret only.
    let until = overlap_until.min(known.expires.unwrap_or(i64::MAX));
    let past = PreviousSecret { secret_sha256: known.secret_sha256, until };
    let grant = KeyGrant { version, previous: (at < until).then_some(past), ..grant };
    state.insert_grant(key, grant);
    state.insert_key(KeyVerifier { secret_sha256, expires: Some(expires), jurisdictions, ..known });
    Ok(())
}

/// Revokes a key. It is refused from then on, so that is when it expires at the latest.
fn revoke(state: &mut State, key: KeyId, at: i64) -> Result<(), Refusal> {
    let known = state.keys.get(&key).ok_or(Refusal::UnknownKey)?.clone();
    let expires = Some(known.expires.map_or(at, |expires| expires.min(at)));
    state.insert_key(KeyVerifier { revoked: true, expires, ..known });
    Ok(())
}

/// Of a key that is not known nothing is noted, and nothing is unlearnt.
fn note_uses(state: &mut State, uses: &KeyUses) {
    for (key, at) in &uses.0 {
        let later = state.key_uses.get(key).is_none_or(|known| known < at);
        if later && state.keys.contains_key(key) {
            Arc::make_mut(&mut state.key_uses).insert(*key, *at);
        }
    }
}
