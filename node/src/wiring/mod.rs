//! The one place where keys, pool, control plane, rules and API are joined, and where vendors are named.
//!
//! The order is the order of proof: nothing that could serve is made before what it rests on was shown to be the
//! right one.

mod ask_seldom;
pub mod audit_log;
pub mod control;
pub mod database;
pub mod directory;
pub mod keys;
pub mod migrate;
pub mod policies;
pub mod readiness;
pub mod rules;
pub mod signin;
pub mod used;

use std::sync::Arc;
use std::time::Duration;

use node_access::policies::Policies;
use node_access::{Admission, Here, Limits, Metrics, Parts};
use node_signin::Desk;
use rates::Rates;
use residency_control::Control;
use residency_control::peer::PeerTls;
use residency_control::rules::RulesInForce;
use residency_policy::{Clock, Entropy};
use router::certificates::Certificates;
use router::listen::PublicTls;
use storage::RegionPool;
use storage_keys::Envelope;

use crate::config::{Config, LimitsSection, secret_file};
use crate::exit::{Cause, Stop};
use audit_log::AuditLog;
use used::Used;

/// A node whose parts are joined and proven, and which listens nowhere yet.
pub struct Node {
    /// What it was told.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The region's keys.
    pub envelope: Arc<Envelope>,
    /// The region's database.
    pub pool: RegionPool,
    /// The member of the control plane.
    pub control: Control,
    /// The rules.
    pub rules: Arc<RulesInForce>,
    /// The sets of access policies that lie here.
    pub installed: Arc<policies::Installed>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The certificates between members.
    pub peer_tls: PeerTls,
    /// The certificate that callers see.
    pub public_tls: Arc<PublicTls>,
    /// What is known of both, while they are replaced.
    pub certificates: Arc<Certificates>,
    /// What every handler gets.
    pub here: Here,
    /// Where people sign in.
    pub desk: Arc<Desk>,
    /// Which API keys were used here.
    pub used: Arc<Used>,
    /// The region's audit log.
    pub audit_log: Arc<AuditLog>,
}

/// Joins the parts of a node.
pub async fn join(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Node, Stop> {
    closed(&config)?;
    let (sealing, federated) = (signin::sealing_keys(&config)?, signin::federated(&config)?);
    let passkeys = signin::passkeys(&config)?;
    // Certificates first: they are cheap to check and often what is wrong.
    let public_tls = PublicTls::load(&config.tls.certificate, &config.tls.key, clock.now())
        .map_err(|e| Stop::new(Cause::Tls, e.to_string(), "see [tls]; `domicile doctor` checks the files"))?;
    let (public_tls, peer_tls) = (Arc::new(public_tls), control::peer_tls(&config)?);
    let certificates =
        Arc::new(Certificates::new(Arc::clone(&public_tls), peer_tls.clone(), Arc::clone(&clock)));
    let rules = Arc::new(rules::load(&config.rules, Arc::clone(&clock))?);
    let installed =
        Arc::new(policies::Installed::of(&config.rules, config.region.cluster, Arc::clone(&clock))?);
    let envelope = Arc::new(keys::envelope(&config, Arc::clone(&entropy)).await?);
    let pool = database::open(&config, &envelope, &clock, &entropy).await?;
    let audit_log = Arc::new(AuditLog::of(config.region.cluster, config.region.region(), &pool)?);
    let control = control::start(&config, &peer_tls, Arc::clone(&clock)).await?;

    let issuer = Arc::new(signin::issuer(&config)?);
    let metrics = Arc::new(Metrics::default());
    metrics.register(|registry| certificates.register(registry));
    let view_age_max = limits(&config.limits).view_age_max;
    let used = Arc::new(Used::default());
    let directory = directory::ControlDirectory::new(
        control.reader(),
        Arc::clone(&rules),
        residency_tokens::Verifier::new(issuer.cluster()),
        Arc::clone(&used),
    );
    let LimitsSection { work_max, in_time_ms, .. } = config.limits;
    let admission = Arc::new(Admission::new(work_max, Duration::from_millis(in_time_ms)));
    metrics.register(|registry| admission.register(registry));
    // What this node has of the log already says which; `tasks::policies` follows from there on.
    let in_force = installed.open(control.reader().access_policies().as_ref()).map_err(|e| {
        tracing::error!(error = %e, "no access is decided: the policies cannot be used");
        e.refused
    });
    let policies = Arc::new(Policies::new(in_force));
    let here = Here::new(Parts {
        region: config.region.region(),
        pool: pool.clone(),
        directory: Arc::new(directory),
        changes: Arc::new(directory::ControlChanges::new(control.reader(), control.writer())),
        readiness: Arc::new(readiness::NodeReadiness::new(
            pool.clone(),
            Arc::clone(&envelope),
            control.reader(),
            Arc::clone(&rules),
            Arc::clone(&policies),
            view_age_max,
            Arc::clone(&certificates),
            Arc::clone(&audit_log),
        )),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        limits: limits(&config.limits),
        metrics: Arc::clone(&metrics),
        policies,
        rates: Arc::new(Rates::new(&config.rates)),
        admission,
    });
    let desk = Arc::new(signin::desk(&here, issuer, sealing, federated, passkeys));
    Ok(Node {
        config,
        clock,
        entropy,
        envelope,
        pool,
        control,
        rules,
        installed,
        metrics,
        peer_tls,
        public_tls,
        certificates,
        here,
        desk,
        used,
        audit_log,
    })
}

fn limits(section: &LimitsSection) -> Limits {
    Limits {
        body_bytes_max: section.body_bytes_max,
        view_age_max: Duration::from_secs(section.view_age_seconds_max),
        request_time_max: Duration::from_secs(section.request_seconds_max),
        ..Limits::default()
    }
}

/// Refuses to start on secrets that others may read: they must be taken as known.
fn closed(config: &Config) -> Result<(), Stop> {
    for (named_by, file) in config.secret_files() {
        let cause = match named_by {
            _ if named_by.starts_with("[keys") => Cause::Keys,
            "[tls] key" | "[peer] key" => Cause::Tls,
            _ => Cause::Config,
        };
        secret_file::closed(file).map_err(|e| {
            Stop::new(
                cause,
                e.to_string(),
                format!("see {named_by}; what others could read should be replaced too"),
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_what_holds() {
        let section = LimitsSection {
            body_bytes_max: 2_000,
            view_age_seconds_max: 7,
            request_seconds_max: 11,
            ..LimitsSection::default()
        };
        let limits = limits(&section);
        assert_eq!(limits.body_bytes_max, 2_000);
        assert_eq!(limits.view_age_max, Duration::from_secs(7));
        assert_eq!(limits.request_time_max, Duration::from_secs(11));
    }
}
