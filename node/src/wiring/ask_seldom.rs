//! Asks a part of readiness once for all who want to know within a while: probes are public, and whoever sends many must
//! not have the database and the KMS asked as often.

use std::time::Duration;

use node_access::Check;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was answered last, and when.
#[derive(Default)]
pub(super) struct LastAnswer(Mutex<Option<(Instant, Check)>>);

impl LastAnswer {
    /// The last answer while it is good, and a new one otherwise. Whoever comes while it is being asked waits for that one.
    pub(super) async fn or_ask(
        &self,
        now: impl Fn() -> Instant,
        good_for: impl FnOnce(Check) -> Duration,
        ask: impl Future<Output = Check>,
    ) -> Check {
        let mut last = self.0.lock().await;
        if let Some((at, check)) = *last
            && now().saturating_duration_since(at) < good_for(check)
        {
            return check;
        }
        let check = ask.await;
        *last = Some((now(), check));
        check
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn many_who_ask_within_a_while_have_it_asked_once() {
        let (last, time, asked) = (LastAnswer::default(), Cell::new(Instant::now()), Cell::new(0));
        let look = async |answer: Check| {
            let ask = async {
                asked.set(asked.get() + 1);
                answer
            };
            last.or_ask(|| time.get(), |_| SECOND, ask).await
        };
        for _ in 0..1_000 {
            assert_eq!(look(Check::Right).await, Check::Right);
        }
        assert_eq!(asked.get(), 1);
        let wrong = Check::Wrong("it is out");
        time.set(time.get() + SECOND - Duration::from_millis(1));
        assert_eq!(look(wrong).await, Check::Right, "the last answer is still good");
        time.set(time.get() + Duration::from_millis(1));
        assert_eq!((look(wrong).await, asked.get()), (wrong, 2));
        time.set(time.get() + SECOND);
        assert_eq!(
            (look(Check::Right).await, asked.get()),
            (Check::Right, 3),
            "it is seen that it is right again"
        );
    }

    #[tokio::test]
    async fn whoever_comes_while_it_is_asked_waits_for_that_answer() {
        let (last, now, asked) = (LastAnswer::default(), Instant::now(), Cell::new(0));
        let told = tokio::sync::Semaphore::new(0);
        let look = || {
            let ask = async {
                asked.set(asked.get() + 1);
                let _ = told.acquire().await;
                Check::Right
            };
            Box::pin(last.or_ask(move || now, |_| SECOND, ask))
        };
        let (mut first, mut second) = (look(), look());
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        told.add_permits(1);
        assert_eq!(first.await, Check::Right);
        assert_eq!((second.await, asked.get()), (Check::Right, 1));
    }

    #[tokio::test]
    async fn whoever_goes_away_while_it_is_asked_leaves_nothing_behind() {
        let (last, now) = (LastAnswer::default(), Instant::now());
        let never = std::future::pending::<Check>();
        let mut gone = Box::pin(last.or_ask(|| now, |_| SECOND, never));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        let wrong = Check::Wrong("it is out");
        assert_eq!(last.or_ask(|| now, |_| SECOND, async { wrong }).await, wrong);
    }
}
