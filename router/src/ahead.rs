//! Randomness drawn ahead: the kernel is asked once for the ids of many requests. For ids only, which are no secrets.

use std::sync::{Arc, Mutex, PoisonError};

use residency_policy::Entropy;

/// How many bytes are drawn at once: 64 ids.
const DRAWN: usize = 1 << 10;

/// A source whose bytes are drawn ahead from another.
pub(crate) struct Ahead {
    source: Arc<dyn Entropy>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    bytes: [u8; DRAWN],
    used: usize,
}

impl Ahead {
    /// Nothing is drawn before the first byte is asked for.
    pub(crate) fn new(source: Arc<dyn Entropy>) -> Self {
        Self { source, drawn: Mutex::new(Drawn { bytes: [0; DRAWN], used: DRAWN }) }
    }
}

impl Entropy for Ahead {
    fn fill(&self, dest: &mut [u8]) {
        if dest.len() > DRAWN {
            return self.source.fill(dest);
        }
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.used + dest.len() > DRAWN {
            self.source.fill(&mut drawn.bytes);
            drawn.used = 0;
        }
        let from = drawn.used;
        dest.copy_from_slice(&drawn.bytes[from..from + dest.len()]);
        drawn.used += dest.len();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Every byte is another one than the 255 before it.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, dest: &mut [u8]) {
            for byte in dest {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn no_byte_is_given_twice_and_none_is_made_up() {
        let ahead = Ahead::new(Arc::new(Counting::default()));
        let mut given = Vec::new();
        for length in [16, 16, 1_000, 8, 16, 512, 512] {
            let mut bytes = vec![0; length];
            ahead.fill(&mut bytes);
            given.push(bytes);
        }
        // 1,000 do not fit behind the first 32: what was left of that draw is let go.
        let expected = |from: usize, length: usize| -> Vec<u8> {
            (from..from + length).map(|at| u8::try_from(at % 256).unwrap_or_default()).collect()
        };
        assert_eq!(given[..2], [expected(0, 16), expected(16, 16)]);
        assert_eq!(given[2..5], [expected(1_024, 1_000), expected(2_024, 8), expected(2_032, 16)]);
        assert_eq!(given[5..], [expected(2_048, 512), expected(2_560, 512)]);
        let mut large = vec![0; DRAWN + 1];
        ahead.fill(&mut large);
        assert_eq!(large, expected(3_072, DRAWN + 1));
    }
}
