//! What the tests share: an authority, and members of a control plane over real TLS sockets.

pub(crate) mod authority;
pub(crate) mod calendars;
pub(crate) mod cluster;
pub(crate) mod disk;

use std::time::Duration;

use residency_control::{Command, Endpoint, IdBatch, JurisdictionSet, KeyVerifier, Organisation, RegionEntry};
use residency_policy::{Home, Jurisdiction, OrgId, OrgType, PatientId, Region, Role};

/// How long a test waits for a state, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn place(code: &str) -> Jurisdiction {
    code.parse().expect("a jurisdiction")
}

pub(crate) fn region(code: &str) -> Region {
    Region(place(code))
}

pub(crate) fn home(code: &str) -> Home {
    Home(region(code))
}

pub(crate) fn patient(n: u64) -> PatientId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..].copy_from_slice(&n.to_le_bytes());
    PatientId::from_bytes(bytes)
}

pub(crate) fn org(n: u8) -> OrgId {
    OrgId::from_bytes([n; 16])
}

pub(crate) fn add_region(code: &str) -> Command {
    let at = |port| Endpoint::new("localhost".parse().expect("a host"), port);
    Command::AddRegion(RegionEntry { region: region(code), public: at(1), peer: at(2) })
}

pub(crate) fn claim(code: &str, ids: impl IntoIterator<Item = u64>) -> Command {
    let ids = IdBatch::new(ids.into_iter().map(patient).collect()).expect("a batch");
    Command::ClaimIds { region: region(code), ids }
}

pub(crate) fn organisation(n: u8) -> Organisation {
    Organisation {
        id: org(n),
        name: "Lone Star Health".parse().expect("a name"),
        org_type: OrgType::Provider,
        serves: JurisdictionSet::from(place("US-TX")),
        active: true,
    }
}

pub(crate) fn verifier(n: u8, of: u8) -> KeyVerifier {
    KeyVerifier {
        key: residency_policy::KeyId::from_bytes([n; 16]),
        org: org(of),
        role: Role::Provider,
        jurisdictions: JurisdictionSet::from(place("US-TX")),
        secret_sha256: [n; 32],
        revoked: false,
        expires: None,
    }
}
