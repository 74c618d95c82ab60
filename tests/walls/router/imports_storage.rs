//! The router cannot name what opens PHI: neither storage, nor its keys, nor the database's driver.
pub use residency_policy::PatientId;

#[cfg(wall)]
pub use storage::RegionPool; //~ E0432
#[cfg(wall)]
pub use storage_keys::Envelope; //~ E0432
#[cfg(wall)]
pub use tokio_postgres::Client; //~ E0432
