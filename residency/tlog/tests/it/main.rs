//! The tests of transparency logs, in one binary.

mod commitments;
mod garbage;
mod notes;
mod proof_files;
mod strangers;
mod support;
mod tiles;
mod trees;
mod vectors;
mod witnessing;
