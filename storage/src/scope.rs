//! Who acts, for whom and why: what row-level security and the access log need to know.

use residency_policy::{Accessor, Ingress, KeyId, OrgId, Purpose, RequestId, Role, UserId};

/// The standing of one request. It is set for the transaction only, never for the connection.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The organisation that acts. Its rows are the only ones visible.
    pub org: OrgId,
    /// The caller's role.
    pub role: Role,
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
}
