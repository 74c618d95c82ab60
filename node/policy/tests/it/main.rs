//! The shipped policies, and sets that are wrong.

mod explained;
mod kinds;
mod loading;
mod matrix;
mod never;
mod properties;
mod situation;
