//! What the timeline is made of.

use jiff::Timestamp;
use residency_policy::{ConsentId, KeyId, OrgId, RecordId, RequestId, UserId};
use uuid::Uuid;

use crate::values::words;

words! {
    /// Which of the two sources.
    Kind {
        /// What was done, as the access log has it.
        Access = "access",
        /// What the patient allowed or took back.
        Consent = "consent",
    }
}

words! {
    /// What became of a consent.
    Event {
        /// It was entered.
        Granted = "granted",
        /// Its revocation was entered.
        Revoked = "revoked",
        /// Its time was over, and it had not been revoked.
        Expired = "expired",
    }
}

/// One thing that happened.
pub struct Entry {
    /// The id of the access record, or one made of a consent's id and what became of it.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// The organisation that acted, or that was allowed it.
    pub organisation: OrgId,
    /// For what, as a code of HL7 v3-ActReason.
    pub purpose: String,
    /// What happened.
    pub what: What,
}

/// What happened.
pub enum What {
    /// Something was done or refused.
    Access(Done),
    /// Something became of a consent.
    Consent(Said),
}

/// Something that was done or refused. The words are those of the access log.
pub struct Done {
    /// With which credential.
    pub key: KeyId,
    /// Whose that is, if it is a person's.
    pub user: Option<UserId>,
    /// In which role.
    pub role: String,
    /// What was done.
    pub action: String,
    /// To what kind of record.
    pub entity: String,
    /// To which record; none of what was done to several.
    pub record: Option<RecordId>,
    /// How it ended.
    pub outcome: String,
    /// Whether the caller had broken the glass for it.
    pub under_grant: bool,
    /// In which request.
    pub request: RequestId,
}

/// Something that became of a consent.
pub struct Said {
    /// Of which.
    pub consent: ConsentId,
    /// What.
    pub event: Event,
    /// The legal category of the PHI that it is about.
    pub category: String,
    /// Which version of the text was agreed to.
    pub text_version: String,
    /// With which credential it was entered; an expiry enters nobody.
    pub by: Option<KeyId>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Only for this purpose.
    pub purpose: Option<&'static str>,
    /// Only of this source.
    pub kind: Option<Kind>,
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
}
