//! One act per file.

pub mod bind;
pub mod create;
pub mod deactivate;
pub mod list;
pub mod read;
pub mod update;
