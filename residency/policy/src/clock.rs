//! Time and randomness, as arguments.

use jiff::Timestamp;

/// Tells the time. Handed in, so that a test can stand on either side of a date.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// A source of bytes nobody can guess. Handed in, so that a test can repeat a run.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `dest` with random bytes.
    fn fill(&self, dest: &mut [u8]);
}
