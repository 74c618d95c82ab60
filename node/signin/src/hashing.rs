//! Password hashes: Argon2id (RFC 9106), on few threads, with a queue that ends.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};
use residency_control::signin::PasswordVerifier;
use residency_policy::Entropy;
use tokio::sync::Semaphore;

/// What new hashes are made with: OWASP's recommendation for Argon2id (Password Storage Cheat Sheet, 2025).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most memory that a verifier may ask for: it comes from other nodes.
const MEMORY_KIB_MAX: u32 = 65_536;
const PASSES_MAX: u32 = 8;
/// How many attempts wait for each thread.
const WAITING_EACH: usize = 32;
/// The longest password, in bytes. It is hashed whole.
pub const PASSWORD_LEN_MAX: usize = 256;
/// The shortest password that is taken for a new one, in characters (NIST SP 800-63B-4, section 3.1.1.2).
pub const PASSWORD_LEN_MIN: usize = 15;

/// A password in hand. It has no `Display`, and its `Debug` is redacted.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// What was sent, if it is no longer than a password may be.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= PASSWORD_LEN_MAX).then(|| Self(text.to_owned()))
    }

    /// Its text, for what judges a new one.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is long enough for a new one.
    pub fn is_long_enough(&self) -> bool {
        self.0.chars().count() >= PASSWORD_LEN_MIN
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// How many attempts there is room for with so many threads: those that are hashed and those that wait.
pub const fn places(threads: usize) -> usize {
    threads * (WAITING_EACH + 1)
}

/// Hashes passwords, a bounded number at a time.
#[derive(Clone)]
pub struct Hashing {
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
    hashed: Arc<AtomicU64>,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Hashing {
    /// On so many threads at most.
    pub fn new(threads: usize) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            places: Arc::new(Semaphore::new(places(threads))),
            hashed: Arc::default(),
        }
    }

    /// How many hashes were made.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// Whether a password is the one that a verifier was made of. Without a verifier it takes as long and is not.
    pub async fn verify(&self, password: Password, against: Option<PasswordVerifier>) -> Result<bool, Busy> {
        let real = against.is_some();
        let verifier = against.unwrap_or(PasswordVerifier {
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: [0; 16],
            hash: [0; 32],
        });
        let expected = verifier.hash;
        let shown = self.hash(password, verifier).await?;
        let same = shown.is_some_and(|shown| equal(&shown, &expected));
        Ok(real && same)
    }

    /// The verifier of a new password.
    pub async fn make(&self, password: Password, entropy: &dyn Entropy) -> Result<PasswordVerifier, Busy> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let empty =
            PasswordVerifier { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt, hash: [0; 32] };
        let hash = self.hash(password, empty.clone()).await?.ok_or(Busy)?;
        Ok(PasswordVerifier { hash, ..empty })
    }

    async fn hash(&self, password: Password, with: PasswordVerifier) -> Result<Option<[u8; 32]>, Busy> {
        let hashed = Arc::clone(&self.hashed);
        self.aside(move || {
            hashed.fetch_add(1, Ordering::Relaxed);
            compute(&password, &with)
        })
        .await
    }

    /// Does work that takes its time on one of the threads.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Busy)?;
        // Both are held until the work is done, also when whoever asked is gone.
        let work = move || {
            let _held = (place, thread);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing").field("hashed", &self.hashed()).finish_non_exhaustive()
    }
}

/// Makes the verifier of a password at once, on this thread: for programs that have nothing else to do.
pub fn make_here(password: &Password, entropy: &dyn Entropy) -> Option<PasswordVerifier> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let empty = PasswordVerifier { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt, hash: [0; 32] };
    let hash = compute(password, &empty)?;
    Some(PasswordVerifier { hash, ..empty })
}

fn compute(password: &Password, with: &PasswordVerifier) -> Option<[u8; 32]> {
    if with.memory_kib > MEMORY_KIB_MAX || with.passes > PASSES_MAX {
        return None;
    }
    let params = Params::new(with.memory_kib, with.passes, with.lanes, Some(32)).ok()?;
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.0.as_bytes(), &with.salt, &mut out)
        .ok()?;
    Some(out)
}

/// Looks at every byte, wherever the first difference is.
pub(crate) fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |found, (x, y)| std::hint::black_box(found | (x ^ y)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use residency_control::system::SystemEntropy;

    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text).expect("a password")
    }

    #[tokio::test]
    async fn only_the_password_fits_its_verifier_and_no_verifier_costs_as_much() {
        let hashing = Hashing::new(2);
        let verifier = hashing.make(password("correct horse"), &SystemEntropy::new()).await.expect("hashes");
        let fits = async |text, verifier| hashing.verify(password(text), verifier).await.expect("hashes");
        assert!(fits("correct horse", Some(verifier.clone())).await);
        assert!(!fits("correct horsf", Some(verifier.clone())).await);
        assert!(!fits("correct horse", None).await);
        assert!(!fits("correct horse", Some(PasswordVerifier { salt: [1; 16], ..verifier.clone() })).await);
        assert_eq!(hashing.hashed(), 5);
        let huge = PasswordVerifier { memory_kib: MEMORY_KIB_MAX + 1, ..verifier };
        assert!(!fits("correct horse", Some(huge)).await, "and takes no gigabytes");
    }

    #[tokio::test]
    async fn a_flood_fills_its_queue_and_the_rest_is_told_at_once() {
        let hashing = Hashing::new(1);
        let attempts = (0..WAITING_EACH + 11).map(|_| hashing.verify(password("guess"), None));
        let answers = join_all(attempts).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Busy)).count(), 10);
        assert_eq!(hashing.verify(password("guess"), None).await, Ok(false), "afterwards there is room");
    }

    #[test]
    fn a_password_has_bounds_and_does_not_show_itself() {
        assert!(Password::new("").is_none() && Password::new(&"a".repeat(257)).is_none());
        assert!(!password("14 characters.").is_long_enough() && password("15 characters..").is_long_enough());
        assert_eq!(format!("{:?}", password("secret")), "Password(redacted)");
    }
}
