//! Connections to this region's database, made when they are needed and kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use residency_policy::{Label, Region};
use storage_keys::connect::Server;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Unavailable;
use crate::wire::{self, Shapes, Text, Wire};
use crate::{Error, OpenError, stamp};

/// Makes connections of one kind.
pub(crate) struct Maker {
    config: Config,
    tls: MakeRustlsConnect,
    cluster: Label,
    region: Region,
    limit: Duration,
    pub(crate) shapes: Arc<Shapes>,
}

impl Maker {
    /// Connections with these options, which take no longer than `limit` to come about.
    pub(crate) fn new(
        server: &Server,
        (application, options): (&str, &str),
        (cluster, region): (Label, Region),
        limit: Duration,
        shapes: &Arc<Shapes>,
    ) -> Result<Self, OpenError> {
        let config = server.config(application, options);
        Ok(Self { config, tls: server.tls()?, cluster, region, limit, shapes: Arc::clone(shapes) })
    }

    /// A new connection, to this region's database and no other. A name may lead to another server after a failover,
    /// so each is looked at and not only the first.
    pub(crate) async fn make(&self) -> Result<Wire, Error> {
        let made = tokio::time::timeout(self.limit, async {
            let mut wire = wire::connect(&self.config, &self.tls).await.map_err(|e| unmade(&e))?;
            let stamp = ask(&mut wire, &self.shapes, Text(stamp::STAMP), &[]).await;
            let stamp = stamp.map_err(|fault| Error::from_fault(&fault, "connect"))?;
            let stamp = stamp
                .rows
                .first()
                .and_then(|row| Some((row.get::<String>("cluster").ok()?, row.get::<String>("region").ok()?)));
            let ours = stamp.is_some_and(|stamp| stamp::matches(&stamp, self.cluster, self.region));
            if ours { Ok(wire) } else { Err(Error::Unavailable(Unavailable::Connect)) }
        });
        made.await.unwrap_or(Err(Error::Unavailable(Unavailable::Slow)))
    }
}

fn unmade(error: &tokio_postgres::Error) -> Error {
    Error::Unavailable(match Error::from_driver(error, "connect") {
        Error::Unavailable(why) => why,
        _ => Unavailable::Connect,
    })
}

/// One statement alone.
pub(crate) async fn ask(
    wire: &mut Wire,
    shapes: &Shapes,
    text: Text,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<wire::Answered, wire::Fault> {
    let shape = if let Some(shape) = shapes.get(text) {
        shape
    } else {
        let shape = wire.describe(text).await?;
        shapes.put(text, shape.clone());
        shape
    };
    wire.put(text, &shape, params)?;
    Ok(wire.exchange().await?.all()?.pop().unwrap_or_default())
}

/// At most so many connections.
pub(crate) struct Connections {
    maker: Maker,
    most: usize,
    wait: Duration,
    room: Arc<Semaphore>,
    // The one that was used last is used next: its memory is warm, at both ends.
    idle: Mutex<Vec<Wire>>,
    open: AtomicUsize,
    waiting: AtomicUsize,
}

impl Connections {
    pub(crate) fn new(maker: Maker, most: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            maker,
            most,
            wait,
            room: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        })
    }

    /// One of them, for oneself.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let room = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => self.wait_for_room().await?,
        };
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut wire) = kept else { break };
            if !wire.has_ended().await {
                return Ok(Lease { wire: Some(wire), home: Arc::clone(self), _room: room });
            }
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        let wire = self.maker.make().await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { wire: Some(wire), home: Arc::clone(self), _room: room })
    }

    async fn wait_for_room(&self) -> Result<OwnedSemaphorePermit, Error> {
        let _waiting = Waiting::new(&self.waiting);
        match tokio::time::timeout(self.wait, Arc::clone(&self.room).acquire_owned()).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(Error::Unavailable(Unavailable::NotServing)),
            Err(_) => Err(Error::Unavailable(Unavailable::Busy)),
        }
    }

    /// What statements take and give.
    pub(crate) fn shapes(&self) -> &Arc<Shapes> {
        &self.maker.shapes
    }

    /// Open, free, and waiting callers.
    pub(crate) fn status(&self) -> (usize, usize, usize) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        (self.open.load(Ordering::Relaxed), idle, self.waiting.load(Ordering::Relaxed))
    }

    /// Gives none out any more, and lets go of those that are not in use.
    pub(crate) fn close(&self) {
        self.room.close();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.open.fetch_sub(idle.len(), Ordering::Relaxed);
        idle.clear();
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connections(at most {})", self.most)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One connection, until it is dropped: then it goes back, unless it is not as it was.
pub(crate) struct Lease {
    // There until the drop.
    wire: Option<Wire>,
    home: Arc<Connections>,
    // Given back after the connection is.
    _room: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn wire(&mut self) -> &mut Wire {
        self.wire.get_or_insert_with(Wire::lost)
    }

    pub(crate) fn shapes(&self) -> Arc<Shapes> {
        Arc::clone(self.home.shapes())
    }

    /// One statement alone.
    pub(crate) async fn ask(
        &mut self,
        text: Text,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<wire::Answered, wire::Fault> {
        let shapes = self.shapes();
        ask(self.wire(), &shapes, text, params).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.wire.take().filter(Wire::is_as_new) {
            Some(wire) if !self.home.room.is_closed() => {
                self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
            }
            _ => {
                self.home.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}
