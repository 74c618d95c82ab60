//! The constructor is the crate's own.
use tests::walls::storage::Seen;

pub fn seen(one: Seen) -> Seen {
    #[cfg(not(wall))]
    {
        one
    }
    #[cfg(wall)]
    { let _ = one; Seen::recorded() } //~ E0624
}
