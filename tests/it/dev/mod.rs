//! `domicile dev` as people use it.

mod schema;
mod supervision;
mod up_down;
