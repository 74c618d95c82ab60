//! Whether this node can serve now.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use node_access::policies::{NotInForce, Policies};
use node_access::{Check, Checks, Readiness};
use residency_control::Reader;
use residency_control::rules::RulesInForce;
use router::certificates::Certificates;
use storage::RegionPool;
use storage_keys::Envelope;
use tokio::time::{Instant, timeout};

use super::ask_seldom::LastAnswer;
use super::audit_log::{AuditLog, Stopped};
use super::policies::decides;

/// No part may keep a prober waiting for longer.
const WITHIN: Duration = Duration::from_secs(2);
/// How long an answer is good. Everybody may probe, as often as they like.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// A KMS bills its calls, so that it is right is good for longer.
const KEYS_RIGHT_FOR: Duration = Duration::from_secs(10);
const NO_KEYRING: Check = Check::Wrong(
    "the keyring keeps no new keys, so that no new patient can be registered; see that there is room on its disk",
);

/// Looks at everything that a request needs.
pub struct NodeReadiness {
    pool: RegionPool,
    envelope: Arc<Envelope>,
    reader: Reader,
    rules: Arc<RulesInForce>,
    policies: Arc<Policies>,
    view_age_max: Duration,
    certificates: Arc<Certificates>,
    audit_log: Arc<AuditLog>,
    last_database: LastAnswer,
    last_keys: LastAnswer,
}

impl NodeReadiness {
    /// Looks at these.
    #[expect(clippy::too_many_arguments, reason = "one for each part that is looked at")]
    pub fn new(
        pool: RegionPool,
        envelope: Arc<Envelope>,
        reader: Reader,
        rules: Arc<RulesInForce>,
        policies: Arc<Policies>,
        view_age_max: Duration,
        certificates: Arc<Certificates>,
        audit_log: Arc<AuditLog>,
    ) -> Self {
        Self {
            pool,
            envelope,
            reader,
            rules,
            policies,
            view_age_max,
            certificates,
            audit_log,
            last_database: LastAnswer::default(),
            last_keys: LastAnswer::default(),
        }
    }

    async fn database(&self) -> Check {
        self.last_database.or_ask(Instant::now, |_| GOOD_FOR, self.ask_database()).await
    }

    async fn ask_database(&self) -> Check {
        match timeout(WITHIN, self.pool.ping()).await {
            Ok(Ok(())) => Check::Right,
            _ => Check::Wrong("the region's Postgres does not answer; see that it runs and is reachable"),
        }
    }

    async fn keys(&self) -> Check {
        let good_for = |check: Check| if check == Check::Right { KEYS_RIGHT_FOR } else { GOOD_FOR };
        self.last_keys.or_ask(Instant::now, good_for, self.ask_keys()).await
    }

    async fn ask_keys(&self) -> Check {
        // A new data key needs both: the KMS wraps it and the keyring keeps it.
        let (kms, keyring) = tokio::join!(
            timeout(WITHIN, self.envelope.check_kms()),
            timeout(WITHIN, self.envelope.keyring().check())
        );
        match (kms, keyring) {
            (Ok(Ok(())), Ok(Ok(()))) => Check::Right,
            (Ok(Ok(())), _) => NO_KEYRING,
            _ => Check::Wrong("the KMS does not wrap new keys; `domicile doctor` says why"),
        }
    }

    /// A node whose view is old still serves its own patients, so that only a view that carries nothing any more
    /// makes it unready.
    fn control(&self) -> Check {
        if self.reader.applied() == 0 {
            Check::Wrong("this node has not received the directory yet; see that its peers are reachable")
        } else if self.reader.age() > self.view_age_max {
            Check::Wrong("the view of the directory is too old; see that a quorum of the members runs")
        } else {
            Check::Right
        }
    }

    fn rules(&self) -> Check {
        if self.rules.current(&self.reader).is_some() {
            Check::Right
        } else {
            Check::Wrong(
                "the rules here are not the ones in force, or their signature is not by the policy key",
            )
        }
    }

    fn policies(&self) -> Check {
        match self.policies.current() {
            Err(refused) => Check::Wrong(refused.says()),
            Ok(_) if decides(&self.policies, self.reader.access_policies().as_ref()) => Check::Right,
            Ok(_) => Check::Wrong(NotInForce::Unread.says()),
        }
    }
}

impl Readiness for NodeReadiness {
    fn check(&self) -> BoxFuture<'_, Checks> {
        Box::pin(async {
            let (database, keys) = tokio::join!(self.database(), self.keys());
            let certificates = self.certificates.wrong().map_or(Check::Right, Check::Wrong);
            let stopped = self.audit_log.standing().stopped.map(Stopped::says);
            Checks {
                database,
                keys,
                control: self.control(),
                rules: self.rules(),
                policies: self.policies(),
                certificates,
                audit_log: stopped.map_or(Check::Right, Check::Wrong),
            }
        })
    }
}
