//! A future that is polled only when it was woken itself, and not whenever its neighbours in a `select!` were.
//!
//! A connection waits for its caller, and besides for things that come once in its life: a drain, its idle time. To ask
//! for those with every byte of the caller's costs more than to put them aside.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use futures::stream::FuturesUnordered;

/// A future that is put aside until something wakes it.
pub(crate) struct WhenWoken<F>(FuturesUnordered<F>);

impl<F: Future> WhenWoken<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(FuturesUnordered::from_iter([future]))
    }
}

impl<F: Future> Future for WhenWoken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match ready!(Pin::new(&mut self.0).poll_next(cx)) {
            Some(output) => Poll::Ready(output),
            // Polled again after its end, which no future needs to bear.
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use futures::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_is_polled_at_first_and_when_it_is_woken() {
        let (tell, mut told) = oneshot::channel::<u8>();
        let polls = Cell::new(0);
        let mut future = WhenWoken::new(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            told.poll_unpin(cx)
        }));
        for _ in 0..5 {
            assert!((&mut future).now_or_never().is_none());
        }
        assert_eq!(polls.get(), 1, "nothing woke it");
        tell.send(7).expect("is waited for");
        assert_eq!(future.await, Ok(7));
        assert_eq!(polls.get(), 2);
    }
}
