//! Section `[region]`: who this node is.

use residency_policy::{Jurisdiction, Label, NodeId, Region};
use serde::Deserialize;

/// Who this node is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSection {
    /// Whose law applies here, such as `US-TX`. The region is declared, not attested.
    pub jurisdiction: Jurisdiction,
    /// The deployment's name. It is stamped into the database and bound to every data key.
    pub cluster: Label,
    /// This node's id in the control plane. Never given to another disk.
    pub node: NodeId,
}

impl RegionSection {
    /// The region.
    pub fn region(&self) -> Region {
        Region(self.jurisdiction)
    }
}
