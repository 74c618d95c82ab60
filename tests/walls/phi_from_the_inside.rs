//! The crate's own way in is the crate's own.
use tests::walls::storage::{Phi, Seen};

pub fn value<'a>(name: &'a Phi<String>, seen: &Seen) -> &'a String {
    #[cfg(not(wall))]
    {
        name.open(seen)
    }
    #[cfg(wall)]
    { let _ = seen; name.inside() } //~ E0624
}
