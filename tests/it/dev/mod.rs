//! `domicile dev` as people use it.

mod supervision;
mod up_down;
