//! The schema as data: its migrations, what each column is, and every statement that this crate sends.

mod registry;
mod shown_to;
mod tables;

pub use registry::{Class, Field, Form, REGISTRY};
pub use tables::{TABLES, Table};

/// One migration.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place in the order: `yyyymmddNN`.
    pub version: i64,
    /// Its file's name without `.sql`.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
    /// The text of the way back. The first migration has none: it holds the stamp.
    pub down: Option<&'static str>,
}

macro_rules! migrations {
    (first $first:tt $first_name:literal, $($version:tt $name:literal,)+) => {
        /// Every migration, in order. A list and not a folder read by a macro, so that cargo sees a new file.
        #[expect(clippy::unreadable_literal, reason = "a date and a number, as in the file's name")]
        pub const MIGRATIONS: &[Migration] = &[Migration {
            version: $first,
            name: concat!("V", $first, "__", $first_name),
            sql: include_str!(concat!("../../migrations/V", $first, "__", $first_name, ".sql")),
            down: None,
        }, $(Migration {
            version: $version,
            name: concat!("V", $version, "__", $name),
            sql: include_str!(concat!("../../migrations/V", $version, "__", $name, ".sql")),
            down: Some(include_str!(concat!("../../migrations/down/V", $version, "__", $name, ".sql"))),
        },)+];
    };
}

migrations! {
    first 2026112201 "region",
    2026112202 "patients",
    2026112203 "encounters",
    2026112204 "records",
    2026112205 "row_security",
    2026112301 "access_log_user",
    2026112305 "records_together",
    2026112310 "appointments",
    2026112311 "fewer_statements",
    2026112320 "consents",
    2026112321 "break_glass",
    2026112322 "enter_home",
    2026112330 "purposes",
    2026112335 "booked_for",
    2026112340 "portal",
    2026112350 "whole_records",
    2026112351 "audit_tree",
}

/// Every statement that this crate sends, by name, so that a test can prepare each against the migrated schema.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        crate::access_log::STATEMENTS,
        crate::bookings::STATEMENTS,
        crate::fence::STATEMENTS,
        crate::idempotency::STATEMENTS,
        crate::ids::STATEMENTS,
        crate::lanes::STATEMENTS,
        crate::portal::STATEMENTS,
        crate::stamp::STATEMENTS,
        crate::tx::STATEMENTS,
    ]
    .into_iter()
    .chain(crate::audit_tree::STATEMENTS.iter().copied())
    .flatten()
    .copied()
}
