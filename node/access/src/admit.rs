//! Admit: no more is worked on at once than is answered in time, so that what is over is refused at once instead of making
//! all wait.
//!
//! How many that is, nobody can configure: it depends on the disk, the database and what is asked. So it is found, as TCP
//! finds the room in a network: one more for each round of answers in time, a tenth less when an answer was late (additive
//! increase, multiplicative decrease). Late is what took much longer than the quickest of its class lately did, so that a
//! slow disk does not look like a crowd. Searches give way first, then changes, then reads; one organisation has half of the
//! room at most, so that it cannot crowd out another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// An answer that took no longer than so many times the quickest of its class is in time.
const IN_PROPORTION: u32 = 4;
/// How long the quickest answer of a class is remembered, at least; at most twice that.
const REMEMBERED: Duration = Duration::from_mins(5);
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
    /// Room for at most so many at once. An answer that took no longer than `in_time` is in time whatever others took.
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
        Ok(Admitted { to: Arc::clone(self), class, org, began })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that was let in.
pub struct Admitted {
    to: Arc<Admission>,
    class: Class,
    org: OrgId,
    began: Instant,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let limit = self.to.room().leave(self.class, self.org, self.began, Instant::now());
        self.to.limit.set(limit);
        self.to.at_work.dec();
    }
}

struct Room {
    most: f64,
    in_time: Duration,
    limit: f64,
    at_work: u32,
    of: HashMap<OrgId, u32>,
    quickest: [Quickest; 3],
    cut: Instant,
}

impl Room {
    fn new(most: usize, in_time: Duration, now: Instant) -> Self {
        let most = u32::try_from(most).map_or(f64::MAX, f64::from).max(LEAST);
        let (of, quickest) = (HashMap::new(), [Quickest::new(now); 3]);
        Self { most, in_time, limit: most, at_work: 0, of, quickest, cut: now }
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

    /// How much room there is from now on.
    fn leave(&mut self, class: Class, org: OrgId, began: Instant, now: Instant) -> f64 {
        self.at_work -= 1;
        match self.of.get_mut(&org) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(self.of.remove(&org)),
        }
        let took = now.saturating_duration_since(began);
        let quickest = self.quickest[class as usize].of(took, now);
        if took <= self.in_time.max(quickest * IN_PROPORTION) {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        } else if began >= self.cut {
            // What began before the last cut says nothing of how it is since.
            self.limit = (self.limit * 0.9).max(LEAST);
            self.cut = now;
        }
        self.limit
    }
}

/// The quickest answer of a class, of two periods: the one that runs, and the one before.
#[derive(Clone, Copy)]
struct Quickest {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Quickest {
    fn new(since: Instant) -> Self {
        Self { since, now: Duration::MAX, before: Duration::MAX }
    }

    fn of(&mut self, took: Duration, at: Instant) -> Duration {
        if at.saturating_duration_since(self.since) > REMEMBERED {
            *self = Self { since: at, now: Duration::MAX, before: self.now };
        }
        self.now = self.now.min(took);
        // More than an hour is no answer's time: the product below must not overflow.
        self.now.min(self.before).min(Duration::from_hours(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(n: u8) -> OrgId {
        OrgId::from_bytes([n; 16])
    }

    fn fresh(most: usize, now: Instant) -> Room {
        Room::new(most, Duration::from_millis(150), now)
    }

    /// Lets in as many as there is room for, of many organisations, and says of which.
    fn fill(room: &mut Room, class: Class) -> Vec<OrgId> {
        (0..=u8::MAX).cycle().take(4_096).map(org).take_while(|org| room.enter(class, *org)).collect()
    }

    fn answered(room: &mut Room, class: Class, took: Duration, now: &mut Instant) {
        assert!(room.enter(class, org(1)), "there is room for one");
        let began = *now;
        *now += took;
        room.leave(class, org(1), began, *now);
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
        let now = Instant::now();
        room.leave(Class::Read, org(1), now, now);
        assert!(room.enter(Class::Read, org(1)), "one went, one may come");
    }

    #[test]
    fn late_answers_take_room_away_and_answers_in_time_give_it_back() {
        let mut now = Instant::now();
        let mut room = fresh(1_000, now);
        answered(&mut room, Class::Read, Duration::from_millis(2), &mut now);
        for _ in 0..100 {
            answered(&mut room, Class::Read, Duration::from_secs(1), &mut now);
        }
        assert!((room.limit - LEAST).abs() < 1e-9, "down to the least: {}", room.limit);
        for _ in 0..2_000 {
            answered(&mut room, Class::Read, Duration::from_millis(2), &mut now);
        }
        assert!(room.limit > 60.0, "{}", room.limit);
    }

    #[test]
    fn a_crowd_that_is_late_together_is_one_reason_and_not_many() {
        let now = Instant::now();
        let mut room = fresh(1_000, now);
        room.quickest[Class::Read as usize].of(Duration::from_millis(2), now);
        let crowd = fill(&mut room, Class::Read);
        for org in crowd {
            room.leave(Class::Read, org, now, now + Duration::from_secs(1));
        }
        assert!((room.limit - 900.0).abs() < 1e-9, "{}", room.limit);
    }

    #[test]
    fn a_slow_disk_is_no_crowd_and_what_was_quick_once_is_forgotten() {
        let mut now = Instant::now();
        let mut room = fresh(1_000, now);
        for _ in 0..1_000 {
            answered(&mut room, Class::Change, Duration::from_millis(400), &mut now);
        }
        assert!((room.limit - 1_000.0).abs() < 1e-9, "always as slow: {}", room.limit);
        let mut room = fresh(1_000, now);
        answered(&mut room, Class::Change, Duration::from_millis(2), &mut now);
        answered(&mut room, Class::Change, Duration::from_millis(400), &mut now);
        assert!(room.limit < 1_000.0, "the control: slow beside what was quick");
        now += 3 * REMEMBERED;
        answered(&mut room, Class::Change, Duration::from_millis(400), &mut now);
        now += 2 * REMEMBERED;
        let limit = room.limit;
        answered(&mut room, Class::Change, Duration::from_millis(400), &mut now);
        assert!(room.limit >= limit, "the quick one is long ago");
    }

    #[test]
    fn whoever_left_is_not_remembered() {
        let mut now = Instant::now();
        let mut room = fresh(100, now);
        answered(&mut room, Class::Read, Duration::from_millis(1), &mut now);
        assert!(room.of.is_empty());
        assert_eq!(room.at_work, 0);
    }
}
