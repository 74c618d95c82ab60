//! How the audit log stands, and what is thought of the others, for those who watch.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use residency_control::Reader;
use residency_policy::{Clock, Region};

use crate::wiring::Node;
use crate::wiring::audit_log::AuditLog;

/// Adds them to the node's metrics.
pub fn register(node: &Node) {
    let gauges = LogGauges {
        log: Arc::clone(&node.audit_log),
        reader: node.control.reader(),
        clock: Arc::clone(&node.clock),
        region: node.config.region.region(),
    };
    node.metrics.register(|registry| registry.register_collector(Box::new(gauges)));
}

struct LogGauges {
    log: Arc<AuditLog>,
    reader: Reader,
    clock: Arc<dyn Clock>,
    region: Region,
}

impl std::fmt::Debug for LogGauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogGauges")
    }
}

impl Collector for LogGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (standing, now) = (self.log.standing(), self.clock.now());
        let since =
            |at: Option<jiff::Timestamp>| at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        for (name, help, seconds) in [
            (
                "audit_log_lag",
                "For how long the oldest access record has waited for its place in the audit log",
                since(standing.waiting_since),
            ),
            (
                "audit_log_head_age",
                "How long ago the newest head of the audit log was signed here",
                since(standing.signed_at),
            ),
        ] {
            let gauge = ConstGauge::new(seconds);
            let descriptor =
                encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge.metric_type())?;
            gauge.encode(descriptor)?;
        }
        for (name, help, value) in [
            ("audit_log_size", "Leaves of the audit log", standing.size),
            (
                "audit_log_waiting",
                "Access records that wait for their place in the audit log",
                standing.waiting,
            ),
            ("audit_log_sequencing", "1 on the node that gives them their places", u64::from(standing.holds)),
            (
                "audit_log_stopped",
                "1 where the audit log was stopped rather than forked",
                u64::from(standing.stopped.is_some()),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        self.suspects(&mut encoder)
    }
}

impl LogGauges {
    /// One for each other region, so that an alarm has something to look at before anything is wrong.
    fn suspects(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let found = self.log.suspects();
        let none = ConstGauge::new(0_i64);
        let help = "1 where another region's audit log is not what it was";
        let mut family = encoder.encode_descriptor("audit_log_suspect", help, None, none.metric_type())?;
        for entry in self.reader.regions().iter().filter(|entry| entry.region != self.region) {
            // Evidence that everybody has counts on every node.
            let split = self.reader.audit_log(entry.region).is_some_and(|log| log.split().is_some());
            let gauge = ConstGauge::new(i64::from(split || found.contains_key(&entry.region)));
            gauge.encode(family.encode_family(&[("log", entry.region.0.code())])?)?;
        }
        Ok(())
    }
}
