//! The API over HTTP, in process, on a real Postgres.

mod again;
mod appointments;
mod authenticators;
mod book;
mod break_glass;
mod calendars;
mod consents;
mod crashes;
mod crowds;
mod document;
mod encounters;
mod forgotten;
mod ids;
mod invitations;
mod limits;
mod organisations;
mod patients;
mod plans;
mod policies;
mod refusals;
mod removed;
mod segregated;
mod sessions;
mod signin;
mod support;
mod waitlist;
