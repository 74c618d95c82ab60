//! Moves packets between namespaces, and keeps everything that belongs to a set of links together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tun_rs::AsyncDevice;

use crate::door::{Door, Doors};
use crate::fate::Fate;
use crate::namespace::{MTU, Namespace, OpenError};
use crate::{Fabric, Profile, SIDES_MAX, Side, address, side_at};

/// How many packets may be under way to one side: a second of 1 Gbit/s.
const UNDER_WAY_MAX: usize = 80_000;

/// A set of links with the namespaces at their ends. Dropping it lets everything go.
#[derive(Debug)]
pub struct Links {
    namespaces: Vec<Namespace>,
    fabric: Arc<Fabric>,
    doors: Vec<Doors>,
    stop: Option<oneshot::Sender<()>>,
    carrier: Option<JoinHandle<()>>,
}

impl Links {
    /// Makes a namespace for each side and carries packets between them, with all chance from this seed.
    pub fn open(sides: &[Side], profile: Profile, seed: u64) -> Result<Self, OpenError> {
        let failed = |what| move |why| OpenError::Other { what, why };
        if sides.len() > SIDES_MAX {
            return Err(failed("there are too many sides")(io::ErrorKind::InvalidInput.into()));
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("a runtime cannot be started"))?;
        let namespaces: Vec<Namespace> = sides.iter().map(|_| Namespace::create()).collect::<Result<_, _>>()?;
        let devices: Vec<Arc<AsyncDevice>> = namespaces
            .iter()
            .enumerate()
            .map(|(side, namespace)| namespace.furnish(address(side), runtime.handle()).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let fabric = Arc::new(Fabric::new(sides.to_vec(), profile, seed));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&fabric);
        let carrier = std::thread::Builder::new()
            .name("links".into())
            .spawn(move || run(&runtime, devices, &shared, stopped))
            .map_err(failed("a thread cannot be started"))?;
        Ok(Self { namespaces, fabric, doors: Vec::new(), stop: Some(stop), carrier: Some(carrier) })
    }

    /// The namespace of a side, by its place in the list.
    pub fn namespace(&self, side: usize) -> &Namespace {
        &self.namespaces[side]
    }

    /// The links, to look at and to change.
    pub fn fabric(&self) -> Arc<Fabric> {
        Arc::clone(&self.fabric)
    }

    /// Lets the namespace that calls this reach ports inside a side.
    pub fn open_doors(&mut self, side: usize, doors: &[Door]) -> io::Result<()> {
        self.doors.push(Doors::open(&self.namespaces[side], doors)?);
        Ok(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.join();
        }
    }
}

fn run(
    runtime: &Runtime,
    devices: Vec<Arc<AsyncDevice>>,
    fabric: &Arc<Fabric>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let began = Instant::now();
        let mut entrances = Vec::new();
        for device in &devices {
            let (entrance, packets) = mpsc::channel(UNDER_WAY_MAX);
            entrances.push(entrance);
            tokio::spawn(deliver(Arc::clone(device), packets));
        }
        for (side, device) in devices.into_iter().enumerate() {
            tokio::spawn(take(device, side, Arc::clone(fabric), entrances.clone(), began));
        }
        drop(entrances);
        // Whichever way the sender goes, this is over, and the tasks with their runtime.
        let _ = stopped.await;
    });
}

/// A packet that is under way. The first to arrive is the largest, and of two at once the first sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    at: Reverse<Instant>,
    number: Reverse<u64>,
    packet: Bytes,
}

/// Takes what leaves a side and decides over it.
async fn take(
    device: Arc<AsyncDevice>,
    from: usize,
    fabric: Arc<Fabric>,
    entrances: Vec<mpsc::Sender<(Instant, Bytes)>>,
    began: Instant,
) {
    let mut buffer = vec![0; usize::from(MTU)];
    loop {
        // A device is only away when everything ends.
        let Ok(length) = device.recv(&mut buffer).await else { return };
        let packet = &buffer[..length];
        let Some(to) = destination(packet).filter(|to| *to < fabric.sides() && *to != from) else { continue };
        let fate = fabric.send(from, to, began.elapsed(), length);
        if let Fate::Arrives { at, twice, .. } = fate {
            let packet = Bytes::copy_from_slice(packet);
            for _ in 0..=u8::from(twice) {
                // Where too many are under way, the rest is lost, as on any road.
                let _ = entrances[to].try_send((began + at, packet.clone()));
            }
        }
    }
}

/// Writes what arrives at a side, each packet in its time.
async fn deliver(device: Arc<AsyncDevice>, mut packets: mpsc::Receiver<(Instant, Bytes)>) {
    let mut under_way: BinaryHeap<UnderWay> = BinaryHeap::new();
    let mut number = 0;
    loop {
        while under_way.peek().is_some_and(|first| first.at.0 <= Instant::now()) {
            if let Some(first) = under_way.pop() {
                // A side that takes nothing in, loses it.
                let _ = device.send(&first.packet).await;
            }
        }
        let next = under_way.peek().map(|first| first.at.0);
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = packets.recv(), if under_way.len() < UNDER_WAY_MAX => {
                let Some((at, packet)) = received else { return };
                under_way.push(UnderWay { at: Reverse(at), number: Reverse(number), packet });
                number += 1;
            }
            () = due => {}
        }
    }
}

/// The side an IPv4 packet goes to. RFC 791 section 3.1: the address is at byte 16.
fn destination(packet: &[u8]) -> Option<usize> {
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    (packet[0] >> 4 == 4).then_some(())?;
    side_at(Ipv4Addr::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_goes_where_its_header_says_and_other_bytes_go_nowhere() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&address(2).octets());
        assert_eq!(destination(&packet), Some(2));
        assert_eq!(destination(&packet[..19]), None, "cut short");
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None, "IPv6");
        assert_eq!(destination(&[]), None);
    }
}
