//! A log field takes what can be displayed. `?name` is allowed: the Debug of PHI says nothing.
use tests::walls::{storage::Phi, tracing};

pub fn log(name: &Phi<String>) {
    #[cfg(not(wall))]
    {
        tracing::info!(name = ?name, "registered");
    }
    #[cfg(wall)]
    { tracing::info!(name = %name, "registered"); } //~ E0277
}
