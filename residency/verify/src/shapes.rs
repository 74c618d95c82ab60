//! All that may be replicated to every region, a second time, as the auditor has it.
//!
//! There is no place in it for a patient's name, birth date or note: a patient is an id and no more. Texts are bounded and
//! of clinicians, staff and organisations. `tests/it/residency/verified.rs` holds the names of the variants against the
//! program's own, so that a new one is seen by somebody who decides whether it may be there.

use crate::postcard::Shape::{
    self, Bool, Byte, Bytes, Choice, Code, Fixed, Int, List, Opt, Record, Text, Uint, Word,
};

/// A variant with nothing in it.
const NONE: Shape = Record(&[]);
const ID: Shape = Bytes(16, 16);
const SHA: Shape = Fixed(32);
const I64: Shape = Int(64);
const U64: Shape = Uint(64);
const U32: Shape = Uint(32);
const U16: Shape = Uint(16);
/// The index of a jurisdiction.
const PLACE: Shape = Byte(56);
const PLACES: Shape = U64;
const ROLE: Shape = Word(7);
const HOST: Shape = Code(253);
const ENDPOINT: Shape = Record(&[HOST, U16]);
/// Public names have at most 80 characters, of at most four bytes.
const NAME: Shape = Text(320);
const DAY_TEXT: Shape = Code(16);

const REGION_ENTRY: Shape = Record(&[PLACE, ENDPOINT, ENDPOINT]);
const ORGANISATION: Shape = Record(&[ID, NAME, Word(5), PLACES, Bool]);
const KEY_VERIFIER: Shape = Record(&[ID, ID, ROLE, PLACES, SHA, Bool, Opt(&I64)]);
const POLICY: Shape = Record(&[U64, SHA, Fixed(64)]);
const MEMBERSHIP: Shape = Record(&[ID, U16, Bool]);
const USER: Shape = Record(&[ID, NAME, List(&MEMBERSHIP, 16), Bool, U64]);
const LICENCE: Shape = Record(&[
    PLACE,
    Choice(&[("Full", NONE), ("Telehealth", NONE), ("Compact", Word(12))]),
    Code(24),
    Word(6),
    DAY_TEXT,
    DAY_TEXT,
    Opt(&DAY_TEXT),
    Word(4),
    DAY_TEXT,
]);
const LICENCES: Shape = List(&LICENCE, 64);
const ATTESTED: Shape = List(&Record(&[Choice(&[("Operator", NONE), ("Organisation", ID)]), LICENCES]), 17);
const TAXONOMY: Shape = Code(10);
const FIRST_PROVIDER: Shape = Record(&[
    ID,
    Code(10),
    NAME,
    List(&TAXONOMY, 15),
    List(&Code(11), 16),
    List(&ID, 16),
    LICENCES,
    Opt(&ID),
    Bool,
    Bool,
    U64,
]);
const PROVIDER: Shape = Record(&[
    ID,
    Code(10),
    NAME,
    List(&TAXONOMY, 15),
    List(&Code(11), 16),
    List(&ID, 16),
    ATTESTED,
    Opt(&ID),
    Bool,
    Bool,
    U64,
]);
const LEGAL_BASIS: Shape = Record(&[Word(2), U32, U32, SHA]);
const FACILITY: Shape = Choice(&[("Lab", Code(10)), ("Pharmacy", Record(&[Code(7), Code(10)]))]);

const RECORDED: Shape =
    Record(&[Choice(&[("Operator", NONE), ("User", Record(&[ID, ID])), ("Key", Record(&[ID, ID]))]), I64]);

// Audit logs: sizes, hashes, keys that verify, and signatures.
const LOG_KEYS: Shape = Record(&[PLACE, Code(63), SHA, SHA]);
const HEAD: Shape = Record(&[U64, SHA, Fixed(64)]);
const COSIGNATURE: Shape = Record(&[PLACE, U64, SHA, U64, Fixed(64)]);
const AUDIT_LOG: Shape = Record(&[LOG_KEYS, Opt(&HEAD), List(&Record(&[PLACE, COSIGNATURE]), 64), Opt(&HEAD)]);

/// What is said of audit logs.
pub const LOG_CHANGE: &[(&str, Shape)] = &[
    ("Register", LOG_KEYS),
    ("Publish", Record(&[PLACE, HEAD])),
    ("Cosign", Record(&[PLACE, COSIGNATURE])),
    ("ShowSplit", Record(&[PLACE, HEAD])),
];

// Calendars.
const RULE: Shape = Record(&[Byte(0x7f), U16, U16, Int(32), Opt(&Int(32))]);
const EXCEPTION: Shape = Record(&[Int(32), Choice(&[("Closed", NONE), ("Open", Record(&[U16, U16]))])]);
const CALENDAR: Shape =
    Record(&[ID, Code(40), List(&RULE, 32), List(&EXCEPTION, 400), U16, U16, U16, U16, U32, U16, U64]);
const OVERRIDE: Shape = Word(4);
const HOLD: Shape = Record(&[ID, ID, U32, U32, I64, I64, U64, U64, ID, PLACE, Opt(&OVERRIDE)]);
const CONFIRMATION: Shape = Record(&[ID, ID, I64, I64, U64, ID, PLACE]);
const WAITING: Shape = Record(&[ID, Choice(&[("Provider", ID), ("Specialty", TAXONOMY)]), U32, U32, ID, PLACE]);
const ENTRY_OF_A_DAY: Shape =
    Record(&[U32, ID, PLACE, Choice(&[("Held", I64), ("Booked", NONE)]), Opt(&OVERRIDE)]);

/// The changes of calendars.
pub const CALENDAR_CHANGE: &[(&str, Shape)] = &[
    ("Put", Record(&[CALENDAR, U64])),
    ("Hold", HOLD),
    ("Confirm", CONFIRMATION),
    ("Release", Record(&[ID, ID, ID])),
    ("Cancel", Record(&[ID, ID, PLACE])),
    ("Relocate", Record(&[ID, ID, CONFIRMATION])),
    ("Wait", WAITING),
    ("Leave", Record(&[ID, PLACE])),
    ("TellTime", Record(&[PLACE, I64])),
    ("GiveUp", Record(&[ID, ID, ID, I64])),
];

// Signing in: verifiers only.
const PASSWORD: Shape = Record(&[U32, U32, U32, Fixed(16), SHA]);
const TOTP: Shape = Record(&[U32, Fixed(12), Fixed(20), Fixed(16), Bool, U64]);
const RECOVERY: Shape = Record(&[Fixed(320), U16]);
const INVITATION: Shape = Record(&[SHA, I64]);
const LOGIN_NAME: Shape = Code(64);
const ACCOUNT: Shape =
    Record(&[ID, ID, LOGIN_NAME, U64, Opt(&PASSWORD), Opt(&TOTP), Opt(&RECOVERY), Opt(&INVITATION), U32, I64]);
const SESSION: Shape = Record(&[ID, ID, ID, ROLE, SHA, SHA, U32, U16, I64, I64, I64]);
const SIGNING_KEY: Shape = Record(&[ID, PLACE, SHA, I64, I64]);
const SECOND: Shape = Choice(&[("None", NONE), ("Totp", U64), ("Recovery", U16), ("Held", ID)]);
const DEVICE: Shape = Record(&[ID, ID, ID, SHA, Bool, I64]);
const SEALED_SECRET: Shape = Record(&[U32, Fixed(12), Fixed(128), Fixed(16)]);
const IDENTITY_PROVIDER: Shape =
    Record(&[ID, ID, Word(6), Code(200), Code(128), Opt(&SEALED_SECRET), Opt(&HOST), Bool, U64]);
const GROUP: Shape = Text(128);
const ROLE_MAPPING: Shape = Record(&[Code(128), List(&Record(&[GROUP, ROLE]), 32)]);
const IDENTITY_LINK: Shape = Record(&[ID, ID, ID, SHA]);
const JOINING: Shape = Choice(&[("Linked", NONE), ("ByMail", NONE), ("Invited", SHA), ("SignedIn", ID)]);
const ENTRANCE: Shape = Record(&[SESSION, U64, ID, SHA, JOINING, Bool, SHA, I64]);
const SETTINGS: Shape = Record(&[ID, U64, Bool, Bool, List(&Code(43), 64)]);
const PASSKEY: Shape = Record(&[
    ID,
    ID,
    ID,
    Bytes(16, 255),
    Choice(&[("Es256", Fixed(64)), ("Rs256", Fixed(259))]),
    U32,
    Bool,
    Bool,
    I64,
    Opt(&I64),
]);
const PASSKEY_SHOWN: Shape = Record(&[ID, ID, ID, U32, Bool, U64, I64, SHA, I64, Opt(&SESSION)]);
const PASSKEY_ADDED: Shape = Record(&[PASSKEY, ID, U64, SHA, I64]);

/// The changes of who signs in.
pub const SIGN_IN_CHANGE: &[(&str, Shape)] = &[
    ("AddAccount", ACCOUNT),
    ("Invite", Record(&[ID, ID, LOGIN_NAME, INVITATION])),
    ("Accept", Record(&[ID, ID, SHA, PASSWORD, I64])),
    ("NoteFailure", Record(&[ID, ID, I64])),
    ("OpenSession", Record(&[SESSION, U64, SECOND])),
    ("Refresh", Record(&[ID, SHA, SHA, I64])),
    ("EndSession", ID),
    ("EnrolTotp", Record(&[ID, ID, TOTP, RECOVERY, U64])),
    ("ConfirmTotp", Record(&[ID, ID, U64, ID, U64])),
    ("AddSigningKey", SIGNING_KEY),
    ("AddIdentityProvider", IDENTITY_PROVIDER),
    ("ChangeIdentityProvider", Record(&[IDENTITY_PROVIDER, U64])),
    ("RemoveIdentityProvider", Record(&[ID, ID])),
    ("Enter", ENTRANCE),
    ("NoteDevice", DEVICE),
    ("AdmitDevice", Record(&[ID, ID, ID])),
    ("RemoveDevice", Record(&[ID, ID, ID])),
    ("PutSettings", Record(&[SETTINGS, U64])),
    ("ChangePassword", Record(&[ID, ID, PASSWORD, SECOND, ID, U64, I64])),
    ("UseCode", Record(&[ID, ID, SECOND, U64, I64])),
    ("Unlink", Record(&[ID, ID, ID])),
    ("StepUp", Record(&[ID, ID, SECOND, ID, U64, I64])),
    ("AddPasskey", PASSKEY_ADDED),
    ("ShowPasskey", PASSKEY_SHOWN),
    ("RemovePasskey", Record(&[ID, ID, ID, ID])),
    ("EnterAssured", Record(&[ENTRANCE, I64])),
    ("PutIdentityProvider", Record(&[IDENTITY_PROVIDER, Opt(&ROLE_MAPPING), U64])),
];

const KEY_SCOPES: Shape = U16;
const KEY_GRANT: Shape = Record(&[KEY_SCOPES, I64, U64, Opt(&Record(&[SHA, I64]))]);

/// The changes of keys that organisations issue themselves.
pub const KEY_CHANGE: &[(&str, Shape)] = &[
    ("Issue", Record(&[KEY_VERIFIER, KEY_SCOPES, I64])),
    ("Rotate", Record(&[ID, SHA, I64, I64, I64, U64])),
    ("NoteUses", List(&Record(&[ID, I64]), 1_024)),
    ("Revoke", Record(&[ID, I64])),
];

/// The commands.
pub const COMMAND: &[(&str, Shape)] = &[
    ("AddRegion", REGION_ENTRY),
    ("ClaimIds", Record(&[PLACE, List(&ID, 4_096)])),
    ("PutOrganisation", ORGANISATION),
    ("PutKey", KEY_VERIFIER),
    ("RevokeKey", ID),
    ("PutPolicy", POLICY),
    ("Retire", Record(&[ID, U32])),
    ("AddOrganisation", ORGANISATION),
    ("ChangeOrganisation", Record(&[ORGANISATION, U64])),
    ("CloseOrganisation", Record(&[ID, Word(5), U64])),
    ("AddUser", USER),
    ("ChangeUser", Record(&[USER, U64])),
    ("PutUserKey", Record(&[KEY_VERIFIER, ID])),
    ("PutFirstProvider", Record(&[FIRST_PROVIDER, U64])),
    ("Enlist", Record(&[U64, ID])),
    ("Calendar", Choice(CALENDAR_CHANGE)),
    ("SignIn", Choice(SIGN_IN_CHANGE)),
    ("PutAccessPolicies", POLICY),
    ("BindClinician", Record(&[ID, ID, Opt(&ID)])),
    ("Key", Choice(KEY_CHANGE)),
    ("PutLegalBasis", Record(&[ID, LEGAL_BASIS, U64])),
    ("RemoveLegalBasis", Record(&[ID, U64])),
    ("ChangeClinician", Record(&[ID, ID, Opt(&ID), U64])),
    ("PutProvider", Record(&[PROVIDER, U64])),
    ("VerifyLicences", Record(&[Code(10), LICENCES])),
    ("AddFacility", Record(&[ORGANISATION, FACILITY])),
    ("RecordLegalBasis", Record(&[ID, LEGAL_BASIS, RECORDED, U64])),
    ("AuditLog", Choice(LOG_CHANGE)),
];

const MANY: usize = 1_000;

/// The parts of a snapshot.
pub const PART: &[(&str, Shape)] = &[
    ("Regions", List(&REGION_ENTRY, MANY)),
    ("Organisations", List(&ORGANISATION, MANY)),
    ("Keys", List(&KEY_VERIFIER, MANY)),
    ("Policy", POLICY),
    ("Marks", List(&Record(&[ID, U64, Opt(&Word(5))]), MANY)),
    ("Users", List(&USER, MANY)),
    ("KeyUsers", List(&Record(&[ID, ID]), MANY)),
    ("FirstProviders", List(&FIRST_PROVIDER, MANY)),
    ("Seats", List(&Record(&[U64, Opt(&ID)]), MANY)),
    (
        "Calendars",
        Record(&[
            List(&Record(&[CALENDAR, List(&Record(&[U32, ID, ENTRY_OF_A_DAY]), 1 << 24)]), MANY),
            List(&Record(&[U64, WAITING]), 1 << 24),
            U64,
            List(&Record(&[PLACE, I64]), 64),
        ]),
    ),
    ("GivenUp", List(&Record(&[ID, ID, I64]), MANY)),
    ("Accounts", List(&ACCOUNT, MANY)),
    ("Sessions", List(&SESSION, MANY)),
    ("SigningKeys", List(&SIGNING_KEY, MANY)),
    ("AccessPolicies", POLICY),
    ("IdentityProviders", List(&IDENTITY_PROVIDER, MANY)),
    ("IdentityLinks", List(&IDENTITY_LINK, MANY)),
    ("SpentFlows", List(&Record(&[I64, SHA]), MANY)),
    ("Clinicians", List(&Record(&[ID, ID, ID]), MANY)),
    ("SignInSettings", List(&SETTINGS, MANY)),
    ("KeyGrants", List(&Record(&[ID, KEY_GRANT]), MANY)),
    ("KeyUses", List(&Record(&[ID, I64]), MANY)),
    ("Devices", List(&DEVICE, MANY)),
    ("LegalBases", List(&Record(&[ID, LEGAL_BASIS]), MANY)),
    ("Assured", List(&Record(&[ID, I64]), MANY)),
    ("Providers", List(&PROVIDER, MANY)),
    ("Facilities", List(&Record(&[ID, FACILITY]), MANY)),
    ("Passkeys", List(&PASSKEY, MANY)),
    ("RoleMappings", List(&Record(&[ID, ROLE_MAPPING]), MANY)),
    ("SureLinks", List(&Record(&[ID, ID, ID]), MANY)),
    ("BasesRecorded", List(&Record(&[ID, RECORDED]), MANY)),
    ("AuditLogs", List(&AUDIT_LOG, MANY)),
];

/// The place of an entry in the log: term, node, index.
pub const LOG_ID: Shape = Record(&[U64, U64, U64]);
const MEMBER: Shape = Record(&[U64, Choice(&[("Region", PLACE), ("Router", PLACE)]), HOST, U16]);
/// Who belongs to the control plane: voters, and everybody with where they are reached.
pub const MEMBERSHIP_OF_RAFT: Shape = Record(&[List(&List(&U64, 64), 2), List(&MEMBER, 1_024)]);
/// What describes a snapshot, after where it stands.
pub const SNAPSHOT_META: Shape = Record(&[Opt(&LOG_ID), Opt(&LOG_ID), MEMBERSHIP_OF_RAFT, Code(128)]);
/// What lies beside the log, by name: node and disk are bytes as they are.
pub const META: &[(&str, Shape)] = &[
    ("vote", Record(&[U64, U64, Bool])),
    ("committed", Opt(&LOG_ID)),
    ("purged", LOG_ID),
    ("remembered", Record(&[I64, I64, U64])),
    ("node", Fixed(8)),
    ("disk", Fixed(16)),
];
