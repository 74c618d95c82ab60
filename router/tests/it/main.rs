//! The router over real sockets, in front of homes that record what reaches them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

mod certificates;
mod configuring;
mod counting;
mod forwarding;
mod headers;
mod holding;
mod identifying;
mod indistinct;
mod joining;
mod limits;
mod refusing;
mod renewing;
mod smuggling;
mod stopping;
