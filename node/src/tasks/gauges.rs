//! What the node shows of itself besides its requests, read when somebody asks for it.

use std::sync::Arc;

use node_access::policies::Policies;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use residency_control::Reader;
use storage::RegionPool;

use crate::wiring::Node;

/// Adds this node's gauges to its metrics.
pub fn register(node: &Node) {
    let policies = Arc::clone(&node.here.policies);
    let gauges = Gauges { reader: node.control.reader(), pool: node.pool.clone(), policies };
    node.metrics.register(|registry| registry.register_collector(Box::new(gauges)));
}

struct Gauges {
    reader: Reader,
    pool: RegionPool,
    policies: Arc<Policies>,
}

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let age = ConstGauge::new(self.reader.age().as_secs_f64());
        let descriptor = encoder.encode_descriptor(
            "control_view_age",
            "How long ago the view of the directory was shown to be what a quorum holds",
            Some(&Unit::Seconds),
            age.metric_type(),
        )?;
        age.encode(descriptor)?;

        let status = self.pool.status();
        let proven = u64::from(self.policies.current().is_ok());
        for (name, help, value) in [
            ("control_applied", "The last log entry in this node's view", self.reader.applied()),
            ("control_placements", "Patient ids in the directory", self.reader.placements_len() as u64),
            ("policies_proven", "1 where the access policies in force decide, 0 where none does", proven),
            ("database_connections", "Open connections to the database", status.open as u64),
            ("database_connections_idle", "Connections to the database that are free", status.idle as u64),
            ("database_waiting", "Requests that wait for a connection", status.waiting as u64),
            ("database_reads_waiting", "Reads that wait for their turn to ask", status.reads_waiting as u64),
            (
                "access_records_waiting",
                "Access records of reads that wait to be written",
                status.records_waiting as u64,
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
