//! A wire to the server that takes time, or stands still.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(crate) struct Wire {
    pub(crate) port: u16,
    still: watch::Sender<bool>,
    cut: Arc<AtomicBool>,
}

impl Wire {
    /// A wire to a port of this machine on which every byte takes this long, each way.
    pub(crate) async fn to(port: u16, latency: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let (still, watched) = watch::channel(false);
        let cut = Arc::new(AtomicBool::new(false));
        let refuse = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if refuse.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
                let far = far.expect("the server listens");
                near.set_nodelay(true).expect("a socket");
                far.set_nodelay(true).expect("a socket");
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, latency, watched.clone()));
                tokio::spawn(carry(far_in, near_out, latency, watched.clone()));
            }
        });
        Self { port: own, still, cut }
    }

    /// Nothing arrives any more, and nobody is told.
    pub(crate) fn stand_still(&self) {
        self.still.send_replace(true);
    }

    /// What waited arrives.
    pub(crate) fn go_on(&self) {
        self.still.send_replace(false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    latency: Duration,
    mut still: watch::Receiver<bool>,
) {
    let (send, mut arrive) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = arrive.recv().await {
            tokio::time::sleep_until(due).await;
            if still.wait_for(|still| !still).await.is_err() || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if send.send((Instant::now() + latency, buffer[..read].to_vec())).is_err() {
            return;
        }
    }
}
