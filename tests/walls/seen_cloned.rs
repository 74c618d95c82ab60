//! One commit opens what it recorded and no more.
use tests::walls::storage::Seen;

pub fn two(one: &Seen) -> &Seen {
    #[cfg(not(wall))]
    {
        one
    }
    #[cfg(wall)]
    { let two: Seen = one.clone(); Box::leak(Box::new(two)) } //~ E0308
}
