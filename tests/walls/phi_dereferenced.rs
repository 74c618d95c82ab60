//! PHI has no `Deref`.
use tests::walls::storage::{Phi, Seen};

pub fn length(name: &Phi<String>, seen: &Seen) -> usize {
    #[cfg(not(wall))]
    {
        name.open(seen).len()
    }
    #[cfg(wall)]
    { let _ = seen; name.len() } //~ E0599
}
