//! An access record names its kind of entity by a word of the program.
use tests::walls::storage::{Access, AccessAction, Phi, Seen};

pub fn access(name: &Phi<String>, seen: &Seen) -> Access {
    #[cfg(not(wall))]
    {
        let _ = name.open(seen);
        Access::of(AccessAction::Search, "patient")
    }
    #[cfg(wall)]
    { Access::of(AccessAction::Search, name.open(seen)) } //~ E0521
}
