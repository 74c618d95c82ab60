//! How many requests are at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request at work, until this is dropped.
pub(crate) struct AtWork {
    pub(crate) how_many: usize,
    of: Arc<AtomicUsize>,
}

impl AtWork {
    pub(crate) fn one_more(of: &Arc<AtomicUsize>) -> Self {
        Self { how_many: of.fetch_add(1, Ordering::Relaxed) + 1, of: Arc::clone(of) }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.of.fetch_sub(1, Ordering::Relaxed);
    }
}
