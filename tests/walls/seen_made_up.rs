//! Proof is made by a commit and by nothing else.
use tests::walls::storage::Seen;

pub fn seen(one: Seen) -> Seen {
    #[cfg(not(wall))]
    {
        one
    }
    #[cfg(wall)]
    { let _ = one; Seen(()) } //~ E0423
}
