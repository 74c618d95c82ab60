//! The value inside is private.
use tests::walls::storage::{Phi, Seen};

pub fn value(name: Phi<String>, seen: &Seen) -> String {
    #[cfg(not(wall))]
    {
        name.into_open(seen)
    }
    #[cfg(wall)]
    { let _ = seen; name.0 } //~ E0616
}
