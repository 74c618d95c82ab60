//! What can be done with clinicians over HTTP.

mod changing;
pub mod create;
pub mod list;
pub mod read;
pub mod replace;
