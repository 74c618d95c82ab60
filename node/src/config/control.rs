//! Section `[control]`: the control plane's store and members.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residency_control::peer::{PeerId, PeerKind};
use residency_control::{Endpoint, Member, Timings};
use residency_policy::NodeId;
use serde::Deserialize;

use super::{RegionSection, from_text};

/// The control plane.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlSection {
    /// Where log and snapshots lie. Not to be copied to another machine: a member's disk is its vote.
    pub dir: PathBuf,
    /// On exactly one node of a new cluster: makes the cluster of the members that vote, once.
    #[serde(default)]
    pub found: bool,
    /// Every member, this one included.
    pub members: Vec<MemberEntry>,
    /// How often and how long.
    #[serde(default)]
    pub timings: Timings,
}

/// One member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// Its identity, as in its certificate.
    #[serde(deserialize_with = "from_text")]
    pub id: PeerId,
    /// Where its peer listener is reached, as `host:port`.
    #[serde(deserialize_with = "from_text")]
    pub at: Endpoint,
    /// Whether it votes. Routers never do.
    pub votes: bool,
}

impl ControlSection {
    /// Every member by its id.
    pub fn peers(&self) -> BTreeMap<NodeId, Member> {
        self.some(|_| true)
    }

    /// The members that vote.
    pub fn voters(&self) -> BTreeMap<NodeId, Member> {
        self.some(|m| m.votes)
    }

    /// The members that do not vote.
    pub fn learners(&self) -> BTreeMap<NodeId, Member> {
        self.some(|m| !m.votes)
    }

    fn some(&self, which: impl Fn(&MemberEntry) -> bool) -> BTreeMap<NodeId, Member> {
        let member = |m: &MemberEntry| (m.id.node, Member::new(m.id.kind, m.at.clone()));
        self.members.iter().filter(|m| which(m)).map(member).collect()
    }

    /// This node's own identity.
    pub fn own_id(region: &RegionSection) -> PeerId {
        PeerId { kind: PeerKind::Region(region.region()), node: region.node }
    }

    pub(super) fn consistent(&self, region: &RegionSection) -> Result<(), String> {
        let own = Self::own_id(region);
        if !self.members.iter().any(|m| m.id == own) {
            return Err(format!("[[control.members]] does not name this node itself, which is {own}"));
        }
        if self.peers().len() != self.members.len() {
            return Err("two [[control.members]] have the same node number".into());
        }
        if let Some(router) = self.members.iter().find(|m| m.votes && matches!(m.id.kind, PeerKind::Router(_)))
        {
            return Err(format!("the router {} may not vote: set votes = false", router.id));
        }
        if self.voters().is_empty() {
            return Err("no member votes: at least one, better three or five, must have votes = true".into());
        }
        let t = &self.timings;
        if t.heartbeat_ms == 0
            || t.election_ms_min <= 2 * t.heartbeat_ms
            || t.election_ms_max <= t.election_ms_min
        {
            return Err(
                "[control.timings] must hold 2 * heartbeat_ms < election_ms_min < election_ms_max".into()
            );
        }
        Ok(())
    }
}
