//! Ids: random, typed, and derived from nothing.
//!
//! An id holds no time, no sequence and no region: an id that did would say something about a person to
//! everyone who sees it in a URL. The alternatives refused are UUIDv7 and ULID (a registration time, a date
//! element under 45 CFR 164.514(b)(2)(i)(C)) and region-prefixed ids (they lie after a move).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Entropy;

macro_rules! random_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id from 122 random bits (UUID version 4, RFC 9562 section 5.4).
            pub fn random(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The id that these 16 bytes stand for, as read back from a store.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The id's 16 bytes, for a store or for associated data.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// The id as the type that database drivers speak.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // Only the hyphenated form: one id must not have several spellings in a URL or a log.
                if text.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}

random_id! {
    /// A device that somebody signs in with.
    DeviceId;
    /// A passkey with which somebody signs in.
    PasskeyId;
    /// One patient, everywhere. The only thing about a patient that the control plane knows.
    PatientId;
    /// One encounter, addressed beneath its patient.
    EncounterId;
    /// One consent, addressed beneath its patient.
    ConsentId;
    /// One break-glass grant.
    GrantId;
    /// Any one row that belongs to a patient: an addendum, a sealed cell, an access record.
    RecordId;
    /// One organisation: the tenant that row-level security isolates.
    OrgId;
    /// One API key. The secret part is not in it.
    KeyId;
    /// One request, from the edge to the database and the log.
    RequestId;
    /// One clinician, in the directory that every region shares.
    ProviderId;
    /// One person who signs in.
    UserId;
    /// One session of a person who signed in. It is no secret: what proves it is a token.
    SessionId;
    /// One key with which a node signs access tokens.
    SigningKeyId;
    /// Another server that an organisation lets say who somebody is.
    IdentityProviderId;
    /// The disk of one member of the control plane. Another disk is another member.
    DiskId;
    /// One held or booked time, or one place on a waiting list. It says nothing of whoever comes.
    BookingHandle;
    /// One appointment, addressed beneath its patient.
    AppointmentId;
    /// One wish for an appointment, addressed beneath its patient.
    WaitlistId;
}

/// The text is not a hyphenated UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 36 characters such as 00000000-0000-4000-8000-000000000000")]
pub struct NotAnId;

/// One member of the control plane. Never used again, not even after its disk was wiped: a reused id can
/// split a Raft cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, dest: &mut [u8]) {
            for (i, byte) in dest.iter_mut().enumerate() {
                *byte = u8::try_from(i).unwrap_or(0);
            }
        }
    }

    #[test]
    fn an_id_survives_text_and_bytes() {
        let id = PatientId::random(&Counting);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(PatientId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn an_id_has_one_spelling_only() {
        let id = PatientId::random(&Counting).to_string();
        assert_eq!(id.replace('-', "").parse::<PatientId>(), Err(NotAnId));
        assert_eq!(format!("{{{id}}}").parse::<PatientId>(), Err(NotAnId));
        assert_eq!("../../../../etc/passwd".parse::<PatientId>(), Err(NotAnId));
    }
}
