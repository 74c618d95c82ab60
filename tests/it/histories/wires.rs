//! Links between members: a relay for each ordered pair, and a switch for each direction.
//!
//! Two members have two connections or more, since each dials the other, and a direction is a direction of bytes:
//! when nothing gets from one to two, neither one's questions nor its answers do. What a link does not let through
//! waits, as TCP would keep sending it, and arrives when the link is whole again, late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// From whom to whom.
type Direction = (u64, u64);

/// All links.
pub(super) struct Wires {
    gates: BTreeMap<Direction, watch::Sender<bool>>,
    entrances: BTreeMap<Direction, u16>,
    /// Where each member listens; 0 while it does not.
    pub(super) doors: BTreeMap<u64, Arc<AtomicU16>>,
}

impl Wires {
    /// Links between each two of these members, all whole. Relays run on the runtime that calls this.
    pub(super) async fn new(nodes: std::ops::RangeInclusive<u64>) -> std::io::Result<Self> {
        let pairs: Vec<Direction> = nodes
            .clone()
            .flat_map(|from| nodes.clone().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .collect();
        let gates: BTreeMap<Direction, watch::Sender<bool>> =
            pairs.iter().map(|pair| (*pair, watch::channel(true).0)).collect();
        let doors: BTreeMap<u64, Arc<AtomicU16>> = nodes.map(|node| (node, Arc::default())).collect();
        let mut entrances = BTreeMap::new();
        for (from, to) in pairs {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            entrances.insert((from, to), listener.local_addr()?.port());
            let there = gates[&(from, to)].subscribe();
            let back = gates[&(to, from)].subscribe();
            tokio::spawn(relay(listener, doors[&to].clone(), there, back));
        }
        Ok(Self { gates, entrances, doors })
    }

    /// Where `from` dials to reach `to`.
    pub(super) fn entrance(&self, from: u64, to: u64) -> u16 {
        self.entrances[&(from, to)]
    }

    /// Makes one direction whole, or cuts it.
    pub(super) fn set(&self, from: u64, to: u64, whole: bool) {
        if let Some(gate) = self.gates.get(&(from, to)) {
            gate.send_replace(whole);
        }
    }

    /// Makes everything whole.
    pub(super) fn mend(&self) {
        self.gates.values().for_each(|gate| {
            gate.send_replace(true);
        });
    }
}

async fn relay(
    listener: TcpListener,
    door: Arc<AtomicU16>,
    there: watch::Receiver<bool>,
    back: watch::Receiver<bool>,
) {
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        let (door, there, back) = (door.clone(), there.clone(), back.clone());
        tokio::spawn(async move {
            let port = door.load(Ordering::Acquire);
            // Nobody listens: whoever dialled is told by the closed connection.
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // Whichever end closes, the other end's connection goes too.
            tokio::select! {
                () = pump(near_in, far_out, there) => {}
                () = pump(far_in, near_out, back) => {}
            }
        });
    }
}

/// Carries bytes while the gate is open, and keeps what it has while it is not.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut gate: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 || gate.wait_for(|whole| *whole).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
