//! Looks at the other regions' audit logs, and cosigns what goes on from what was seen of them before (C2SP tlog-witness,
//! with the control plane as the place where heads and cosignatures lie).
//!
//! Of each region two heads are looked at: the one that it told the control plane, which is cosigned, and the one that it
//! shows whoever asks it, which must be the same log. What was cosigned last is in the control plane, so a witness that
//! was away goes on from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use residency_control::audit_log::{AuditLog as Known, Head, LogChange};
use residency_control::peer::{PeerExpect, PeerPool};
use residency_control::{Command, Endpoint, Reader, Signature64, Writer};
use residency_policy::{Clock, Region};
use residency_tlog::{
    Checkpoint, Hash, KeyKind, NOTE_BYTES_MAX, Note, Resource, TILE_BYTES, Tile, TileNodes, VerifierKey,
    consistency_nodes, prove_consistency, tiles_holding, verify_consistency,
};
use tokio::time::timeout;

use crate::wiring::Node;
use crate::wiring::audit_log::{AuditLog, Suspicion};

/// How often each log is looked at: twice for each head that is told, so that the witnesses' words are about the same ones,
/// and an alarm is due within 5 s.
const EVERY: Duration = Duration::from_secs(1);
/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(2);
/// A proof between any two sizes lies in fewer tiles.
const TILES_MAX: usize = 64;

/// Witnesses for ever, while this node sequences its own region's log.
pub fn witness(node: &Node) -> impl Future<Output = ()> + Send + 'static {
    let witness = Witness {
        reader: node.control.reader(),
        writer: node.control.writer(),
        peers: PeerPool::new(node.peer_tls.clone()),
        own: Arc::clone(&node.audit_log),
        clock: Arc::clone(&node.clock),
        region: node.config.region.region(),
    };
    async move {
        loop {
            if witness.own.standing().holds {
                let others = witness.reader.audit_logs();
                let others = others.iter().filter(|log| log.keys().region != witness.region);
                // Side by side: one region that does not answer delays no other's alarm.
                futures::future::join_all(others.map(|log| witness.look(log))).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

struct Witness {
    reader: Reader,
    writer: Writer,
    peers: PeerPool,
    own: Arc<AuditLog>,
    clock: Arc<dyn Clock>,
    region: Region,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
enum Unclear {
    #[error("the region does not answer")]
    Away,
    #[error("the log is not what it was")]
    Suspicious(Suspicion),
}

impl Witness {
    async fn look(&self, log: &Known) {
        let region = log.keys().region;
        match self.examine(log).await {
            Ok(()) => self.own.judged(region, log.split().map(|_| Suspicion::SplitView)),
            Err(Unclear::Suspicious(found)) => self.own.judged(region, Some(found)),
            // What was found before is as true as it was.
            Err(Unclear::Away) => tracing::debug!(%region, "the audit log of a region cannot be looked at now"),
        }
    }

    async fn examine(&self, log: &Known) -> Result<(), Unclear> {
        let Some(told) = log.head() else { return Ok(()) };
        let Some(entry) = self.reader.region(log.keys().region) else { return Err(Unclear::Away) };
        let at = &entry.peer;
        let shown = self.shown(log, at).await?;
        self.compare(log, told, &shown).await?;
        self.consistent(log, at, (told.size, told.root), (shown.size, shown.root)).await?;
        let before = log.cosigned_by(self.region).map_or((0, [0; 32]), |seen| (seen.size, seen.root));
        if before.0 > told.size {
            return Err(Unclear::Suspicious(Suspicion::Rewound));
        }
        if before != (told.size, told.root) {
            self.consistent(log, at, before, (told.size, told.root)).await?;
            self.cosign(log, told).await;
        }
        Ok(())
    }

    /// The head that the region shows whoever asks.
    async fn shown(&self, log: &Known, at: &Endpoint) -> Result<Head, Unclear> {
        let bytes = self.fetch(log, at, Resource::Checkpoint, NOTE_BYTES_MAX).await?;
        // A head was told, so that there was one.
        let bytes = bytes.ok_or(Unclear::Suspicious(Suspicion::Rewound))?;
        let key = VerifierKey::new(&log.origin(), KeyKind::Ed25519, &log.keys().log);
        let unsigned = || Unclear::Suspicious(Suspicion::NotSigned);
        let known = [key.map_err(|_| unsigned())?];
        let opened = Checkpoint::open(&bytes, &log.origin(), &known).map_err(|_| unsigned())?;
        let own = |line: &&residency_tlog::SignatureLine| line.id() == known[0].id();
        let line = opened.note.signatures().iter().find(own).ok_or_else(unsigned)?;
        let signature = Signature64::from_bytes(line.bytes().try_into().map_err(|_| unsigned())?);
        let Checkpoint { size, root, .. } = opened.checkpoint;
        Ok(Head { size, root: *root.as_bytes(), signature })
    }

    /// Of one size there is one root, and what was told before was shown: whoever shows another has two logs.
    async fn compare(&self, log: &Known, told: &Head, shown: &Head) -> Result<(), Unclear> {
        if shown.size < told.size {
            return Err(Unclear::Suspicious(Suspicion::Rewound));
        }
        if shown.size == told.size && shown.root != told.root {
            let change = LogChange::ShowSplit { region: log.keys().region, head: *shown };
            // Everybody must see it; whoever is told first is enough.
            let _ = self.writer.propose(Command::AuditLog(change)).await;
            return Err(Unclear::Suspicious(Suspicion::SplitView));
        }
        Ok(())
    }

    /// Whether one head goes on from the other, by the region's own tiles.
    async fn consistent(
        &self,
        log: &Known,
        at: &Endpoint,
        (old, old_root): (u64, [u8; 32]),
        (new, new_root): (u64, [u8; 32]),
    ) -> Result<(), Unclear> {
        if old == 0 || (old, old_root) == (new, new_root) {
            return Ok(());
        }
        let wanted = tiles_holding(&consistency_nodes(old, new), new);
        let inconsistent = || Unclear::Suspicious(Suspicion::Inconsistent);
        if wanted.len() > TILES_MAX {
            return Err(inconsistent());
        }
        let mut tiles = BTreeMap::new();
        for tile in wanted {
            let bytes = self.fetch(log, at, Resource::Tile(tile), TILE_BYTES).await?;
            tiles.insert(tile, bytes.ok_or_else(inconsistent)?);
        }
        let read = |tile: Tile| tiles.get(&tile).map(|bytes| bytes.to_vec()).ok_or(());
        let proof = prove_consistency(old, new, &mut TileNodes::new(new, read));
        let proof = proof.ok().flatten().ok_or_else(inconsistent)?;
        verify_consistency(old, &Hash(old_root), new, &Hash(new_root), &proof).map_err(|_| inconsistent())
    }

    async fn cosign(&self, log: &Known, head: &Head) {
        let Ok(at) = u64::try_from(self.clock.now().as_second()) else { return };
        let checkpoint = Checkpoint::new(&log.origin(), head.size, Hash(head.root));
        let Ok(note) = checkpoint.and_then(|checkpoint| checkpoint.to_note()) else { return };
        self.tell(log, &note, head, at).await;
    }

    async fn tell(&self, log: &Known, note: &Note, head: &Head, at: u64) {
        match self.own.cosign(note, head, at) {
            Ok(cosignature) => {
                let change = LogChange::Cosign { region: log.keys().region, cosignature };
                // One that comes too late is about a head that was replaced: the newer one is looked at next.
                let _ = self.writer.propose(Command::AuditLog(change)).await;
            }
            Err(error) => tracing::error!(%error, "another region's head cannot be cosigned"),
        }
    }

    /// One file of another region's log; `None` where it says to have none.
    async fn fetch(
        &self,
        log: &Known,
        at: &Endpoint,
        resource: Resource,
        bytes_max: usize,
    ) -> Result<Option<Bytes>, Unclear> {
        let path = format!("/v1/audit/log/{resource}");
        let request = Request::get(path).body(Empty::<Bytes>::new()).map_err(|_| Unclear::Away)?;
        let exchange = async {
            let expect = PeerExpect::Region(log.keys().region);
            let response = self.peers.send(at, expect, request).await.ok()?;
            match response.status() {
                StatusCode::OK => {
                    let body = Limited::new(response.into_body(), bytes_max).collect().await.ok()?;
                    Some(Some(body.to_bytes()))
                }
                StatusCode::NOT_FOUND => Some(None),
                _ => None,
            }
        };
        timeout(WITHIN, exchange).await.ok().flatten().ok_or(Unclear::Away)
    }
}
