//! PHI leaves as JSON only after it was opened into a view.
use tests::walls::{serde_json, storage::{Phi, Seen}};

pub fn body(name: &Phi<String>, seen: &Seen) -> String {
    #[cfg(not(wall))]
    {
        serde_json::to_string(name.open(seen)).unwrap_or_default()
    }
    #[cfg(wall)]
    { let _ = seen; serde_json::to_string(name).unwrap_or_default() } //~ E0277
}
