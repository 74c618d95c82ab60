//! Who shares a round to the others.
//!
//! An entry or a read point costs the members the same however many share it. Those who were answered together come back
//! together, but one after the other: the first of them, served at once, would have a round for itself while all others
//! wait for the next, and every other round would be for one. So before a round begins, tasks that could run by now have
//! their turn, as long as they bring somebody. Nobody waits for somebody who is not there: to wait a millisecond for as
//! many as the last time was measured, and cost more, since each who came woke the one who waited.

use tokio::sync::mpsc::Receiver;

/// How often the others have their turn at most, so that those who come all the time do not hold up those who are here.
const TURNS: usize = 8;

/// Joins to `together` whoever is in the queue or comes now, as long as `fits` says so. Whoever did not fit is given back
/// and comes first the next time. What is in `together` stays there when this is cancelled.
pub(super) async fn join<T>(
    together: &mut Vec<T>,
    queue: &mut Receiver<T>,
    mut fits: impl FnMut(&T) -> bool,
) -> Option<T> {
    for turn in 0..=TURNS {
        let before = together.len();
        while let Ok(next) = queue.try_recv() {
            if !fits(&next) {
                return Some(next);
            }
            together.push(next);
        }
        let came = together.len() > before;
        if turn == TURNS || (turn > 0 && !came) {
            break;
        }
        tokio::task::yield_now().await;
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{Sender, channel};

    use super::*;

    async fn first(queue: &mut Receiver<usize>) -> Vec<usize> {
        vec![queue.recv().await.expect("somebody")]
    }

    /// Tasks that can run, and each of which comes once.
    fn crowd(to: &Sender<usize>, many: usize) {
        for number in 0..many {
            let to = to.clone();
            tokio::spawn(async move { to.send(number).await.expect("room") });
        }
    }

    #[tokio::test]
    async fn all_who_can_come_now_share_one_round() {
        let (to, mut queue) = channel(64);
        crowd(&to, 20);
        let mut together = first(&mut queue).await;
        assert_eq!(join(&mut together, &mut queue, |_| true).await, None);
        assert_eq!(together.len(), 20);
    }

    #[tokio::test]
    async fn nobody_waits_for_who_is_not_there() {
        let (to, mut queue) = channel(64);
        to.send(1).await.expect("room");
        let mut together = first(&mut queue).await;
        // It ends, though the queue stays open.
        assert_eq!(join(&mut together, &mut queue, |_| true).await, None);
        assert_eq!(together, [1]);
    }

    #[tokio::test]
    async fn those_who_come_all_the_time_do_not_hold_it_up() {
        let (to, mut queue) = channel(64);
        let coming = tokio::spawn(async move {
            loop {
                to.send(1).await.expect("room");
                tokio::task::yield_now().await;
            }
        });
        let mut together = first(&mut queue).await;
        assert_eq!(join(&mut together, &mut queue, |_| true).await, None);
        assert!(together.len() <= 64 * (TURNS + 1), "{}", together.len());
        coming.abort();
    }

    #[tokio::test]
    async fn what_does_not_fit_is_given_back() {
        let (to, mut queue) = channel(64);
        for number in 0..5 {
            to.send(number).await.expect("room");
        }
        let mut together = first(&mut queue).await;
        let left = join(&mut together, &mut queue, |number| *number < 3).await;
        assert_eq!((together, left), (vec![0, 1, 2], Some(3)));
    }
}
