//! The last proof of the view, as it lies on disk between two runs.
//!
//! It rests on wall clocks, which nothing else about a view does: between two runs there is no other. So it is read
//! with suspicion. A clock that is behind the one that wrote it proves nothing, every rounding makes the view look
//! older, and only the member that wrote it uses it, for its own view and never as a proof for another's.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When the view was last shown to be what a quorum holds, and how far it had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The second after the Unix epoch before which everything acknowledged is in the view.
    proven: i64,
    /// The second at which this was written.
    written: i64,
    /// The last entry in the view then.
    pub(crate) applied: u64,
}

impl Remembered {
    /// What a view of this age is remembered as.
    pub(crate) fn of(age: Duration, applied: u64, now: Timestamp) -> Option<Self> {
        let written = now.as_second();
        let seconds = i64::try_from(age.as_secs()).ok()?.checked_add(1)?;
        Some(Self { proven: written.checked_sub(seconds)?, written, applied })
    }

    /// How old the view is by now, once it holds as much as it held then; `None` when the clock cannot tell.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        let now = now.as_second();
        if now < self.written || self.written < self.proven {
            return None;
        }
        let seconds = now.checked_sub(self.proven)?.checked_add(1)?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).expect("a time")
    }

    #[test]
    fn the_time_between_two_runs_is_counted_and_rounded_up() {
        let before = Remembered::of(Duration::from_millis(2_500), 7, at(100_900)).expect("can be said");
        let true_age = Duration::from_millis(2_500 + 50_000);
        let age = before.age(at(150_900)).expect("is known");
        assert!(age >= true_age && age <= true_age + Duration::from_secs(3), "{age:?}");
    }

    #[test]
    fn a_clock_that_went_back_proves_nothing() {
        let before = Remembered::of(Duration::from_secs(10), 7, at(100_000)).expect("can be said");
        // Later than what was proven, and all the same earlier than when that was written.
        assert_eq!(before.age(at(95_000)), None);
        assert_eq!(before.age(at(0)), None);
        assert!(before.age(at(100_000)).is_some(), "the control");
    }

    #[test]
    fn a_record_from_the_future_proves_nothing() {
        assert_eq!(Remembered { proven: 500, written: 400, applied: 1 }.age(at(600_000)), None);
        assert_eq!(Remembered { proven: i64::MIN, written: 0, applied: 1 }.age(at(0)), None);
        assert_eq!(Remembered::of(Duration::MAX, 1, at(0)), None);
    }
}
