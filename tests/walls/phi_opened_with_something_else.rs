//! Nothing else is proof.
use tests::walls::storage::{Phi, Seen};

pub fn value<'a>(name: &'a Phi<String>, seen: &Seen) -> &'a String {
    #[cfg(not(wall))]
    {
        name.open(seen)
    }
    #[cfg(wall)]
    { let _ = seen; name.open(&()) } //~ E0308
}
