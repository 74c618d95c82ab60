//! What may be replicated is a closed list in one file.
use tests::walls::residency_control::command::Replicated;

pub struct Note(pub String);

#[cfg(wall)]
impl Replicated for Note {} //~ E0277

pub fn carries(_: &impl Replicated) {}
