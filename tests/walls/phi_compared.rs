//! Comparing PHI would tell what it is, one guess at a time.
use tests::walls::storage::{Phi, Seen};

pub fn same(a: &Phi<String>, b: &Phi<String>, seen: &Seen) -> bool {
    #[cfg(not(wall))]
    {
        a.open(seen) == b.open(seen)
    }
    #[cfg(wall)]
    { let _ = seen; a == b } //~ E0369
}
