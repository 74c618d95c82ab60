//! Forgets the keys that organisations issued and that are good no more: a table that only grows is full one day, and
//! whoever issues and revokes in a circle would fill it for everybody.
//!
//! What an operator put is not forgotten: the same command again must not bring a revoked key back to life.

use std::sync::Arc;

use residency_policy::{KeyId, OrgId};

use crate::machine::State;

/// How many are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = 64;

impl State {
    /// How long after it was revoked or expired an issued key is kept, in seconds: 90 days, in which an expired one may be
    /// rotated.
    pub const KEY_KEPT_SECONDS: i64 = 90 * 86_400;
    /// The most keys that one organisation issued and that are kept, those that are good no more included. The one that
    /// ended first is forgotten when there is one more.
    pub const KEYS_EACH_KEPT_MAX: usize = 1_000;

    /// When an issued key ends; of the others nobody looks for it.
    fn ending(&self, key: KeyId) -> Option<(i64, KeyId)> {
        self.grants.get(&key)?;
        Some((self.keys.get(&key)?.expires?, key))
    }

    /// Notes when a key ends.
    pub(crate) fn note_ending(&mut self, key: KeyId) {
        if let Some(ending) = self.ending(key) {
            Arc::make_mut(&mut self.key_endings).insert(ending, ());
        }
    }

    /// Forgets when a key ends, which is about to change.
    pub(crate) fn forget_ending(&mut self, key: KeyId) {
        if let Some(ending) = self.ending(key) {
            Arc::make_mut(&mut self.key_endings).remove(&ending);
        }
    }

    fn forget_key(&mut self, key: KeyId) {
        self.forget_ending(key);
        if let Some(verifier) = Arc::make_mut(&mut self.keys).remove(&key) {
            Arc::make_mut(&mut self.org_keys).remove(&(verifier.org, key));
        }
        Arc::make_mut(&mut self.grants).remove(&key);
        Arc::make_mut(&mut self.key_uses).remove(&key);
    }
}

/// Forgets some of the issued keys whose time is long over, the oldest first.
pub(crate) fn long_over(state: &mut State, at: i64) {
    let before = at.saturating_sub(State::KEY_KEPT_SECONDS);
    let over = state.key_endings.keys().take_while(|(ends, _)| *ends <= before);
    let over: Vec<KeyId> = over.take(FORGOTTEN_AT_ONCE).map(|(_, key)| *key).collect();
    for key in over {
        state.forget_key(key);
    }
}

/// Forgets what an organisation issued too many, of those that are good no more.
pub(crate) fn too_many_of(state: &mut State, org: OrgId, at: i64) {
    let (mut issued, mut over) = (0_usize, Vec::new());
    for key in state.keys_of(org).filter(|key| key.version > 0) {
        issued += 1;
        if let Some(ended) = key.expires.filter(|_| !key.is_good(at)) {
            over.push((ended, key.key));
        }
    }
    over.sort_unstable();
    for (_, key) in over.into_iter().take(issued.saturating_sub(State::KEYS_EACH_KEPT_MAX)) {
        state.forget_key(key);
    }
}
