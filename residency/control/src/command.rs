//! The closed set of things that are replicated to every region.
//!
//! Whoever asks what crosses borders reads this file. There is no field in it into which a name, a date or a note
//! about a patient could be put: every field's type implements [`Replicated`], that trait is sealed, and its list
//! of types stands below. A field of any other type does not compile.
//!
//! ```compile_fail
//! struct Note(u8);
//! impl residency_control::command::Replicated for Note {}
//! ```

use std::fmt;

use residency_policy::licensure::{Attested, Licences};
use residency_policy::ruleset::Digest;
use residency_policy::{
    BasisKind, BookingHandle, Closure, DeviceId, DiskId, Epoch, Facility, IdentityProviderId, KeyId, KeyScopes,
    Label, NodeId, Npi, OrgId, OrgType, PasskeyId, PatientId, ProviderId, Region, Role, SessionId,
    SigningKeyId, UserId,
};
use serde::{Deserialize, Serialize};

use crate::api_keys::{KeyChange, KeyGrant, KeyUses, PreviousSecret};
use crate::audit_log::{Cosignature, Head, LogChange, LogKeys};
use crate::calendar::{
    Calendar, CalendarChange, Confirmation, Exceptions, Hold, Minute, Move, OverrideReason, Waiting, Wanted,
    WeeklyRules, ZoneName,
};
use crate::legal_basis::{LegalBasis, Recorded, Recorder};
use crate::signin::{
    Account, ClaimName, ClientId, CredentialId, Device, Entrance, GroupRoles, IdentityLink, IdentityProvider,
    Invitation, IssuerUrl, Joining, LoginName, Networks, Passkey, PasskeyAdded, PasskeyKey, PasskeyShown,
    PasswordVerifier, Preset, RecoveryCodes, RoleMapping, SealedSecret, SecondFactor, Session, SignInChange,
    SignInSettings, SigningKey, TotpVerifier,
};
use crate::{
    Endpoint, Host, IdBatch, JurisdictionSet, Languages, Memberships, ProviderName, ProviderOrgs, PublicName,
    StaffName, Taxonomies,
};

/// May be replicated. Sealed: the list of types is in this file.
pub trait Replicated: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! replicated {
    ($($name:ty),+ $(,)?) => {$(
        impl sealed::Sealed for $name {}
        impl Replicated for $name {}
    )+};
}

// What the fields of commands are made of.
replicated!(PatientId, OrgId, KeyId, Region, Epoch, OrgType, Role, Host, PublicName, JurisdictionSet, IdBatch);
replicated!(Digest, Signature64, bool, u16, u64, Option<i64>, [u8; 32]);
replicated!(Endpoint, RegionEntry, Organisation, Facility, KeyVerifier, PolicyVersion);
replicated!(NodeId, DiskId);
replicated!(Closure, UserId, StaffName, Memberships, User);
replicated!(ProviderId, Npi, ProviderName, Taxonomies, Languages, ProviderOrgs, Licences, Attested);
replicated!(Option<ProviderId>, FirstProvider, Provider);
replicated!(BookingHandle, Minute, ZoneName, WeeklyRules, Exceptions, Option<OverrideReason>, Wanted);
replicated!(Calendar, Hold, Confirmation, Move, Waiting, CalendarChange, u32, i64);
replicated!(
    SessionId,
    SigningKeyId,
    LoginName,
    SecondFactor,
    [u8; 12],
    [u8; 16],
    [u8; 20],
    Box<[[u8; 32]; 10]>
);
replicated!(Option<PasswordVerifier>, Option<TotpVerifier>, Option<RecoveryCodes>, Option<Invitation>);
replicated!(PasswordVerifier, TotpVerifier, RecoveryCodes, Invitation, Account, Session, SigningKey);
replicated!(IdentityProviderId, Preset, IssuerUrl, ClientId, Option<Host>, Box<[[u8; 32]; 4]>);
replicated!(Option<SealedSecret>, SealedSecret, IdentityProvider, IdentityLink, Joining, Entrance);
replicated!(ClaimName, GroupRoles, RoleMapping, Option<RoleMapping>);
replicated!(Networks, SignInSettings, DeviceId, Device);
replicated!(PasskeyId, CredentialId, PasskeyKey, Passkey, PasskeyAdded, PasskeyShown, Option<Session>);
replicated!(KeyScopes, KeyGrant, KeyChange, KeyUses, Option<PreviousSecret>);
replicated!(SignInChange);
replicated!(BasisKind, LegalBasis, Recorder, Recorded);
replicated!(Label, LogKeys, Head, Cosignature, LogChange);

/// Defines a record whose every field must be [`Replicated`].
macro_rules! record {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)+ }
        const _: () = { $(must_be_replicated::<$type>();)+ };
    };
}

/// Defines the commands, each of whose fields must be [`Replicated`].
macro_rules! commands {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$vdoc:meta])* $variant:ident $(($one:ty))? $({ $($(#[$fdoc:meta])* $field:ident: $type:ty,)+ })?,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant $(($one))? $({ $($(#[$fdoc])* $field: $type,)+ })?,)+ }
        const _: () = { $($(must_be_replicated::<$one>();)? $($(must_be_replicated::<$type>();)+)?)+ };
    };
}

pub(crate) const fn must_be_replicated<T: Replicated>() {}

// A record whose field's types are its own may stand in its own file.
pub(crate) use {commands, record};

pub use crate::provider::{FirstProvider, Provider};
pub use crate::refusal::Refusal;
pub use crate::signature::Signature64;

record! {
    /// Where a region is reached.
    #[derive(Debug)]
    pub struct RegionEntry {
        /// The region.
        pub region: Region,
        /// What callers use.
        pub public: Endpoint,
        /// What peers use, over mutual TLS.
        pub peer: Endpoint,
    }
}

record! {
    /// A tenant.
    #[derive(Debug)]
    pub struct Organisation {
        /// The id that row-level security isolates.
        pub id: OrgId,
        /// The name on the door.
        pub name: PublicName,
        /// What kind of organisation it is.
        pub org_type: OrgType,
        /// Where it works.
        pub serves: JurisdictionSet,
        /// Whether its keys are accepted.
        pub active: bool,
    }
}

record! {
    /// What is needed to recognise an API key, and not enough to make one.
    pub struct KeyVerifier {
        /// The key's id, which is in the key's text.
        pub key: KeyId,
        /// The organisation that the key acts for.
        pub org: OrgId,
        /// What the key's holder may be.
        pub role: Role,
        /// The jurisdictions that the key works in.
        pub jurisdictions: JurisdictionSet,
        /// SHA-256 of the secret half.
        pub secret_sha256: [u8; 32],
        /// Whether the key was revoked.
        pub revoked: bool,
        /// The second after the Unix epoch from which the key is refused.
        pub expires: Option<i64>,
    }
}

/// The digest is left out: a log is not the place for what an attacker could search for.
impl fmt::Debug for KeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVerifier")
            .field("key", &self.key)
            .field("org", &self.org)
            .field("role", &self.role)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

record! {
    /// A member of the workforce of one organisation or several. Never a patient.
    #[derive(Debug)]
    pub struct User {
        /// The id that keys and access records name.
        pub id: UserId,
        /// The name on the badge.
        pub name: StaffName,
        /// Where the user works, and as what.
        pub memberships: Memberships,
        /// Whether any of the user's keys are accepted.
        pub active: bool,
        /// 1 when added, and one more with every change. The state counts: what a command says is not looked at.
        pub version: u64,
    }
}

record! {
    /// Which rules, or which access policies, are in force, signed by whoever may say so.
    #[derive(Debug)]
    pub struct PolicyVersion {
        /// One more than the version before it.
        pub version: u64,
        /// The rules' file, or the set of policies.
        pub digest: Digest,
        /// Ed25519 over `residency_policy::ruleset::signed_bytes`, or over those of `access_policies`.
        pub signature: Signature64,
    }
}

commands! {
    /// One change of the replicated state.
    pub enum Command {
        /// Adds a region, or changes where it is reached.
        AddRegion(RegionEntry),
        /// Claims ids for a region, ahead of need. Refused whole if any id is known.
        ClaimIds {
            /// The home of the patients who will get these ids.
            region: Region,
            /// The ids.
            ids: IdBatch,
        },
        /// Adds or replaces an organisation.
        PutOrganisation(Organisation),
        /// Adds or replaces an API key's verifier. A revoked key stays revoked.
        PutKey(KeyVerifier),
        /// Revokes an API key for good.
        RevokeKey(KeyId),
        /// Puts rules in force. Refused unless the version is the one after the present one; the first may be any but 0.
        PutPolicy(PolicyVersion),
        /// Retires an id, if its epoch is still the expected one. Whoever proposes it must hold the id's row at the home:
        /// the directory knows an id by 68 bits of it until it is retired, and an id that nobody claimed but that has
        /// those of a known one would be retired in its place.
        Retire {
            /// Whose id.
            patient: PatientId,
            /// The epoch that the proposer knew.
            expected: Epoch,
        },
        /// Adds an organisation. One with the same id that is different stays as it is, and the command is refused.
        AddOrganisation(Organisation),
        /// Changes an organisation's name, where it works, or whether its keys are accepted. Its kind stays.
        ChangeOrganisation {
            /// What it shall be.
            organisation: Organisation,
            /// The version that the proposer knew.
            expected: u64,
        },
        /// Closes an organisation for good: its keys are not accepted any more, its id stays.
        CloseOrganisation {
            /// Which.
            org: OrgId,
            /// Why.
            reason: Closure,
            /// The version that the proposer knew.
            expected: u64,
        },
        /// Adds a user. One with the same id that is different stays as it is, and the command is refused.
        AddUser(User),
        /// Replaces a user.
        ChangeUser {
            /// What the user shall be.
            user: User,
            /// The version that the proposer knew.
            expected: u64,
        },
        /// Adds or replaces the verifier of a user's API key. Whose key it is never changes.
        PutUserKey {
            /// The verifier.
            verifier: KeyVerifier,
            /// Whose key it is.
            user: UserId,
        },
        /// Adds or replaces a clinician, as earlier releases said it. It stands in logs; nobody says it any more.
        PutFirstProvider {
            /// What the clinician shall be.
            provider: FirstProvider,
            /// The version that the proposer knew; 0 for a new one.
            expected: u64,
        },
        /// Notes which disk a member has, for good. Only the leader says so, of the members that answer it.
        Enlist {
            /// Which member.
            node: NodeId,
            /// The disk that its log lies on.
            disk: DiskId,
        },
        /// Changes a calendar, or what stands in one.
        Calendar(CalendarChange),
        /// Changes who can sign in, or who is signed in.
        SignIn(SignInChange),
        /// Puts access policies in force. Refused unless the version is the one after the present one; the first is 1.
        PutAccessPolicies(PolicyVersion),
        /// An operator's word: says which clinician somebody is at an organisation, or that they are none, whatever was
        /// said before. Nobody else is the same one there.
        BindClinician {
            /// Who.
            user: UserId,
            /// Where.
            org: OrgId,
            /// Which clinician.
            provider: Option<ProviderId>,
        },
        /// Changes a key that an organisation issued itself, or notes when keys were used.
        Key(KeyChange),
        /// Records the legal basis of a marketing organisation, as earlier releases said it. It stands in logs; nobody says
        /// it any more.
        PutLegalBasis {
            /// Whose.
            org: OrgId,
            /// What it rests on.
            basis: LegalBasis,
            /// The version of the organisation that the proposer knew.
            expected: u64,
        },
        /// Takes back what is recorded of a marketing organisation.
        RemoveLegalBasis {
            /// Whose.
            org: OrgId,
            /// The version of the organisation that the proposer knew.
            expected: u64,
        },
        /// Says which clinician a user is at an organisation, or that they are none. Nobody else is the same one there.
        ChangeClinician {
            /// Who.
            user: UserId,
            /// Where.
            org: OrgId,
            /// Which clinician.
            provider: Option<ProviderId>,
            /// The version of the user that the proposer knew.
            expected: u64,
        },
        /// Adds or replaces a clinician. No two have the same NPI, and nobody's changes. Who entered a licence is the
        /// operator or works with them.
        PutProvider {
            /// What the clinician shall be.
            provider: Provider,
            /// The version that the proposer knew; 0 for a new one.
            expected: u64,
        },
        /// Notes what the operator looked up of a clinician's licences. Others that the operator entered stay, but those
        /// with the same numbers.
        VerifyLicences {
            /// Whose.
            npi: Npi,
            /// What was found.
            licences: Licences,
        },
        /// Adds a laboratory or a pharmacy, whose kind its numbers say. One with the same id that is different stays as it
        /// is, and the command is refused.
        AddFacility {
            /// It, where it is licensed being where it works.
            organisation: Organisation,
            /// What public registers call it.
            facility: Facility,
        },
        /// Records the legal basis of a marketing organisation, in place of whatever is recorded, and who did.
        RecordLegalBasis {
            /// Whose.
            org: OrgId,
            /// What it rests on.
            basis: LegalBasis,
            /// Who says so, and when.
            recorded: Recorded,
            /// The version of the organisation that the proposer knew.
            expected: u64,
        },
        /// Says something of a region's audit log.
        AuditLog(LogChange),
    }
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub enum Outcome {
    /// The state is as the command asked.
    Done,
    /// The state is as it was.
    Refused(Refusal),
}

/// What came of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// The index of the log entry that carried the command.
    pub index: u64,
    /// What the command did.
    pub outcome: Outcome,
}
