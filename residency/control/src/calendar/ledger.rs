//! All calendars, and what follows from them: holds by organisation, the waiting list, the regions' clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use residency_policy::{BookingHandle, OrgId, ProviderId, Region};
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::entry::{Entry, EntryState};
use super::minute::Minute;
use super::rules::Calendar;
use super::waiting::Waiting;
use crate::Sheets;

/// When a hold ends, whose calendar it is in, and which it is.
type Ending = (i64, ProviderId, BookingHandle);

/// Everything about calendars that is replicated. A clone is cheap and shares what neither side has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    books: Arc<Sheets<ProviderId, Arc<Book>>>,
    /// When each organisation's holds end; follows from the books.
    holds: Arc<BTreeMap<OrgId, BTreeSet<Ending>>>,
    waiting: Arc<Sheets<u64, Waiting>>,
    /// Where each waiting handle stands; follows from the list.
    places: Arc<Sheets<BookingHandle, u64>>,
    /// How many of each organisation wait; follows from the list.
    waiters: Arc<BTreeMap<OrgId, usize>>,
    next_place: u64,
    /// Handles that were given up, and when: nothing is held under them any more.
    given_up: Arc<BTreeMap<(OrgId, BookingHandle), i64>>,
    clocks: Arc<BTreeMap<Region, i64>>,
}

impl Ledger {
    /// The most holds of one organisation at a time.
    pub const HOLDS_MAX: usize = 5_000;
    /// The most waiting handles of one organisation. All who wait are looked at whenever a slot may be free.
    pub const WAITING_MAX: usize = 5_000;
    /// The most handles that one organisation gave up within the time for which that is remembered. It gives one up when
    /// whoever booked is gone, so there are few. More are refused rather than forgotten early: what is being booked is
    /// then undone later.
    pub const GIVEN_UP_MAX: usize = 5_000;

    /// One provider's calendar with what stands in it.
    pub fn book(&self, provider: ProviderId) -> Option<&Arc<Book>> {
        self.books.get(&provider)
    }

    /// Everybody who waits, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Somebody who waits.
    pub fn waits(&self, handle: BookingHandle) -> Option<&Waiting> {
        self.waiting.get(self.places.get(&handle)?)
    }

    /// How many of an organisation wait.
    pub fn waiters(&self, org: OrgId) -> usize {
        self.waiters.get(&org).copied().unwrap_or(0)
    }

    /// The holds of an organisation, whether they still count or not.
    pub fn holds(&self, org: OrgId) -> impl Iterator<Item = BookingHandle> {
        self.holds.get(&org).into_iter().flatten().map(|(_, _, handle)| *handle)
    }

    /// How many holds of an organisation count at a second.
    pub(crate) fn holds_at(&self, org: OrgId, at: i64) -> usize {
        let first = (at.saturating_add(1), ProviderId::from_bytes([0; 16]), BookingHandle::from_bytes([0; 16]));
        self.holds.get(&org).map_or(0, |holds| holds.range(first..).count())
    }

    /// The holds of an organisation that no longer count at a second.
    pub(crate) fn lapsed(&self, org: OrgId, at: i64) -> Vec<(ProviderId, BookingHandle)> {
        let holds = self.holds.get(&org).into_iter().flatten();
        holds.take_while(|(until, ..)| *until <= at).map(|(_, provider, handle)| (*provider, *handle)).collect()
    }

    /// Whether nothing may be held under a handle any more.
    pub(crate) fn was_given_up(&self, org: OrgId, handle: BookingHandle) -> bool {
        self.given_up.contains_key(&(org, handle))
    }

    /// How many handles an organisation gave up.
    pub(crate) fn given_up_by(&self, org: OrgId) -> usize {
        let (first, last) = (BookingHandle::from_bytes([0; 16]), BookingHandle::from_bytes([u8::MAX; 16]));
        self.given_up.range((org, first)..=(org, last)).count()
    }

    /// Gives a handle up. The first time counts.
    pub(crate) fn give_up(&mut self, org: OrgId, handle: BookingHandle, at: i64) {
        Arc::make_mut(&mut self.given_up).entry((org, handle)).or_insert(at);
    }

    pub(crate) fn put_book(&mut self, provider: ProviderId, calendar: Calendar) {
        let books = Arc::make_mut(&mut self.books);
        match books.get_mut(&provider) {
            Some(book) => Arc::make_mut(book).replace(calendar),
            None => {
                books.insert(provider, Arc::new(Book::new(calendar)));
            }
        }
    }

    pub(crate) fn insert(&mut self, provider: ProviderId, start: Minute, handle: BookingHandle, entry: Entry) {
        if let EntryState::Held { until } = entry.state {
            let holds = Arc::make_mut(&mut self.holds).entry(entry.org).or_default();
            holds.insert((until, provider, handle));
        }
        if let Some(book) = Arc::make_mut(&mut self.books).get_mut(&provider) {
            Arc::make_mut(book).insert(start, handle, entry);
        }
    }

    pub(crate) fn remove(&mut self, provider: ProviderId, handle: BookingHandle) {
        let there = self.book(provider).and_then(|book| book.find(handle));
        let Some((_, entry)) = there else { return };
        self.forget_hold(provider, handle, &entry);
        if let Some(book) = Arc::make_mut(&mut self.books).get_mut(&provider) {
            Arc::make_mut(book).remove(handle);
        }
    }

    /// Makes a hold a booking that this region answers for.
    pub(crate) fn book_for(&mut self, provider: ProviderId, handle: BookingHandle, region: Region) {
        let there = self.book(provider).and_then(|book| book.find(handle));
        let Some((_, entry)) = there else { return };
        self.forget_hold(provider, handle, &entry);
        if let Some(book) = Arc::make_mut(&mut self.books).get_mut(&provider) {
            Arc::make_mut(book).set(handle, |entry| {
                entry.state = EntryState::Booked;
                entry.region = region;
            });
        }
    }

    fn forget_hold(&mut self, provider: ProviderId, handle: BookingHandle, entry: &Entry) {
        let EntryState::Held { until } = entry.state else { return };
        let all = Arc::make_mut(&mut self.holds);
        if let Some(holds) = all.get_mut(&entry.org) {
            holds.remove(&(until, provider, handle));
            if holds.is_empty() {
                all.remove(&entry.org);
            }
        }
    }

    pub(crate) fn wait(&mut self, waiting: Waiting) {
        let place = self.next_place;
        self.next_place += 1;
        self.stand(place, waiting);
    }

    fn stand(&mut self, place: u64, waiting: Waiting) {
        Arc::make_mut(&mut self.places).insert(waiting.handle, place);
        *Arc::make_mut(&mut self.waiters).entry(waiting.org).or_default() += 1;
        Arc::make_mut(&mut self.waiting).insert(place, waiting);
    }

    pub(crate) fn leave(&mut self, handle: BookingHandle) {
        if !self.places.contains_key(&handle) {
            return;
        }
        let place = Arc::make_mut(&mut self.places).remove(&handle);
        let gone = place.and_then(|place| Arc::make_mut(&mut self.waiting).remove(&place));
        let Some(gone) = gone else { return };
        let waiters = Arc::make_mut(&mut self.waiters);
        if let Some(many) = waiters.get_mut(&gone.org) {
            *many -= 1;
            if *many == 0 {
                waiters.remove(&gone.org);
            }
        }
    }

    /// What the region's clock shows.
    pub(crate) fn tell(&mut self, region: Region, at: i64) {
        Arc::make_mut(&mut self.clocks).insert(region, at);
    }

    /// A second that has passed by the word of half of the regions that told: beside others, one clock that is years
    /// ahead changes nothing.
    pub(crate) fn passed(&self) -> Option<i64> {
        let mut all: Vec<i64> = self.clocks.values().copied().collect();
        all.sort_unstable();
        all.get(all.len().saturating_sub(1) / 2).copied()
    }

    /// Forgets what was over before a minute.
    pub(crate) fn prune(&mut self, before: Minute) {
        let past: Vec<(ProviderId, Vec<BookingHandle>)> = self
            .books
            .iter()
            .map(|(provider, book)| (*provider, book.past(before)))
            .filter(|(_, past)| !past.is_empty())
            .collect();
        for (provider, handles) in past {
            for handle in handles {
                self.remove(provider, handle);
            }
        }
        let late: Vec<BookingHandle> =
            self.waiting.values().filter(|w| w.to <= before).map(|w| w.handle).collect();
        for handle in late {
            self.leave(handle);
        }
        if self.given_up.values().any(|at| Minute::from_seconds(*at) < before) {
            Arc::make_mut(&mut self.given_up).retain(|_, at| Minute::from_seconds(*at) >= before);
        }
    }
}

/// A ledger as a snapshot keeps it: without what follows from the rest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Image {
    books: Vec<BookImage>,
    waiting: Vec<(u64, Waiting)>,
    next_place: u64,
    clocks: Vec<(Region, i64)>,
}

/// A book as a snapshot keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BookImage {
    calendar: Calendar,
    entries: Vec<(Minute, BookingHandle, Entry)>,
}

impl Ledger {
    /// The ledger as a snapshot keeps it, in pieces: one for a book. An empty ledger has none.
    pub(crate) fn images(&self) -> impl Iterator<Item = Image> {
        let books = self.books.values().map(|book| {
            let book = BookImage { calendar: book.calendar().clone(), entries: book.entries().collect() };
            Image { books: vec![book], ..Image::default() }
        });
        let rest = Image {
            waiting: self.waiting.iter().map(|(place, waiting)| (*place, *waiting)).collect(),
            next_place: self.next_place,
            clocks: self.clocks.iter().map(|(region, at)| (*region, *at)).collect(),
            ..Image::default()
        };
        books.chain((*self != Self::default()).then_some(rest))
    }

    /// What was given up, as a snapshot keeps it.
    pub(crate) fn given_up(&self) -> impl Iterator<Item = (OrgId, BookingHandle, i64)> {
        self.given_up.iter().map(|((org, handle), at)| (*org, *handle, *at))
    }

    /// Puts a piece of a snapshot where it was.
    pub(crate) fn put(&mut self, image: Image) {
        for BookImage { calendar, entries } in image.books {
            let provider = calendar.provider;
            self.put_book(provider, calendar);
            for (start, handle, entry) in entries {
                self.insert(provider, start, handle, entry);
            }
        }
        for (place, waiting) in image.waiting {
            self.stand(place, waiting);
        }
        self.next_place = self.next_place.max(image.next_place);
        Arc::make_mut(&mut self.clocks).extend(image.clocks);
    }
}
