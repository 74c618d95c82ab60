//! `Phi<T>`: a value about a person that can be carried, changed and sealed, but not looked at without [`Seen`].
//!
//! It cannot be printed, compared, hashed, serialised or dereferenced. It can be deserialised inward, from a request.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A value about a person.
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Puts a value under guard.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Opens the value. `seen` shows that the access record is durable.
    pub fn open(&self, _seen: &Seen) -> &T {
        &self.0
    }

    /// Opens the value for good.
    pub fn into_open(self, _seen: &Seen) -> T {
        self.0
    }

    /// Changes the value under guard. What `f` makes is as guarded as what it was given; `f` must not let the value
    /// out by another door.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Phi<U> {
        Phi(f(self.0))
    }

    /// Like [`Phi::map`], but `f` may fail. Its error must hold no value.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Phi<U>, E> {
        f(self.0).map(Phi)
    }

    /// A guarded look at the value.
    pub const fn as_ref(&self) -> Phi<&T> {
        Phi(&self.0)
    }

    /// Two guarded values as one.
    pub fn zip<U>(self, other: Phi<U>) -> Phi<(T, U)> {
        Phi((self.0, other.0))
    }

    /// The value, for sealing and indexing only.
    pub(crate) const fn inside(&self) -> &T {
        &self.0
    }
}

impl<T> Phi<Option<T>> {
    /// Whether there is a value is not a secret; what it is stays one.
    pub fn transpose(self) -> Option<Phi<T>> {
        self.0.map(Phi)
    }
}

impl<T: Clone> Clone for Phi<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phi(…)")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Phi<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Proof that the access records of a transaction are durable. Made by [`crate::RegionTx::commit`] and
/// [`crate::RegionRead::disclose`] and by nothing else; not `Clone`, so that one commit opens what it recorded and no more.
#[derive(Debug)]
pub struct Seen(());

impl Seen {
    pub(crate) const fn recorded() -> Self {
        Self(())
    }
}
