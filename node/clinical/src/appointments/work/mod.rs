//! Work that is on its way between this home and the control plane.

pub mod store;
