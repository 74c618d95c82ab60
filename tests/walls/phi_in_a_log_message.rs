//! A log message is formatted text.
use tests::walls::{storage::Phi, tracing};

pub fn log(name: &Phi<String>) {
    #[cfg(not(wall))]
    {
        tracing::warn!("a name was refused: {name:?}");
    }
    #[cfg(wall)]
    { tracing::warn!("the name {name} was refused"); } //~ E0277
}
