//! What a role may do, with what, and why: one table.
//!
//! The table is the access matrix of the design as data, for the entities that exist so far. What is not in it is
//! refused: a new role, entity, action or purpose starts with nothing. The alternative refused is a check in each
//! handler, which nobody can read as a whole.

use residency_policy::{Problem, ProblemKind, Purpose, Role};

/// What is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// A patient's demographics.
    Patient,
    /// An encounter and its addenda.
    Encounter,
    /// An organisation. Not PHI.
    Organisation,
    /// A region. Not PHI.
    Region,
    /// A member of an organisation's workforce. Not PHI.
    User,
    /// A session of somebody who signed in. Not PHI.
    Session,
    /// The authenticator of somebody who signed in. Not PHI.
    Authenticator,
    /// An invitation to choose a password. Not PHI.
    Invitation,
    /// A clinician, with licences. Not PHI.
    Provider,
    /// A provider's hours and free slots. Not PHI.
    Calendar,
    /// A slot that is held under a random handle. Not PHI.
    Hold,
    /// A slot that is taken although somebody has it. Not PHI.
    SlotOverride,
    /// An appointment of a patient.
    Appointment,
    /// A patient's wish for an appointment.
    Waitlist,
}

impl Entity {
    /// Every entity.
    pub const ALL: &'static [Self] = &[
        Self::Patient,
        Self::Encounter,
        Self::Organisation,
        Self::Region,
        Self::User,
        Self::Session,
        Self::Invitation,
        Self::Authenticator,
        Self::Provider,
        Self::Calendar,
        Self::Hold,
        Self::SlotOverride,
        Self::Appointment,
        Self::Waitlist,
    ];

    /// Whether a purpose must be named.
    pub const fn is_phi(self) -> bool {
        matches!(self, Self::Patient | Self::Encounter | Self::Appointment | Self::Waitlist)
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Makes a new one.
    Create,
    /// Shows one.
    Read,
    /// Shows many.
    List,
    /// Finds by content.
    Search,
    /// Changes one.
    Update,
    /// Takes one away.
    Delete,
    /// Signs one, after which it does not change.
    Sign,
    /// Adds to a signed one.
    Annotate,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Read,
        Self::List,
        Self::Search,
        Self::Update,
        Self::Delete,
        Self::Sign,
        Self::Annotate,
    ];

    /// Whether it changes anything.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete | Self::Sign | Self::Annotate)
    }
}

/// How much of a thing a role is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Everything.
    Full,
    /// Without what is clinical: names to work a list with, or an encounter without its note. A clinician without the
    /// numbers of licences.
    Listed,
    /// Ids, homes and times.
    Token,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Who.
    pub role: Role,
    /// On what.
    pub entity: Entity,
    /// Does what.
    pub actions: &'static [Action],
    /// Why. Empty where the entity is not PHI.
    pub purposes: &'static [Purpose],
    /// And is shown how much.
    pub shape: Shape,
}

const NO_PURPOSE: &[Purpose] = &[];
const TREATMENT: &[Purpose] = &[Purpose::Treat];
const OPERATIONS: &[Purpose] = &[Purpose::Operations];
const CARE: &[Purpose] = &[Purpose::Treat, Purpose::Operations];

const fn line(
    role: Role,
    entity: Entity,
    actions: &'static [Action],
    purposes: &'static [Purpose],
    shape: Shape,
) -> Line {
    Line { role, entity, actions, purposes, shape }
}

/// The table. A pharmacist or a laboratory's technician sees a patient only through an assigned prescription or
/// order, and there are none of those yet; a marketer never reads PHI. None of the three has a line on PHI.
pub const TABLE: &[Line] = {
    use Action::{Annotate, Create, Delete, List, Read, Search, Sign, Update};
    use Entity::{
        Appointment, Authenticator, Calendar, Encounter, Hold, Invitation, Organisation, Patient, Region,
        Session, SlotOverride, User, Waitlist,
    };
    use Shape::{Full, Listed, Token};
    &[
        line(Role::Provider, Patient, &[Create, Read, List, Search, Update, Delete], CARE, Full),
        line(Role::ProviderStaff, Patient, &[Create, Read, List, Search, Update], CARE, Full),
        line(Role::OrgAdmin, Patient, &[List, Delete], OPERATIONS, Listed),
        line(Role::Auditor, Patient, &[Read, List], OPERATIONS, Token),
        line(Role::Provider, Encounter, &[Create, Read, List, Update, Sign, Annotate], TREATMENT, Full),
        line(Role::ProviderStaff, Encounter, &[Read, List], TREATMENT, Listed),
        line(Role::Auditor, Encounter, &[Read, List], OPERATIONS, Token),
        line(Role::Provider, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Organisation, &[Create, Read, List, Update, Delete], NO_PURPOSE, Full),
        line(Role::OrgAdmin, User, &[Create, Read, List, Update, Delete], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Invitation, &[Create], NO_PURPOSE, Full),
        line(Role::Marketer, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::Pharmacist, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::LabTech, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::Auditor, Organisation, &[Read, List], NO_PURPOSE, Full),
        line(Role::Provider, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::Provider, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::Marketer, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::Marketer, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::Pharmacist, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::Pharmacist, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::LabTech, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::LabTech, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::Auditor, Session, &[List, Delete], NO_PURPOSE, Full),
        line(Role::Auditor, Authenticator, &[Create, Update], NO_PURPOSE, Full),
        line(Role::Provider, Region, &[List], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Region, &[List], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Region, &[List], NO_PURPOSE, Full),
        line(Role::Marketer, Region, &[List], NO_PURPOSE, Full),
        line(Role::Pharmacist, Region, &[List], NO_PURPOSE, Full),
        line(Role::LabTech, Region, &[List], NO_PURPOSE, Full),
        line(Role::Auditor, Region, &[List], NO_PURPOSE, Full),
        line(Role::Provider, Entity::Provider, &[Read, List], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Entity::Provider, &[Read, List], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Entity::Provider, &[Create, Read, List, Update], NO_PURPOSE, Full),
        line(Role::Marketer, Entity::Provider, &[Read, List], NO_PURPOSE, Listed),
        line(Role::Pharmacist, Entity::Provider, &[Read, List], NO_PURPOSE, Full),
        line(Role::LabTech, Entity::Provider, &[Read, List], NO_PURPOSE, Full),
        line(Role::Auditor, Entity::Provider, &[Read, List], NO_PURPOSE, Full),
        line(Role::Provider, Appointment, &[Create, Read, List, Update], CARE, Full),
        line(Role::ProviderStaff, Appointment, &[Create, Read, List, Update], CARE, Full),
        line(Role::Auditor, Appointment, &[Read, List], OPERATIONS, Token),
        line(Role::Provider, Waitlist, &[Create, List, Delete], CARE, Full),
        line(Role::ProviderStaff, Waitlist, &[Create, List, Delete], CARE, Full),
        line(Role::Provider, Calendar, &[Read, List, Update], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Calendar, &[Read, List, Update], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Calendar, &[Read, List, Update], NO_PURPOSE, Full),
        line(Role::Provider, Hold, &[Create, Read, Delete], NO_PURPOSE, Full),
        line(Role::ProviderStaff, Hold, &[Create, Read, Delete], NO_PURPOSE, Full),
        line(Role::OrgAdmin, Hold, &[Create, Read, Delete], NO_PURPOSE, Full),
        line(Role::Provider, SlotOverride, &[Create], NO_PURPOSE, Full),
        line(Role::OrgAdmin, SlotOverride, &[Create], NO_PURPOSE, Full),
    ]
};

/// An act that a route performs: its name in the log, and its place in the table.
pub trait Act: Send + Sync + 'static {
    /// On what.
    const ENTITY: Entity;
    /// Does what.
    const ACTION: Action;
    /// The transaction's name, such as `patient.read`.
    const NAME: &'static str;
    /// The query parameters that the route takes. Any other is refused.
    const PARAMETERS: &'static [&'static str] = &[];
}

/// Looks the table up. `purpose` is what the caller named, or `None` where the entity is not PHI.
pub fn authorize(
    role: Role,
    entity: Entity,
    action: Action,
    purpose: Option<Purpose>,
) -> Result<Shape, Problem> {
    // No line could allow it by mistake: marketing on PHI needs an authorisation (45 CFR 164.508(a)(3)),
    // and nothing here can hold one yet.
    let marketing = entity.is_phi() && purpose == Some(Purpose::Marketing);
    let fits = |line: &&Line| {
        line.role == role
            && line.entity == entity
            && line.actions.contains(&action)
            && if entity.is_phi() {
                purpose.is_some_and(|named| line.purposes.contains(&named))
            } else {
                purpose.is_none()
            }
    };
    TABLE
        .iter()
        .find(fits)
        .filter(|_| !marketing)
        .map(|line| line.shape)
        .ok_or_else(|| Problem::new(ProblemKind::Forbidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix again, written as a person would say it, cell by cell, so that a slip in the table shows.
    fn expected(role: Role, entity: Entity, action: Action, purpose: Purpose) -> Option<Shape> {
        use Action::{Create, Delete, List, Read, Search, Sign, Update};
        let treat = purpose == Purpose::Treat;
        let operations = purpose == Purpose::Operations;
        match (role, entity) {
            (Role::Provider, Entity::Patient) => {
                (!matches!(action, Sign | Action::Annotate) && (treat || operations)).then_some(Shape::Full)
            }
            (Role::ProviderStaff, Entity::Patient) => {
                (matches!(action, Create | Read | List | Search | Update) && (treat || operations))
                    .then_some(Shape::Full)
            }
            (Role::OrgAdmin, Entity::Patient) => {
                (matches!(action, List | Delete) && operations).then_some(Shape::Listed)
            }
            (Role::Auditor, Entity::Patient | Entity::Encounter) => {
                (matches!(action, Read | List) && operations).then_some(Shape::Token)
            }
            (Role::Provider, Entity::Encounter) => {
                (!matches!(action, Search | Delete) && treat).then_some(Shape::Full)
            }
            (Role::ProviderStaff, Entity::Encounter) => {
                (matches!(action, Read | List) && treat).then_some(Shape::Listed)
            }
            (Role::Provider | Role::ProviderStaff, Entity::Appointment) => {
                (matches!(action, Create | Read | List | Update) && (treat || operations))
                    .then_some(Shape::Full)
            }
            (Role::Auditor, Entity::Appointment) => {
                (matches!(action, Read | List) && operations).then_some(Shape::Token)
            }
            (Role::Provider | Role::ProviderStaff, Entity::Waitlist) => {
                (matches!(action, Create | List | Delete) && (treat || operations)).then_some(Shape::Full)
            }
            _ => None,
        }
    }

    #[test]
    fn every_cell_of_phi_is_as_the_matrix_says() {
        let mut allowed = 0;
        for &role in Role::ALL {
            for entity in [Entity::Patient, Entity::Encounter, Entity::Appointment, Entity::Waitlist] {
                for action in Action::ALL {
                    for &purpose in Purpose::ALL {
                        let cell = authorize(role, entity, action, Some(purpose)).ok();
                        assert_eq!(
                            cell,
                            expected(role, entity, action, purpose),
                            "{role} {entity:?} {action:?} {purpose}"
                        );
                        allowed += usize::from(cell.is_some());
                    }
                }
            }
        }
        assert_eq!(allowed, 12 + 10 + 2 + 2 + 6 + 2 + 2 + (8 + 8 + 2) + (6 + 6), "the positive cells");
    }

    #[test]
    fn phi_without_a_purpose_is_refused() {
        for &role in Role::ALL {
            for action in Action::ALL {
                assert!(authorize(role, Entity::Patient, action, None).is_err());
                assert!(authorize(role, Entity::Encounter, action, None).is_err());
            }
        }
    }

    #[test]
    fn marketing_is_never_a_reason_for_phi() {
        for &role in Role::ALL {
            for action in Action::ALL {
                assert!(authorize(role, Entity::Patient, action, Some(Purpose::Marketing)).is_err());
            }
        }
        for line in TABLE {
            assert!(!line.purposes.contains(&Purpose::Marketing), "{line:?}");
            assert_eq!(line.purposes.is_empty(), !line.entity.is_phi(), "{line:?}");
        }
    }

    #[test]
    fn only_an_administrator_adds_organisations_and_everyone_known_may_look() {
        for &role in Role::ALL {
            assert!(authorize(role, Entity::Organisation, Action::List, None).is_ok());
            assert!(authorize(role, Entity::Region, Action::List, None).is_ok());
            let administers = role == Role::OrgAdmin;
            for action in [Action::Create, Action::Update, Action::Delete] {
                assert_eq!(authorize(role, Entity::Organisation, action, None).is_ok(), administers, "{role}");
                assert_eq!(authorize(role, Entity::User, action, None).is_ok(), administers, "{role}");
            }
            assert_eq!(authorize(role, Entity::User, Action::List, None).is_ok(), administers, "{role}");
            for action in [Action::Create, Action::Update] {
                assert_eq!(authorize(role, Entity::Provider, action, None).is_ok(), administers, "{role}");
            }
            let seen = if role == Role::Marketer { Shape::Listed } else { Shape::Full };
            assert_eq!(authorize(role, Entity::Provider, Action::Read, None), Ok(seen), "{role}");
        }
    }
}
