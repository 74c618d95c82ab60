//! How many sign-ins of one address are under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many sign-ins of one address a node works on at once: a quarter of those that can wait there for a hash, which
/// `node/src/wiring/signin.rs` has the compiler check. Whoever floods it leaves the rest to others.
pub const SIGN_INS_AT_ONCE: usize = 16;

type Each = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// How many each address has under way. One that has none is not in it.
#[derive(Default)]
pub(crate) struct AtOnce {
    each: Each,
}

/// A sign-in that is under way, until this is dropped.
#[must_use]
pub struct Turn {
    whose: IpAddr,
    each: Each,
}

impl AtOnce {
    /// One more, unless the address has as many as it may.
    pub(crate) fn one_more(&self, whose: IpAddr) -> Option<Turn> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        let now = each.entry(whose).or_default();
        if *now >= SIGN_INS_AT_ONCE {
            return None;
        }
        *now += 1;
        Some(Turn { whose, each: Arc::clone(&self.each) })
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.each.lock().expect("a lock").is_empty()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = each.get_mut(&self.whose) {
            *now -= 1;
            if *now == 0 {
                each.remove(&self.whose);
            }
        }
    }
}
