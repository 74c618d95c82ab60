//! One operation as a client saw it.

use residency_policy::Jurisdiction;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One operation. Times are nanoseconds of one monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which client. A client does one thing after the other.
    pub process: u32,
    /// The thing it concerns. Operations on different keys do not concern one another.
    pub key: String,
    /// What was asked.
    pub act: Act,
    /// When it was asked.
    pub call: u64,
    /// When the answer came; none when none came.
    pub back: Option<u64>,
    /// What came of it, as far as the client knows.
    pub outcome: Outcome,
    /// The position in the replicated log that the answer rests on: a change's own entry, or the last entry that a
    /// read is known to have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// What is asked of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Replaces the value.
    Put(u64),
    /// Sets the value where there is none. The same value again is no change, and another is refused.
    Add(u64),
    /// Claims an id for a home. Refused when it is claimed.
    Claim(Jurisdiction),
    /// Retires an id whose epoch is this one.
    Retire(u64),
    /// Holds a slot until a time. Whoever asks says what time it is.
    Hold {
        /// Which booking.
        booking: Uuid,
        /// The time of whoever asks.
        at: i64,
        /// Until when it is held.
        until: i64,
    },
    /// Makes a hold last.
    Confirm {
        /// Which booking.
        booking: Uuid,
        /// The time of whoever asks.
        at: i64,
    },
    /// Takes a slot, held and confirmed in one.
    Book(Uuid),
    /// Lets a hold go. Refused when it is booked by now; what is not there is let go already.
    Release(Uuid),
    /// Frees a slot, held or booked. What is not there is free already.
    Cancel(Uuid),
    /// Reads, through a linearizable read point.
    Read,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect, or was so already.
    Done,
    /// It was answered, and changed nothing.
    Refused,
    /// What was read.
    Saw(State),
    /// Certainly nothing happened.
    Failed,
    /// Nobody knows whether it took effect, or whether it still will.
    Unknown,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing, or a free slot.
    #[default]
    Nothing,
    /// A value.
    Value(u64),
    /// An id that was claimed.
    Placed {
        /// For whom.
        home: Jurisdiction,
        /// Its epoch.
        epoch: u64,
        /// Whether it was retired.
        retired: bool,
    },
    /// A slot that is held.
    Held {
        /// By which booking.
        booking: Uuid,
        /// Until when.
        until: i64,
    },
    /// A slot that is taken.
    Booked(Uuid),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_one_line_and_comes_back_as_it_was() {
        let texas: Jurisdiction = "US-TX".parse().expect("a jurisdiction");
        let hold = Act::Hold { booking: Uuid::from_u128(7), at: -1, until: 60 };
        for (act, outcome, index) in [
            (Act::Put(3), Outcome::Done, Some(9)),
            (Act::Claim(texas), Outcome::Unknown, None),
            (hold, Outcome::Refused, Some(1)),
            (Act::Read, Outcome::Saw(State::Placed { home: texas, epoch: 2, retired: true }), Some(2)),
            (Act::Read, Outcome::Saw(State::Nothing), None),
            (Act::Release(Uuid::from_u128(7)), Outcome::Failed, None),
        ] {
            let whole = Operation { process: 1, key: "k".into(), act, call: 5, back: Some(9), outcome, index };
            let line = serde_json::to_string(&whole).expect("encodes");
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Operation>(&line).expect(&line), whole);
        }
    }
}
