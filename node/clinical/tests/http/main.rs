//! The API over HTTP, in process, on a real Postgres.

mod document;
mod encounters;
mod forgotten;
mod ids;
mod limits;
mod organisations;
mod patients;
mod refusals;
mod support;
