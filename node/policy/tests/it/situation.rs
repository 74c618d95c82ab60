//! Situations to ask about.

use std::sync::OnceLock;

use node_policy::{
    Action, ConsentState, Entity, Facts, LicenceState, Loaded, PolicyFile, Principal, Relationship, Request,
    SCHEMA,
};
use residency_policy::Jurisdiction;

/// The shipped set, loaded once.
pub(crate) fn shipped() -> &'static Loaded {
    static SHIPPED: OnceLock<Loaded> = OnceLock::new();
    SHIPPED.get_or_init(|| Loaded::shipped().expect("the shipped policies load"))
}

/// A set of one file, with the shipped schema.
pub(crate) fn one_file(text: &str) -> Result<Loaded, node_policy::PolicyError> {
    Loaded::parse(SCHEMA, &[PolicyFile { name: "one.cedar", text }])
}

/// A situation in which nothing is missing but a purpose, a relationship and a specific consent.
pub(crate) fn able() -> Facts {
    let home: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
    Facts {
        consent: ConsentState::General,
        licence: LicenceState::Held,
        basis: true,
        assurance: 2,
        ..Facts::least(home, 20_261_122)
    }
}

/// A question in such a situation, of somebody in an organisation that may have the role, unless it is said which.
pub(crate) fn ask(principal: Principal, action: Action, entity: Entity, facts: Facts) -> Request {
    let usual = match principal {
        Principal::Member(role) => Some(role.usual_kind()),
        Principal::Patient | Principal::Support => None,
    };
    let facts = Facts { organisation: facts.organisation.or(usual), ..facts };
    Request { principal, action, entity, facts }
}

/// A question of a member, by words: role, action, entity, purpose and relationship.
pub(crate) fn asks(words: &str) -> Request {
    let words: Vec<&str> = words.split(' ').collect();
    let [principal, action, entity, purpose, relationship] = words[..] else { panic!("five words") };
    let relationship: Relationship = relationship.parse().expect("a relationship");
    let purpose = (purpose != "-").then(|| purpose.parse().expect("a purpose"));
    ask(
        principal.parse().expect("a principal"),
        action.parse().expect("an action"),
        entity.parse().expect("an entity"),
        Facts { purpose, relationship, ..able() },
    )
}
