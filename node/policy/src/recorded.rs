//! The questions that were asked of a node, as classes: who asked as what, and in which situation, never whom or about whom.
//!
//! What a new set of policies would change for the work that is really done is seen by asking it these again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Facts, Request};

/// How many classes are kept. What a region does is some hundreds of them; whoever makes up situations to fill it is counted.
pub const CLASSES_MAX: usize = 8_192;

/// Questions that differ in nothing but the day, and how often they were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// How often.
    pub times: u64,
    /// The question, on the last day that it was asked. `None` stands for all for which there was no room.
    pub request: Option<Request>,
}

/// The questions that were asked since the process began, in memory and bounded.
#[derive(Debug)]
pub struct Recorded {
    kept: Mutex<Kept>,
    at_most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the question without its day: how often, and the last day.
    classes: HashMap<Request, (u64, u32)>,
    left_out: u64,
}

impl Recorded {
    /// Keeps so many classes. Later ones are counted together.
    pub fn new(at_most: usize) -> Self {
        Self { kept: Mutex::default(), at_most }
    }

    /// Notes a question that was asked.
    pub fn note(&self, request: &Request) {
        let day = request.facts.day;
        let class = Request { facts: Facts { day: 0, ..request.facts }, ..*request };
        let mut kept = self.kept();
        let room = kept.classes.len() < self.at_most;
        if let Some((times, last)) = kept.classes.get_mut(&class) {
            *times = times.saturating_add(1);
            *last = day.max(*last);
        } else if room {
            kept.classes.insert(class, (1, day));
        } else {
            kept.left_out = kept.left_out.saturating_add(1);
        }
    }

    /// Every class, the one asked most often first; last, those for which there was no room, if there were any.
    pub fn classes(&self) -> Vec<Class> {
        let kept = self.kept();
        let on_its_day = |(class, (times, day)): (&Request, &(u64, u32))| Class {
            times: *times,
            request: Some(Request { facts: Facts { day: *day, ..class.facts }, ..*class }),
        };
        let mut all: Vec<Class> = kept.classes.iter().map(on_its_day).collect();
        all.sort_by_key(|class| std::cmp::Reverse(class.times));
        if kept.left_out > 0 {
            all.push(Class { times: kept.left_out, request: None });
        }
        all
    }

    // A count is never half made, so one that panicked beside it spoilt nothing.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorded {
    fn default() -> Self {
        Self::new(CLASSES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use residency_policy::{Purpose, Role};

    use super::*;
    use crate::{Action, Entity};

    fn asked(purpose: Purpose, day: u32) -> Request {
        let home = "US-TX".parse().expect("a jurisdiction");
        let facts = Facts { purpose: Some(purpose), ..Facts::least(home, day) };
        Request::of(Role::Provider, Action::Read, Entity::Patient, facts)
    }

    #[test]
    fn what_differs_only_in_the_day_is_one_class_on_its_last_day() {
        let recorded = Recorded::default();
        for (purpose, day) in
            [(Purpose::Operations, 20_261_122), (Purpose::Treat, 20_261_123), (Purpose::Treat, 20_261_122)]
        {
            recorded.note(&asked(purpose, day));
        }
        let treat = Class { times: 2, request: Some(asked(Purpose::Treat, 20_261_123)) };
        let operations = Class { times: 1, request: Some(asked(Purpose::Operations, 20_261_122)) };
        assert_eq!(recorded.classes(), [treat, operations]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_what_is_there_goes_on() {
        let recorded = Recorded::new(1);
        for purpose in [Purpose::Treat, Purpose::Operations, Purpose::Treat, Purpose::Payment] {
            recorded.note(&asked(purpose, 20_261_122));
        }
        let treat = Class { times: 2, request: Some(asked(Purpose::Treat, 20_261_122)) };
        assert_eq!(recorded.classes(), [treat, Class { times: 2, request: None }]);
        let roomy = Recorded::new(3);
        for purpose in [Purpose::Treat, Purpose::Operations, Purpose::Payment] {
            roomy.note(&asked(purpose, 20_261_122));
        }
        assert!(roomy.classes().iter().all(|class| class.request.is_some()), "the control");
    }
}
