//! Who acts, for whom and why: what row-level security and the access log need to know; and who decides once it is known
//! what the home knows.

use std::fmt;
use std::sync::Arc;

use residency_policy::{
    Accessor, Category, GrantId, Ingress, KeyId, OrgId, PatientId, Purpose, RequestId, Role, UserId,
};

/// The standing of one request. It is set for the transaction only, never for the connection.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The organisation that acts. Its rows are the only ones visible.
    pub org: OrgId,
    /// As what the caller acts.
    pub role: Acting,
    /// Why PHI is asked for.
    pub purpose: Purpose,
    /// The credential that was used.
    pub key: KeyId,
    /// Whose credential it is, if it is a person's.
    pub user: Option<UserId>,
    /// The request.
    pub request: RequestId,
    /// Where the caller is, if they said so.
    pub accessor: Option<Accessor>,
    /// Where the bytes entered, if they came through a router.
    pub via: Option<Ingress>,
    /// The category of what is asked for: which consent counts, and which data key seals the stored answer.
    pub category: Category,
    /// Who decides when the home has said what it knows. `None` is the node's own work, which discloses to nobody.
    pub judge: Option<Judge>,
}

/// As what somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acting {
    /// A member of a workforce, or a program in its place.
    Member(Role),
    /// This patient, for themselves: nothing of anybody else is visible.
    Patient(PatientId),
}

impl Acting {
    /// The word for row-level security, the access log and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member(role) => role.as_str(),
            Self::Patient(_) => "patient",
        }
    }

    /// Who they are, if they are a patient.
    pub const fn patient(self) -> Option<PatientId> {
        match self {
            Self::Member(_) => None,
            Self::Patient(patient) => Some(patient),
        }
    }
}

impl From<Role> for Acting {
    fn from(role: Role) -> Self {
        Self::Member(role)
    }
}

/// The patient's last word on this purpose, this organisation and this category, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consent {
    /// It was taken back.
    Revoked,
    /// There is none.
    None,
    /// It names the general category, and something of another is asked for.
    General,
    /// It names the category of what is asked for.
    Specific,
}

impl Consent {
    /// What a word of the database means.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "revoked" => Some(Self::Revoked),
            "none" => Some(Self::None),
            "general" => Some(Self::General),
            "specific" => Some(Self::Specific),
            _ => None,
        }
    }
}

/// What only the home knows of a patient and a decision depends on. It is read with the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What the patient said last.
    pub consent: Consent,
    /// The grant under which the caller broke the glass for this purpose and category. It lives.
    pub glass: Option<GrantId>,
}

/// Decides by what the home knows. It is asked with every answer of a patient's home, before any row is handed out.
pub trait Judging: Send + Sync {
    /// Says no with a stable word for programs, which is a constant.
    fn judge(&self, known: &Known) -> Result<(), &'static str>;
}

/// Somebody who decides. Cheap to clone.
#[derive(Clone)]
pub struct Judge(pub Arc<dyn Judging>);

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge(…)")
    }
}
