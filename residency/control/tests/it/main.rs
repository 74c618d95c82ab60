//! The control plane's tests, in one binary.

mod keys;
mod machine;
mod members;
mod peers;
mod store;
mod support;
