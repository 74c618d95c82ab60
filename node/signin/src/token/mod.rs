//! Access tokens: what makes them, and who they stand for. What reads them is in `residency-tokens`.

pub mod caller;
pub mod issuer;
