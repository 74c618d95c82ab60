//! The shipped policies, and sets that are wrong.

mod everywhere;
mod explained;
mod loading;
mod matrix;
mod never;
mod properties;
mod situation;
