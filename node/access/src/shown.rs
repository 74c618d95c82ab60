//! How much a decision lets be shown, as proof in the type system.
//!
//! What a role is shown of an entity is one of a closed set of view types, and each of them is made only from the proof
//! that a decision about that very entity allows so much. A handler that shows the wrong one does not compile; the
//! alternative refused is a view that looks at the role and leaves fields out, where one more field is shown to everybody.

use std::marker::PhantomData;

use node_policy::{Entity, RefusalReason, Shape};
use residency_policy::{Problem, ProblemKind};

use crate::{Act, OpenCall};

/// The views of one entity, named by the type that holds any of them.
pub trait Views {
    /// Of what.
    const ENTITY: Entity;
}

macro_rules! proofs {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name<V>(PhantomData<fn() -> V>);

        impl<V> Clone for $name<V> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<V> Copy for $name<V> {}
    )+};
}

proofs! {
    /// Proof that everything may be shown.
    Full;
    /// Proof that what a list is worked with may be shown.
    Listed;
    /// Proof that ids, homes and times may be shown.
    Token;
}

/// How much of an entity the policies decided to show.
pub enum Shown<V> {
    /// Everything.
    Full(Full<V>),
    /// What a list is worked with.
    Listed(Listed<V>),
    /// Ids, homes and times.
    Token(Token<V>),
}

/// Who may see everything may be shown less.
impl<V> From<Full<V>> for Listed<V> {
    fn from(_: Full<V>) -> Self {
        Self(PhantomData)
    }
}

impl<A: Act> OpenCall<A> {
    /// How much the policies decided to show. The views are those of what the act is about, or it does not compile.
    pub fn shown<V: Views>(&self) -> Shown<V> {
        const { assert!(A::ENTITY as u8 == V::ENTITY as u8, "the views are of another entity than the act") }
        match self.shape {
            Shape::Full => Shown::Full(Full(PhantomData)),
            Shape::Listed => Shown::Listed(Listed(PhantomData)),
            Shape::Token => Shown::Token(Token(PhantomData)),
        }
    }

    /// For an act with one view, which shows everything: whoever may see less is refused before anything happens.
    pub fn full<V: Views>(&self) -> Result<Full<V>, Problem> {
        match self.shown() {
            Shown::Full(full) => Ok(full),
            Shown::Listed(_) | Shown::Token(_) => Err(too_little()),
        }
    }
}

/// The answer to somebody for whose shape of an entity there is no view.
pub fn too_little() -> Problem {
    Problem::new(ProblemKind::Forbidden).reason(RefusalReason::ObligationUnmet.as_str())
}

/// Whether there are views of this entity that show less than everything. PHI has them from the day on which it has a route.
pub(crate) fn has_views(entity: Entity) -> bool {
    entity.is_phi() || entity == Entity::Provider
}

/// What a view of this shape leaves out, in the words that policies have for it. A policy whose word is not here is
/// refused as one that nothing meets.
pub(crate) const fn left_out(entity: Entity, shape: Shape) -> &'static [&'static str] {
    match (entity, shape) {
        (Entity::Patient, Shape::Listed) => &["clinical", "contact"],
        (Entity::Patient, Shape::Token) => &["clinical", "contact", "person"],
        (Entity::Encounter, Shape::Listed | Shape::Token) => &["note"],
        (Entity::Consent, Shape::Listed) => &["evidence"],
        (Entity::Provider, Shape::Listed) => &["licence-numbers"],
        _ => &[],
    }
}
