//! What one key does when it is asked one thing after the other. Written from the documentation, not from the code
//! that it judges.

use super::{Act, Outcome, State};

/// What a key in this state answers, and the state that it is in afterwards.
pub fn step(state: State, act: Act) -> (State, Outcome) {
    match act {
        Act::Read => (state, Outcome::Saw(state)),
        Act::Put(value) => (State::Value(value), Outcome::Done),
        Act::Add(value) => match state {
            State::Nothing => (State::Value(value), Outcome::Done),
            State::Value(known) if known == value => (state, Outcome::Done),
            _ => (state, Outcome::Refused),
        },
        Act::Claim(home) => match state {
            State::Nothing => (State::Placed { home, epoch: 1, retired: false }, Outcome::Done),
            _ => (state, Outcome::Refused),
        },
        Act::Retire(expected) => match state {
            State::Placed { home, epoch, .. } if epoch == expected => {
                (State::Placed { home, epoch: epoch + 1, retired: true }, Outcome::Done)
            }
            _ => (state, Outcome::Refused),
        },
        Act::Hold { booking, at, until } => match state {
            // The same again: it counts, or its time is over and it does not come back to life.
            State::Held { booking: holder, until: end } if holder == booking => {
                (state, if at < end { Outcome::Done } else { Outcome::Refused })
            }
            State::Booked(holder) if holder == booking => (state, Outcome::Done),
            State::Booked(_) => (state, Outcome::Refused),
            State::Held { until: end, .. } if at < end => (state, Outcome::Refused),
            _ => (State::Held { booking, until }, Outcome::Done),
        },
        Act::Book(booking) => match state {
            State::Nothing => (State::Booked(booking), Outcome::Done),
            State::Booked(holder) if holder == booking => (state, Outcome::Done),
            _ => (state, Outcome::Refused),
        },
        Act::Confirm { booking, at } => match state {
            State::Held { booking: holder, until } if holder == booking && at < until => {
                (State::Booked(booking), Outcome::Done)
            }
            State::Booked(holder) if holder == booking => (state, Outcome::Done),
            _ => (state, Outcome::Refused),
        },
        Act::Release(booking) => match state {
            State::Held { booking: holder, .. } if holder == booking => (State::Nothing, Outcome::Done),
            State::Booked(holder) if holder == booking => (state, Outcome::Refused),
            _ => (state, Outcome::Done),
        },
        Act::Cancel(booking) => match state {
            State::Held { booking: holder, .. } | State::Booked(holder) if holder == booking => {
                (State::Nothing, Outcome::Done)
            }
            _ => (state, Outcome::Done),
        },
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// What the answers are when these things are asked one after the other.
    fn answers(acts: &[Act]) -> Vec<Outcome> {
        let mut state = State::Nothing;
        let mut answer = |act: &Act| {
            let (next, outcome) = step(state, *act);
            state = next;
            outcome
        };
        acts.iter().map(&mut answer).collect()
    }

    #[test]
    fn an_id_is_claimed_once_and_retired_at_its_epoch() {
        let [texas, ohio] = ["US-TX", "US-OH"].map(|code| code.parse().expect("a jurisdiction"));
        let acts =
            [Act::Retire(1), Act::Claim(texas), Act::Claim(ohio), Act::Retire(2), Act::Retire(1), Act::Read];
        let retired = Outcome::Saw(State::Placed { home: texas, epoch: 2, retired: true });
        let (done, refused) = (Outcome::Done, Outcome::Refused);
        assert_eq!(answers(&acts), [refused, done, refused, refused, done, retired]);
    }

    #[test]
    fn a_slot_is_held_by_one_and_free_again_when_its_time_is_over() {
        let [one, two] = [1, 2].map(Uuid::from_u128);
        let (done, refused) = (Outcome::Done, Outcome::Refused);
        let hold = |booking, at| Act::Hold { booking, at, until: at + 10 };
        let confirm = |booking, at| Act::Confirm { booking, at };
        assert_eq!(
            answers(&[
                hold(one, 0),
                hold(two, 9),
                confirm(two, 9),
                hold(two, 10),
                confirm(one, 10),
                confirm(two, 19)
            ]),
            [done, refused, refused, done, refused, done]
        );
        assert_eq!(
            answers(&[
                hold(one, 0),
                confirm(one, 10),
                hold(one, 10),
                hold(one, 9),
                confirm(one, 9),
                hold(two, 99)
            ]),
            [done, refused, refused, done, done, refused]
        );
        let (release, cancel) = (Act::Release, Act::Cancel);
        assert_eq!(
            answers(&[
                hold(one, 0),
                release(two),
                release(one),
                release(one),
                hold(two, 0),
                cancel(one),
                Act::Read
            ]),
            [done, done, done, done, done, done, Outcome::Saw(State::Held { booking: two, until: 10 })]
        );
        assert_eq!(
            answers(&[Act::Book(one), Act::Book(two), Act::Book(one), cancel(one), Act::Book(two)]),
            [done, refused, done, done, done]
        );
        assert_eq!(
            answers(&[hold(one, 0), confirm(one, 0), release(one), cancel(one), Act::Read]),
            [done, done, refused, done, Outcome::Saw(State::Nothing)]
        );
    }

    #[test]
    fn a_value_is_put_or_added() {
        assert_eq!(
            answers(&[Act::Add(1), Act::Add(1), Act::Add(2), Act::Put(3), Act::Read]),
            [Outcome::Done, Outcome::Done, Outcome::Refused, Outcome::Done, Outcome::Saw(State::Value(3))]
        );
    }
}
