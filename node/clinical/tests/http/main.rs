//! The API over HTTP, in process, on a real Postgres.

mod again;
mod appointments;
mod authenticators;
mod book;
mod calendars;
mod crashes;
mod document;
mod encounters;
mod federation;
mod forgotten;
mod ids;
mod invitations;
mod limits;
mod organisations;
mod patients;
mod plans;
mod refusals;
mod removed;
mod sessions;
mod signin;
mod support;
mod waitlist;
