//! When API keys were used at this node since it was last told to the others. One change for all keys every few minutes:
//! one for each request would make every read a change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use residency_policy::KeyId;

/// The keys that were used, and when last, in seconds after the Unix epoch. Only keys that were recognised are noted, so it
/// is no larger than the state's list of them.
#[derive(Debug, Default)]
pub struct Used(RwLock<HashMap<KeyId, AtomicI64>>);

impl Used {
    /// Notes that a key is used now. Mostly it is there, and nothing is locked out.
    pub fn note(&self, key: KeyId, now: i64) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = known.get(&key) {
            // What is the same is not written: processors would pass the line back and forth.
            if last.load(Ordering::Relaxed) < now {
                last.fetch_max(now, Ordering::Relaxed);
            }
            return;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_default().fetch_max(now, Ordering::Relaxed);
    }

    /// What was noted since this was last asked.
    pub fn take(&self) -> Vec<(KeyId, i64)> {
        let taken = std::mem::take(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
        taken.into_iter().map(|(key, last)| (key, last.into_inner())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_noted_once_with_its_last_use_and_told_once() {
        let used = Used::default();
        let [one, other] = [1, 2].map(|n| KeyId::from_bytes([n; 16]));
        for (key, at) in [(one, 7), (other, 5), (one, 9), (one, 8)] {
            used.note(key, at);
        }
        let mut taken = used.take();
        taken.sort_unstable();
        assert_eq!(taken, [(one, 9), (other, 5)]);
        assert_eq!(used.take(), []);
        used.note(one, 10);
        assert_eq!(used.take(), [(one, 10)]);
    }
}
