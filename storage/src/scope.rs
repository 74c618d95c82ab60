//! Who acts, for whom and why: what row-level security and the access log need to know; and who decides once it is known
//! what the home knows.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use residency_policy::{
    Accessor, Category, GrantId, Ingress, KeyId, OrgId, PatientId, Purpose, RequestId, Role, UserId,
};
use uuid::Uuid;

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
    /// What else a record says of the request.
    pub circumstances: Circumstances,
}

/// What a record says of a request, and nothing depends on.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// From where it came, as far as proxies are trusted to say it.
    pub from: Option<IpAddr>,
    /// For whom the caller acts, if not for themselves.
    pub on_behalf: Option<OnBehalf>,
    /// Which policies let it in, or did not. `None` where nobody decided: the node's own work.
    pub rules: Option<Rules>,
}

impl Circumstances {
    /// Those of a request that comes from there and was let in by these.
    pub const fn of(from: Option<IpAddr>, rules: Rules) -> Self {
        Self { from, on_behalf: None, rules: Some(rules) }
    }
}

/// For whom somebody acts who does not act for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBehalf {
    /// The node goes on with what somebody of this organisation began.
    Organisation(OrgId),
}

impl OnBehalf {
    /// The word in the log.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Organisation(_) => "organisation",
        }
    }

    pub(crate) fn uuid(self) -> Uuid {
        match self {
            Self::Organisation(org) => org.uuid(),
        }
    }
}

/// Which policies decided: their stable ids, a space between them. None, where no policy permits what is refused. Cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Arc<str>);

impl Rules {
    /// How many are recorded at most.
    pub const MAX: usize = 16;

    /// The first [`Rules::MAX`] of these.
    pub fn of<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for id in ids.take(Self::MAX) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(id);
        }
        Self(text.into())
    }

    /// The ids, a space between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
    /// Decides.
    fn judge(&self, known: &Known) -> Judged;
}

/// What was decided by what the home knows.
#[derive(Debug, Clone)]
pub struct Judged {
    /// No comes with a stable word for programs, which is a constant.
    pub answer: Result<(), &'static str>,
    /// By which policies; `None` where nothing was to be decided anew.
    pub rules: Option<Rules>,
}

/// Somebody who decides. Cheap to clone.
#[derive(Clone)]
pub struct Judge(pub Arc<dyn Judging>);

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge(…)")
    }
}
