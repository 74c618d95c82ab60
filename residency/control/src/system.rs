//! The machine's own clock and random source.

use jiff::Timestamp;
use residency_policy::{Clock, Entropy};
use ring::rand::{SecureRandom, SystemRandom};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The kernel's random source.
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The kernel's random source.
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, dest: &mut [u8]) {
        // getrandom(2) fails only where the kernel has none, and then no id or key may be made.
        self.0.fill(dest).expect("the kernel has a random source");
    }
}
