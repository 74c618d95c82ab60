//! The judges are judged: by histories made by hand, by an oracle that tries every order, and by servers with known
//! defects.

mod brute_force;
mod hand_made;
mod mutants;
mod server;
