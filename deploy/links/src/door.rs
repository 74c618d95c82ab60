//! Doors: ports outside of a namespace that lead to ports inside, so that people, tests and tools on the machine reach
//! what runs there under the addresses that they know. No link lies behind a door: who comes in is at that side.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::namespace::Namespace;

const PAUSE: Duration = Duration::from_millis(50);

/// One door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Where it is outside.
    pub outside: SocketAddr,
    /// Where it leads to.
    pub inside: SocketAddr,
}

/// The doors of one namespace. They close when this is dropped.
#[derive(Debug)]
pub(crate) struct Doors {
    _open: oneshot::Sender<()>,
}

impl Doors {
    /// Listens in the calling thread's namespace, and connects in the other.
    pub(crate) fn open(namespace: &Namespace, doors: &[Door]) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for door in doors {
            let listener = TcpListener::bind(door.outside)?;
            listener.set_nonblocking(true)?;
            listeners.push((listener, door.inside));
        }
        let namespace = namespace.share()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (open, closed) = oneshot::channel::<()>();
        std::thread::Builder::new().name("doors".into()).spawn(move || {
            // A door that leads elsewhere would be worse than none.
            if namespace.enter().is_err() {
                return;
            }
            runtime.block_on(async {
                for (listener, inside) in listeners {
                    tokio::spawn(keep_open(listener, inside));
                }
                let _ = closed.await;
            });
        })?;
        Ok(Self { _open: open })
    }
}

async fn keep_open(listener: TcpListener, inside: SocketAddr) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let Ok((mut near, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: others have to end first.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        tokio::spawn(async move {
            // Nobody listens inside: whoever came is told by the closed connection.
            let Ok(mut far) = TcpStream::connect(inside).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}
