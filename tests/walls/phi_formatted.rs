//! Text is made from what can be displayed.
use tests::walls::storage::Phi;

pub fn greeting(name: &Phi<String>) -> String {
    #[cfg(not(wall))]
    {
        format!("Dear {name:?}")
    }
    #[cfg(wall)]
    { format!("Dear {name}") } //~ E0277
}
