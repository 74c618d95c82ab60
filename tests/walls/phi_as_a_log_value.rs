//! A log field takes values that tracing knows.
use tests::walls::{storage::Phi, tracing};

pub fn log(birth_year: &Phi<u16>) {
    #[cfg(not(wall))]
    {
        tracing::info!(?birth_year, "registered");
    }
    #[cfg(wall)]
    { tracing::info!(birth_year, "registered"); } //~ E0277
}
