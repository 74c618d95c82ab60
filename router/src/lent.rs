//! A caller's body that is lent to one home after the other.
//!
//! Whoever did not take a request has often begun to read its body: HTTP/2 sends both at once. So the beginning of a
//! body is kept, as far as small bodies go, and the next home gets it again. It is kept as it came, unread.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::limits::{Capped, Passage};

/// How much of a body is kept. Most are smaller; a larger one goes to one home only.
const KEPT_BYTES: usize = 64 << 10;

/// A body on loan, to the latest borrower.
pub(crate) struct Lent<B = Capped<Incoming>> {
    shared: Arc<Mutex<Shared<B>>>,
    loan: u64,
    /// How many of the kept parts this borrower has had.
    had: usize,
}

struct Shared<B> {
    body: B,
    loan: u64,
    touched: bool,
    kept: Vec<Bytes>,
    bytes: usize,
    /// What was not kept: too much of it, or no data.
    spent: bool,
}

impl Lent {
    /// A caller's body, and what becomes of it.
    pub(crate) fn new(body: Incoming, most: u64) -> (Self, Arc<Passage>) {
        let (body, passage) = Capped::new(body, most);
        (Self::of(body), passage)
    }
}

impl<B> Lent<B> {
    fn of(body: B) -> Self {
        let shared = Shared { body, loan: 0, touched: false, kept: Vec::new(), bytes: 0, spent: false };
        Self { shared: Arc::new(Mutex::new(shared)), loan: 0, had: 0 }
    }

    fn shared(&self) -> MutexGuard<'_, Shared<B>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends it to the next one, from its beginning. The one before gets nothing more.
    pub(crate) fn lend(&self) -> Self {
        let mut shared = self.shared();
        shared.loan += 1;
        Self { shared: Arc::clone(&self.shared), loan: shared.loan, had: 0 }
    }

    /// Whether somebody has begun to read it. The first look already asks an HTTP/1.1 caller for it.
    pub(crate) fn is_touched(&self) -> bool {
        self.shared().touched
    }

    /// Whether a part of it is gone, so that nobody else could have the whole.
    pub(crate) fn is_spent(&self) -> bool {
        self.shared().spent
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Lent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { shared, loan, had } = &mut *self;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that ends may look once more at what it was to send.
        if shared.loan != *loan {
            return Poll::Ready(None);
        }
        shared.touched = true;
        if let Some(part) = shared.kept.get(*had) {
            *had += 1;
            return Poll::Ready(Some(Ok(Frame::data(part.clone()))));
        }
        let frame = ready!(Pin::new(&mut shared.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(part) if !shared.spent && shared.bytes + part.len() <= KEPT_BYTES => {
                    shared.bytes += part.len();
                    shared.kept.push(part.clone());
                    *had = shared.kept.len();
                }
                _ => {
                    shared.spent = true;
                    shared.kept = Vec::new();
                    *had = 0;
                }
            },
            Some(Err(_)) => shared.spent = true,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.shared();
        self.had >= shared.kept.len() && shared.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let shared = self.shared();
        let again: u64 = shared.kept.iter().skip(self.had).map(|part| part.len() as u64).sum();
        let rest = shared.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + again);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + again);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn parts(sizes: &[usize]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin + use<> {
        let frames: Vec<_> = sizes.iter().map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        StreamBody::new(stream::iter(frames))
    }

    async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut Lent<B>) -> Option<usize> {
        let frame = body.frame().await?.unwrap_or_else(|_| unreachable!());
        frame.into_data().ok().map(|part| part.len())
    }

    #[tokio::test]
    async fn the_next_one_gets_all_of_it_and_the_one_before_nothing_more() {
        let owner = Lent::of(parts(&[3, 4, 5]));
        let mut first = owner.lend();
        assert!(!owner.is_touched());
        assert_eq!(next(&mut first).await, Some(3));
        assert_eq!(next(&mut first).await, Some(4));
        assert!(owner.is_touched() && !owner.is_spent());
        let mut second = owner.lend();
        assert_eq!(next(&mut first).await, None);
        assert_eq!(second.size_hint().lower(), 7, "what is known to come");
        assert!(!second.is_end_stream());
        let mut got = Vec::new();
        while let Some(size) = next(&mut second).await {
            got.push(size);
        }
        assert_eq!(got, [3, 4, 5]);
        assert!(!owner.is_spent(), "a third one could have it too");
    }

    #[tokio::test]
    async fn a_large_one_is_lent_once() {
        let owner = Lent::of(parts(&[KEPT_BYTES, 1, 1]));
        let mut first = owner.lend();
        assert_eq!(next(&mut first).await, Some(KEPT_BYTES));
        assert!(!owner.is_spent());
        assert_eq!(next(&mut first).await, Some(1));
        assert!(owner.is_spent());
        assert_eq!(next(&mut first).await, Some(1), "the first one gets the rest");
        assert_eq!(next(&mut first).await, None);
    }
}
