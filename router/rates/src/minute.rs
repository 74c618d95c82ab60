//! How many requests each made in the last minute: a sliding window, so that no 60 seconds have more than the quota, whenever
//! they begin.
//!
//! It is counted by the second, and a second is let go of once all of it is a minute old. So a request counts for a minute at
//! least and for a second more at most: never are there too many, and who asks evenly gets a sixtieth less at worst. It takes
//! 61 counts for everybody who asked lately, however much they ask.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The second that goes on, and the whole minute before it.
const SECONDS: u64 = 61;
/// So that those who ask at the same time seldom wait for each other.
const SHARDS: u64 = 16;

/// What one made in each of the last seconds.
struct Window {
    counts: [u32; to_usize(SECONDS)],
    sum: u32,
    /// The second that goes on.
    last: u64,
}

/// What each made in the last minute.
pub(crate) struct Minutes<K> {
    most: u32,
    shards: Vec<Mutex<HashMap<K, Window>>>,
    hasher: RandomState,
}

/// Of numbers below a hundred.
#[expect(clippy::cast_possible_truncation, reason = "what is below a hundred fits")]
const fn to_usize(small: u64) -> usize {
    small as usize
}

impl Window {
    fn new(now: u64) -> Self {
        Self { counts: [0; to_usize(SECONDS)], sum: 0, last: now }
    }

    fn of(&mut self, second: u64) -> &mut u32 {
        &mut self.counts[to_usize(second % SECONDS)]
    }

    /// Lets go of the seconds that are a minute old. Each gives its place to the one 61 seconds later.
    fn go_on(&mut self, now: u64) {
        if now.saturating_sub(self.last) >= SECONDS {
            *self = Self::new(now);
        }
        while self.last < now {
            self.last += 1;
            let gone = std::mem::take(self.of(self.last));
            self.sum -= gone;
        }
    }

    /// After how long the oldest that counts is let go of.
    fn wait(&self, now: Duration) -> Duration {
        let first = self.last.saturating_sub(SECONDS - 1);
        let oldest = (first..=self.last)
            .find(|second| self.counts[to_usize(*second % SECONDS)] > 0)
            .unwrap_or(self.last);
        Duration::from_secs(oldest + SECONDS).saturating_sub(now)
    }
}

impl<K: Hash + Eq + Clone> Minutes<K> {
    /// Nobody made any. Each may make so many in a minute.
    pub(crate) fn new(most: u32) -> Self {
        Self { most, shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Counts one of somebody's, at this time from the beginning. Returns how many more the minute has.
    ///
    /// # Errors
    /// There are as many as may be, and this one is not counted: after how long there may be one more.
    pub(crate) fn one(&self, who: &K, now: Duration) -> Result<u32, Duration> {
        let mut shard = self.shard(who);
        let window = shard.entry(who.clone()).or_insert_with(|| Window::new(now.as_secs()));
        window.go_on(now.as_secs());
        if window.sum >= self.most {
            return Err(window.wait(now));
        }
        *window.of(window.last) += 1;
        window.sum += 1;
        Ok(self.most - window.sum)
    }

    /// Whether somebody may make one more now. Nothing is counted.
    ///
    /// # Errors
    /// There are as many as may be: after how long there may be one more.
    pub(crate) fn room(&self, who: &K, now: Duration) -> Result<(), Duration> {
        let mut shard = self.shard(who);
        let Some(window) = shard.get_mut(who) else { return Ok(()) };
        window.go_on(now.as_secs());
        if window.sum >= self.most { Err(window.wait(now)) } else { Ok(()) }
    }

    /// Takes back one that was counted just now. If a second began meanwhile, it goes on counting.
    pub(crate) fn take_back(&self, who: &K) {
        let mut shard = self.shard(who);
        let Some(window) = shard.get_mut(who) else { return };
        let now = window.of(window.last);
        if *now > 0 {
            *now -= 1;
            window.sum -= 1;
        }
    }

    /// Forgets everybody who made none in the last minute.
    pub(crate) fn forget(&self, now: Duration) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, window| {
                window.go_on(now.as_secs());
                window.sum > 0
            });
            shard.shrink_to_fit();
        }
    }

    fn shard(&self, who: &K) -> MutexGuard<'_, HashMap<K, Window>> {
        let shard = &self.shards[to_usize(self.hasher.hash_one(who) % SHARDS)];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn no_minute_has_too_many_whenever_it_begins() {
        let minutes = Minutes::new(30);
        let mut passed: Vec<u64> = Vec::new();
        // Unevenly, and always more than may be: 0, 1, 2 … times each tenth of a second, for ten minutes.
        for tenth in 0..6_000 {
            for _ in 0..tenth % 7 {
                if minutes.one(&1, at(tenth * 100)).is_ok() {
                    passed.push(tenth * 100);
                }
            }
        }
        for from in &passed {
            let within = passed.iter().filter(|when| (*from..*from + 60_000).contains(*when)).count();
            assert!(within <= 30, "{within} in the minute from {from}");
        }
        // The control: it is not so few because nobody gets through. Ten minutes of thirty, less a second each.
        assert!(passed.len() >= 290, "{}", passed.len());
    }

    #[test]
    fn who_is_refused_hears_when_the_next_may_come() {
        let minutes = Minutes::new(2);
        assert_eq!((minutes.one(&1, at(900)), minutes.one(&1, at(30_500))), (Ok(1), Ok(0)));
        assert_eq!(minutes.one(&1, at(31_000)), Err(at(30_000)));
        assert_eq!(minutes.one(&1, at(60_999)), Err(at(1)));
        assert_eq!(minutes.one(&1, at(61_000)), Ok(0));
        assert_eq!(minutes.one(&1, at(61_000)), Err(at(30_000)), "the one of the thirtieth second");
        assert_eq!(minutes.one(&2, at(61_000)), Ok(1), "another has its own");
        assert_eq!(minutes.one(&1, at(1_000_000)), Ok(1), "and all of it comes back");
    }

    #[test]
    fn what_is_taken_back_does_not_count_and_who_made_none_is_forgotten() {
        let minutes = Minutes::new(1);
        assert_eq!(minutes.one(&1, at(0)), Ok(0));
        minutes.take_back(&1);
        minutes.take_back(&1);
        assert_eq!((minutes.one(&1, at(0)), minutes.one(&1, at(0))), (Ok(0), Err(at(61_000))));
        let known = || minutes.shards.iter().map(|shard| shard.lock().expect("a lock").len()).sum::<usize>();
        minutes.forget(at(60_999));
        assert_eq!(known(), 1);
        minutes.forget(at(61_000));
        assert_eq!(known(), 0);
    }
}
