//! Which node adds leaves.

use std::time::Duration;

use residency_policy::NodeId;

use super::TreeError;
use crate::{Error, RegionPool};

/// A node takes its own lease too: it is another process then, and what the one before left under way is fenced.
const TAKE: &str = "INSERT INTO audit_lease (node, token, expires_at)
    VALUES ($1, 1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (only_row) DO UPDATE
        SET node = excluded.node, token = audit_lease.token + 1, expires_at = excluded.expires_at
        WHERE audit_lease.node = excluded.node OR audit_lease.expires_at <= clock_timestamp()
    RETURNING token";
const RENEW: &str = "UPDATE audit_lease SET expires_at = clock_timestamp() + make_interval(secs => $2)
    WHERE token = $1 RETURNING token";

/// The statements of this file.
pub(super) const STATEMENTS: &[(&str, &str)] = &[("audit_tree.take", TAKE), ("audit_tree.renew", RENEW)];

/// The right to add leaves, until another node takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What leaves and checkpoints carry.
    pub token: i64,
    /// How long it lasts after it was taken or renewed.
    pub lasts: Duration,
}

impl RegionPool {
    /// Takes the lease, if nobody else has it. Every process takes it anew.
    pub async fn take_audit_lease(&self, node: NodeId, lasts: Duration) -> Result<Option<Held>, TreeError> {
        let NodeId(node) = node;
        let node = i64::try_from(node).map_err(|_| TreeError::Damaged("a node's id is too large"))?;
        let asked = self.ask("audit_tree.take", TAKE, &[&node, &lasts.as_secs_f64()]).await?;
        let token = asked.rows.first().map(|row| row.get::<i64>("token")).transpose()?;
        Ok(token.map(|token| Held { token, lasts }))
    }
}

/// Renews the lease in a transaction that adds leaves, and so locks it until its end.
pub(super) async fn renew(lease: &crate::lend::Lease, held: Held) -> Result<(), TreeError> {
    let asked = lease.ask(RENEW, &[&held.token, &held.lasts.as_secs_f64()]).await;
    let asked = asked.map_err(|error| Error::from_driver(&error, "audit_tree.renew"))?;
    if asked.rows.is_empty() { Err(TreeError::Fenced) } else { Ok(()) }
}
