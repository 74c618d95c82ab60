//! Hold back: of a caller whose requests a home sheds, about half as many more are sent there as it takes, and no others.
//!
//! A home refuses at once what is too much, but to carry a request there and its refusal back costs both about as much as
//! a small answer. At ten times what a home can do that leaves little for the answers. So whoever is shed is refused here,
//! by what became of their requests in the last seconds: of `asked`, of which the home took `taken`, the part
//! (asked - 1.5 taken) / (asked + 1) (Beyer et al., Site Reliability Engineering, chapter 21, "Client-Side Throttling").

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Method;
use residency_policy::Region;

use crate::identify::Identified;
use crate::known::{Caller, Known};
use crate::life_of_a_request::Edge;

/// After so long, what was asked and taken counts half.
const HALF: Duration = Duration::from_millis(500);
/// Whoever was not shed for so long is not held back.
const CALM: Duration = Duration::from_secs(1);
/// How many requests are sent for each that is taken. More than one, so that it is seen when the home takes more again; each
/// of those that are refused there costs what others wait for.
const SENT_FOR_EACH_TAKEN: f64 = 1.5;
/// How many are held back at once, at most: one more is not.
const HELD_MAX: usize = 4_096;

/// Whose requests are held back, from where, and what for: a home sheds searches before changes, and those before reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) home: Region,
    pub(crate) caller: rates::Caller,
    pub(crate) reads: bool,
    pub(crate) route: &'static str,
}

impl Lane {
    /// The lane of whoever is counted here; nobody else is held back.
    pub(crate) fn of(home: Region, caller: Caller, method: &Method, route: &'static str) -> Option<Self> {
        Some(Self { home, caller: caller.counted?, reads: method.is_safe(), route })
    }
}

/// Who is held back.
#[derive(Default)]
pub(crate) struct HeldBack {
    lanes: Mutex<HashMap<Lane, Lately>>,
    /// How many lanes there are, so that on a quiet day nobody takes the lock.
    how_many: AtomicUsize,
}

/// What became of a lane's requests lately.
struct Lately {
    asked: f64,
    taken: f64,
    /// What is owed of the next refusal: with it no chance is needed.
    owed: f64,
    at: Instant,
    shed: Instant,
}

impl Lately {
    fn fade(&mut self, now: Instant) {
        let left = 0.5_f64.powf(now.duration_since(self.at).as_secs_f64() / HALF.as_secs_f64());
        self.asked *= left;
        self.taken *= left;
        self.at = now;
    }

    fn is_calm(&self, now: Instant) -> bool {
        now.duration_since(self.shed) > CALM
    }
}

impl HeldBack {
    /// Whether this request is one of those that are not sent.
    pub(crate) fn refuses(&self, lane: &Lane, now: Instant) -> bool {
        if self.how_many.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut lanes = self.lanes();
        let Some(lately) = lanes.get_mut(lane) else { return false };
        if lately.is_calm(now) {
            lanes.remove(lane);
            self.how_many.store(lanes.len(), Ordering::Relaxed);
            return false;
        }
        lately.fade(now);
        lately.asked += 1.0;
        let over = lately.asked - SENT_FOR_EACH_TAKEN * lately.taken;
        lately.owed += (over / (lately.asked + 1.0)).max(0.0);
        let refused = lately.owed >= 1.0;
        if refused {
            lately.owed -= 1.0;
        }
        refused
    }

    /// Lets go of whoever was not shed for a while, and may not come back.
    pub(crate) fn forget(&self, now: Instant) {
        let mut lanes = self.lanes();
        lanes.retain(|_, lately| !lately.is_calm(now));
        self.how_many.store(lanes.len(), Ordering::Relaxed);
    }

    /// The home shed a request of this lane, or took it.
    pub(crate) fn heard(&self, lane: &Lane, shed: bool, now: Instant) {
        if !shed && self.how_many.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut lanes = self.lanes();
        match lanes.get_mut(lane) {
            Some(lately) if shed => lately.shed = now,
            Some(lately) => lately.taken += 1.0,
            None if shed => {
                if lanes.len() >= HELD_MAX {
                    lanes.retain(|_, lately| !lately.is_calm(now));
                }
                if lanes.len() < HELD_MAX {
                    lanes.insert(*lane, Lately { asked: 1.0, taken: 1.0, owed: 0.0, at: now, shed: now });
                }
                self.how_many.store(lanes.len(), Ordering::Relaxed);
            }
            None => {}
        }
    }

    /// Lets go of those who are calm, from time to time.
    pub(crate) async fn forget_from_time_to_time(&self) {
        let mut tick = tokio::time::interval(CALM);
        loop {
            tick.tick().await;
            self.forget(Instant::now());
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, Lately>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Known> Edge<K> {
    /// Whether a request is one of those that are not sent to this home.
    pub(crate) fn holds_back(
        &self,
        about: &Identified,
        caller: Option<Caller>,
        home: Region,
        method: &Method,
    ) -> bool {
        let lane = caller.and_then(|caller| Lane::of(home, caller, method, about.route));
        lane.is_some_and(|lane| self.held_back.refuses(&lane, Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use residency_policy::{Jurisdiction, OrgId};

    use super::*;

    fn lane(org: u8, reads: bool) -> Lane {
        let home = Region(Jurisdiction::all().next().expect("a jurisdiction"));
        Lane { home, caller: rates::Caller::Person(OrgId::from_bytes([org; 16])), reads, route: "/v1/patients" }
    }

    /// Asks so often in a second, evenly, of a home that takes at most so many; how many were sent, and how many taken.
    fn second(held: &HeldBack, lane: &Lane, from: Instant, asked: u32, most: u32) -> (u32, u32) {
        let (mut sent, mut taken) = (0, 0);
        for number in 0..asked {
            let now = from + Duration::from_secs(1) * number / asked;
            if held.refuses(lane, now) {
                continue;
            }
            sent += 1;
            let shed = taken >= most * (number + 1) / asked;
            taken += u32::from(!shed);
            held.heard(lane, shed, now);
        }
        (sent, taken)
    }

    #[test]
    fn of_who_is_shed_half_as_many_more_are_sent_as_are_taken() {
        let (held, start) = (HeldBack::default(), Instant::now());
        let mut came = (0, 0);
        for seconds in 0..5 {
            came = second(&held, &lane(1, false), start + Duration::from_secs(seconds), 10_000, 1_000);
        }
        let (sent, taken) = came;
        assert!(taken > 900, "the home has as much to do as before: {taken} of {sent}");
        assert!((1_200..2_000).contains(&sent), "{sent} were sent");
    }

    #[test]
    fn whoever_is_not_shed_is_not_held_back_and_who_is_does_not_hold_back_others() {
        let (held, start) = (HeldBack::default(), Instant::now());
        assert_eq!(second(&held, &lane(1, false), start, 10_000, 10_000), (10_000, 10_000));
        second(&held, &lane(1, false), start, 10_000, 0);
        for other in [lane(2, false), lane(1, true)] {
            assert_eq!(second(&held, &other, start, 1_000, 1_000), (1_000, 1_000));
        }
        let (sent, _) = second(&held, &lane(1, false), start, 1_000, 0);
        assert!(sent < 20, "the control: {sent} were sent");
    }

    #[test]
    fn whoever_is_shed_no_more_is_soon_held_back_no_more() {
        let (held, start) = (HeldBack::default(), Instant::now());
        second(&held, &lane(1, false), start, 10_000, 500);
        let mut sent = 0;
        for seconds in 1..4 {
            (sent, _) = second(&held, &lane(1, false), start + Duration::from_secs(seconds), 1_000, 1_000);
        }
        assert_eq!(sent, 1_000, "all that it takes is sent again");
        // Where all was shed there is nothing to go by, and a while later it is tried.
        let (held, later) = (HeldBack::default(), start + Duration::from_secs(1) + CALM);
        second(&held, &lane(1, false), start, 10_000, 0);
        let silent = later + Duration::from_secs(1);
        assert_eq!(second(&held, &lane(1, false), silent, 1_000, 1_000), (1_000, 1_000));
    }

    #[test]
    fn so_many_are_held_back_and_no_more() {
        let (held, start) = (HeldBack::default(), Instant::now());
        for number in 0..=u16::try_from(HELD_MAX).expect("a small number") {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let caller = rates::Caller::Person(OrgId::from_bytes(id));
            held.heard(&Lane { caller, ..lane(0, false) }, true, start);
        }
        assert_eq!(held.lanes().len(), HELD_MAX);
        held.heard(&lane(255, true), true, start + CALM + HALF);
        assert_eq!(held.lanes().len(), 1, "those who have been calm make room");
        held.forget(start + CALM + HALF + CALM + HALF);
        assert_eq!((held.lanes().len(), held.how_many.load(Ordering::Relaxed)), (0, 0));
    }
}
