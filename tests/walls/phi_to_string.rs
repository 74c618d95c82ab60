//! What cannot be displayed has no `to_string`.
use tests::walls::storage::Phi;

pub fn text(name: &Phi<String>) -> String {
    #[cfg(not(wall))]
    {
        format!("{name:?}")
    }
    #[cfg(wall)]
    { name.to_string() } //~ E0599
}
