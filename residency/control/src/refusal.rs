//! Why the state machine changed nothing: closed words, which every member comes to alike.

use serde::{Deserialize, Serialize};

use crate::calendar::NotBooked;

/// Why a command changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// An id is there already, and stands for something else.
    #[error("an id is known already")]
    AlreadyKnown,
    /// No such region.
    #[error("the region is not known")]
    UnknownRegion,
    /// No such organisation.
    #[error("the organisation is not known")]
    UnknownOrg,
    /// No such API key.
    #[error("the key is not known")]
    UnknownKey,
    /// No such patient id.
    #[error("the id is not known")]
    UnknownPatient,
    /// The placement has moved on.
    #[error("the epoch has moved on")]
    StaleEpoch,
    /// The version is not greater than the one in force, or is 0.
    #[error("the version is not greater than the one in force")]
    OldVersion,
    /// The key belongs to another organisation, and keys do not change hands.
    #[error("the key belongs to another organisation")]
    OtherOrg,
    /// A bound of the state is reached.
    #[error("the state is full")]
    Full,
    /// There are versions between the one in force and this one: a leap would use them all up.
    #[error("the version is not the one after the version in force")]
    SkippedVersion,
    /// It was changed since it was read.
    #[error("the version has moved on")]
    StaleVersion,
    /// The organisation is closed, and stays so.
    #[error("the organisation is closed")]
    Closed,
    /// No such user.
    #[error("the user is not known")]
    UnknownUser,
    /// The user has no such role in that organisation.
    #[error("the user has no such role in that organisation")]
    NotAMember,
    /// No such clinician.
    #[error("the clinician is not known")]
    UnknownProvider,
    /// Another clinician has this NPI.
    #[error("another clinician has this NPI")]
    NpiTaken,
    /// What never changes about a clinician is another: the NPI, or whether they are made up.
    #[error("the clinician's NPI is another")]
    OtherProvider,
    /// What a compact gives does not fit what the clinician is listed as.
    #[error("a compact's licence is for another profession")]
    NotTheirProfession,
    /// The member has another disk, and another disk is another member.
    #[error("the node's id belongs to another disk")]
    OtherDisk,
    /// It is about calendars.
    #[error("{0}")]
    Calendar(NotBooked),
    /// No such account.
    #[error("the account is not known")]
    UnknownAccount,
    /// Another account of the organisation has this name.
    #[error("the login name is another's")]
    LoginNameTaken,
    /// There is no such session, or it has ended.
    #[error("the session is not known")]
    UnknownSession,
    /// A code is good once.
    #[error("the code was used")]
    CodeUsed,
    /// The invitation was used, is over, or is another one.
    #[error("the invitation is not open")]
    Lapsed,
    /// There were too many failures shortly before.
    #[error("it is too soon after failed attempts")]
    TooSoon,
    /// No such identity provider, or it is set aside.
    #[error("the identity provider is not known")]
    UnknownIdentityProvider,
    /// What the identity provider showed is somebody else, or does not make anybody this user.
    #[error("the identity is not this user's")]
    IdentityTaken,
    /// No such device.
    #[error("the device is not known")]
    UnknownDevice,
    /// Only a marketing organisation has a recorded legal basis.
    #[error("the organisation is no marketing organisation")]
    NotMarketing,
    /// No such passkey.
    #[error("the passkey is not known")]
    UnknownPasskey,
    /// No such audit log: its region has not said who signs it.
    #[error("the audit log is not known")]
    UnknownLog,
    /// The signature is not by the key that was said, or not over this.
    #[error("it is not signed by the key that was said")]
    NotSigned,
    /// The log has fewer leaves than a head of it that is kept.
    #[error("the log is smaller than it was")]
    Rewound,
    /// The log has another root than the head of its size that is kept.
    #[error("the log has another root than it had at this size")]
    SplitView,
    /// The head contradicts none that is kept.
    #[error("the head contradicts none that is kept")]
    NotSplit,
}
