//! What the walls (`tests/walls/*.rs`) are built against: one crate to link, so that all they name are the very
//! crates that this test binary was built with.
//!
//! A wall is one file, compiled twice by the compiler itself: with `--cfg wall` it must be refused, by the error
//! code and on the line that it names; without it must compile. `trybuild` was the alternative: it builds the
//! whole dependency tree a second time, and compares the compiler's prose.

pub use {
    anyhow, loadtest_people, node_access, prometheus_client, residency_control, residency_policy, router,
    serde_json, storage, thiserror, tokio_postgres, tracing, uuid,
};
