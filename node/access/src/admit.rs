//! Admit: no more is worked on at once than is answered in time, so that what is over is refused at once instead of making
//! all wait.
//!
//! How many that is, nobody can configure: it depends on the disk, the database and what is asked. So it is found, as TCP
//! finds the room in a network: one more for each answer in time until the first is late (slow start), from then on one more
//! for each round of them while the room is used, and a tenth less when an answer was late (RFC 5681 section 3.1). Only what
//! was done says whether it was late, and from when the whole request was here: not how long its body took to come, not a
//! refusal, nor a caller who went away, nor what waits for a quorum of the control plane. Searches give way first, then
//! changes, then reads; one organisation has half of the room at most, so that it cannot crowd out another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use node_policy::Action;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use residency_policy::{OrgId, Problem, ProblemKind};

/// The least room there is, however late answers are: without a few at work nobody would see that it got better.
const LEAST: f64 = 16.0;
/// Where a node begins that has answered nobody yet: enough for a quiet day, too few to keep anybody waiting.
const FIRST: f64 = 256.0;
/// One organisation has one part in so many of the room.
const ORGANISATION: f64 = 2.0;

/// What gives way when there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Shows one thing.
    Read,
    /// Changes something.
    Change,
    /// Shows or finds many things.
    Bulk,
}

impl Class {
    const ALL: [Self; 3] = [Self::Read, Self::Change, Self::Bulk];

    /// The class of what is done.
    pub const fn of(action: Action) -> Self {
        match action {
            Action::Read => Self::Read,
            Action::List | Action::Search => Self::Bulk,
            _ => Self::Change,
        }
    }

    /// The part of the room beyond which it gives way.
    const fn part(self) -> f64 {
        match self {
            Self::Read => 1.0,
            Self::Change => 0.8,
            Self::Bulk => 0.6,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Bulk => "bulk",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shed {
    class: &'static str,
}

/// The room of a node, and who is in it.
pub struct Admission {
    room: Mutex<Room>,
    limit: Gauge<f64, AtomicU64>,
    at_work: Gauge<i64, AtomicI64>,
    shed: Family<Shed, Counter>,
}

impl Admission {
    /// Room for at most so many at once. An answer that took longer than `in_time` is late.
    pub fn new(most: usize, in_time: Duration) -> Self {
        let room = Room::new(most, in_time, Instant::now());
        let limit = Gauge::default();
        limit.set(room.limit);
        let shed = Family::default();
        for class in Class::ALL {
            drop(shed.get_or_create(&Shed { class: class.as_str() }));
        }
        Self { room: Mutex::new(room), limit, at_work: Gauge::default(), shed }
    }

    /// Shows on a page of metrics how it goes.
    pub fn register(&self, on: &mut Registry) {
        on.register("work_room", "Requests that may be at work at once now", self.limit.clone());
        on.register("work", "Requests that were admitted and are at work", self.at_work.clone());
        on.register("work_shed", "Requests refused because too much was at work", self.shed.clone());
    }

    /// Lets a request in, until what this gives is dropped.
    ///
    /// # Errors
    /// There is no room for it now.
    pub fn enter(self: &Arc<Self>, class: Class, org: OrgId) -> Result<Admitted, Problem> {
        let began = Instant::now();
        if !self.room().enter(class, org) {
            self.shed.get_or_create(&Shed { class: class.as_str() }).inc();
            return Err(Problem::new(ProblemKind::Overloaded).retry_after(1));
        }
        self.at_work.inc();
        Ok(Admitted { to: Arc::clone(self), org, began, timed: true, took: OnceLock::new() })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that was let in.
pub struct Admitted {
    to: Arc<Admission>,
    org: OrgId,
    began: Instant,
    /// Whether how long it takes says how much is at work here.
    timed: bool,
    /// The second in which the whole request was here, and how long it then took, once it was done.
    took: OnceLock<(Instant, Duration)>,
}

impl Admitted {
    /// The same, of a request that waits for others.
    pub(crate) fn untimed(mut self) -> Self {
        self.timed = false;
        self
    }

    /// It was done. `whole` is when its body had come, if it had one.
    pub(crate) fn done(&self, whole: Option<Instant>) {
        if !self.timed {
            return;
        }
        let from = whole.map_or(self.began, |whole| whole.max(self.began));
        let _ = self.took.set((from, from.elapsed()));
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let limit = self.to.room().leave(self.org, self.took.get().copied());
        self.to.limit.set(limit);
        self.to.at_work.dec();
    }
}

struct Room {
    most: f64,
    in_time: Duration,
    limit: f64,
    /// Whether an answer was late since this node began.
    found: bool,
    at_work: u32,
    of: HashMap<OrgId, u32>,
    cut: Instant,
}

impl Room {
    fn new(most: usize, in_time: Duration, now: Instant) -> Self {
        let most = u32::try_from(most).map_or(f64::MAX, f64::from).max(LEAST);
        Self { most, in_time, limit: most.min(FIRST), found: false, at_work: 0, of: HashMap::new(), cut: now }
    }

    fn enter(&mut self, class: Class, org: OrgId) -> bool {
        let own = self.of.get(&org).copied().unwrap_or(0);
        let room = f64::from(self.at_work) < self.limit * class.part();
        if !room || f64::from(own) >= self.limit / ORGANISATION {
            return false;
        }
        self.at_work += 1;
        self.of.insert(org, own + 1);
        true
    }

    /// How much room there is from now on. `took` is when it began and how long it took, if it was done.
    fn leave(&mut self, org: OrgId, took: Option<(Instant, Duration)>) -> f64 {
        let used = f64::from(self.at_work) >= self.limit / 2.0;
        self.at_work -= 1;
        match self.of.get_mut(&org) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(self.of.remove(&org)),
        }
        match took {
            // What began before the last cut says nothing of how it is since.
            Some((from, took)) if took > self.in_time && from >= self.cut => {
                self.found = true;
                self.limit = (self.limit * 0.9).max(LEAST);
                self.cut = from + took;
            }
            // Room that nobody uses is not known to be there.
            Some((_, took)) if took <= self.in_time && used => {
                let more = if self.found { 1.0 / self.limit } else { 1.0 };
                self.limit = (self.limit + more).min(self.most);
            }
            _ => {}
        }
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(n: u8) -> OrgId {
        OrgId::from_bytes([n; 16])
    }

    fn fresh(most: usize, now: Instant) -> Room {
        let room = Room::new(most, Duration::from_millis(150), now);
        Room { limit: room.most, ..room }
    }

    /// Lets in as many as there is room for, of many organisations, and says of which.
    fn fill(room: &mut Room, class: Class) -> Vec<OrgId> {
        (0..=u8::MAX).cycle().take(4_096).map(org).take_while(|org| room.enter(class, *org)).collect()
    }

    /// One request that is done after so long, where searches of others have taken all the room that they get, or none.
    fn answered(room: &mut Room, took: Duration, now: &mut Instant, used: bool) {
        let there = if used { fill(room, Class::Bulk) } else { Vec::new() };
        assert!(room.enter(Class::Read, org(255)), "there is room for one");
        let began = *now;
        *now += took;
        room.leave(org(255), Some((began, took)));
        for org in there {
            room.leave(org, None);
        }
    }

    #[test]
    fn searches_give_way_first_and_reads_last() {
        let mut room = fresh(100, Instant::now());
        assert_eq!(fill(&mut room, Class::Bulk).len(), 60);
        assert_eq!(fill(&mut room, Class::Change).len(), 20);
        assert_eq!(fill(&mut room, Class::Read).len(), 20);
        assert_eq!(fill(&mut room, Class::Read), []);
    }

    #[test]
    fn one_organisation_leaves_room_for_others() {
        let mut room = fresh(100, Instant::now());
        let noisy = (0..1_000).filter(|_| room.enter(Class::Read, org(1))).count();
        assert_eq!(noisy, 50);
        assert!(room.enter(Class::Read, org(2)));
        room.leave(org(1), None);
        assert!(room.enter(Class::Read, org(1)), "one went, one may come");
    }

    #[test]
    fn late_answers_take_room_away_and_answers_in_time_give_it_back_where_it_is_used() {
        let mut now = Instant::now();
        let mut room = fresh(1_000, now);
        for _ in 0..100 {
            answered(&mut room, Duration::from_secs(1), &mut now, false);
        }
        assert!((room.limit - LEAST).abs() < 1e-9, "down to the least: {}", room.limit);
        for _ in 0..2_000 {
            answered(&mut room, Duration::from_millis(2), &mut now, false);
        }
        assert!((room.limit - LEAST).abs() < 1e-9, "nobody needs more: {}", room.limit);
        for _ in 0..2_000 {
            answered(&mut room, Duration::from_millis(2), &mut now, true);
        }
        assert!(room.limit > 60.0, "{}", room.limit);
    }

    #[test]
    fn a_node_that_has_answered_nobody_finds_its_room_by_doubling_it() {
        let mut now = Instant::now();
        let mut room = Room::new(1_000, Duration::from_millis(150), now);
        assert!((room.limit - FIRST).abs() < 1e-9, "{}", room.limit);
        for _ in 0..200 {
            answered(&mut room, Duration::from_millis(2), &mut now, true);
        }
        assert!((room.limit - FIRST - 200.0).abs() < 1e-9, "one more for each: {}", room.limit);
        answered(&mut room, Duration::from_secs(1), &mut now, true);
        let found = room.limit;
        answered(&mut room, Duration::from_millis(2), &mut now, true);
        assert!(room.limit - found < 0.01, "one more for each round: {}", room.limit);
    }

    #[test]
    fn a_crowd_that_is_late_together_is_one_reason_and_not_many() {
        let now = Instant::now();
        let mut room = fresh(1_000, now);
        for org in fill(&mut room, Class::Read) {
            room.leave(org, Some((now, Duration::from_secs(1))));
        }
        assert!((room.limit - 900.0).abs() < 1e-9, "{}", room.limit);
    }

    #[test]
    fn what_was_not_done_says_nothing_and_is_not_remembered() {
        let mut room = fresh(100, Instant::now());
        room.limit = 50.0;
        for org in fill(&mut room, Class::Read) {
            room.leave(org, None);
        }
        assert!((room.limit - 50.0).abs() < 1e-9, "{}", room.limit);
        assert!(room.of.is_empty());
        assert_eq!(room.at_work, 0);
    }
}
