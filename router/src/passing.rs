//! A home's answer on its way to the caller.
//!
//! A caller who does not read must not hold up others: all answers of a home share a few connections, and what
//! nobody takes from one of them takes room from all. So a short answer is taken over whole before it is passed on,
//! and a long one goes through a task of its own that gives up on a caller, or a home, that stands still.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The longest answer that is taken over whole.
const SHORT: u64 = 64 << 10;

/// The body of an answer: whole, or on its way through.
pub type Answer = Either<Full<Bytes>, Passing>;

/// The answer broke off: the home or the caller stood still, or a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokeOff;

/// An answer that is passed on part by part. It ends in an error unless the home said that it was whole, so that
/// half an answer never looks like one.
#[derive(Debug)]
pub struct Passing {
    parts: mpsc::Receiver<Frame<Bytes>>,
    whole: Arc<AtomicBool>,
}

/// Passes a body on. `slots` are given back when the home has done its part, or when someone stood still for
/// `patience`.
pub(crate) async fn pass<S: Send + 'static>(
    body: Incoming,
    patience: Duration,
    slots: S,
) -> Result<Answer, BrokeOff> {
    if body.size_hint().upper().is_some_and(|length| length <= SHORT) {
        let whole = timeout(patience, body.collect()).await.map_err(|_| BrokeOff)?.map_err(|_| BrokeOff)?;
        return Ok(Either::Left(Full::new(whole.to_bytes())));
    }
    let (to, parts) = mpsc::channel(1);
    let whole = Arc::new(AtomicBool::new(false));
    tokio::spawn(pump(body, to, Arc::clone(&whole), patience, slots));
    Ok(Either::Right(Passing { parts, whole }))
}

async fn pump<S>(
    mut body: Incoming,
    to: mpsc::Sender<Frame<Bytes>>,
    whole: Arc<AtomicBool>,
    patience: Duration,
    slots: S,
) {
    let _slots = slots;
    while let Ok(part) = timeout(patience, body.frame()).await {
        match part {
            None => return whole.store(true, Ordering::Release),
            Some(Err(_)) => return,
            Some(Ok(part)) => match timeout(patience, to.send(part)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            },
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        Poll::Ready(match ready!(self.parts.poll_recv(cx)) {
            Some(part) => Some(Ok(part)),
            None if self.whole.load(Ordering::Acquire) => None,
            None => Some(Err(BrokeOff)),
        })
    }
}
