//! What is asked, and the facts that the answer depends on.

use residency_policy::{Category, Jurisdiction, OrgType, Purpose, Role};
use serde::{Deserialize, Serialize};

use crate::{Action, ConsentState, Device, Entity, LicenceState, Principal, Relationship};

/// A question: may this role do this, in this situation. It holds nobody's id and no value of PHI, so that it can be
/// recorded and asked again of other policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who.
    pub principal: Principal,
    /// Does what.
    pub action: Action,
    /// On what.
    pub entity: Entity,
    /// In which situation.
    pub facts: Facts,
}

/// The situation. What is not known is given as what permits least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// What kind of organisation asks.
    pub organisation: Option<OrgType>,
    /// Why (HL7 v3-ActReason).
    pub purpose: Option<Purpose>,
    /// How who asks stands to what is asked for.
    pub relationship: Relationship,
    /// The patient's consent to this.
    pub consent: ConsentState,
    /// Authority to practise where the patient is.
    pub licence: LicenceState,
    /// Whether the organisation's legal basis is recorded and in force.
    pub basis: bool,
    /// The category of the PHI.
    pub category: Category,
    /// Where the PHI rests.
    pub home: Jurisdiction,
    /// Where the bytes enter.
    pub ingress: Jurisdiction,
    /// Where the patient is at the visit.
    pub service: Option<Jurisdiction>,
    /// Where who asks is.
    pub accessor: Option<Jurisdiction>,
    /// The day in UTC as a number, such as 20261122.
    pub day: u32,
    /// Whether the device is known.
    pub device: Device,
    /// NIST SP 800-63B authenticator assurance level, from 1 to 3.
    pub assurance: u16,
}

impl Facts {
    /// The situation of somebody of whom nothing is known but where and when: nothing is there that could permit.
    pub fn least(home: Jurisdiction, day: u32) -> Self {
        Self {
            organisation: None,
            purpose: None,
            relationship: Relationship::None,
            consent: ConsentState::None,
            licence: LicenceState::Unasked,
            basis: false,
            category: Category::General,
            home,
            ingress: home,
            service: None,
            accessor: None,
            day,
            device: Device::Unknown,
            assurance: 1,
        }
    }
}

impl Request {
    /// The question of a member of a workforce.
    pub fn of(role: Role, action: Action, entity: Entity, facts: Facts) -> Self {
        Self { principal: Principal::Member(role), action, entity, facts }
    }
}
