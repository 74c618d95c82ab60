//! Which free slot is for whom: in the order in which they came, whichever home they are of.
//!
//! Every home looks at the same replicated order and comes to the same answer, and offers to its own. A home that is
//! away must not keep slots from everybody else, nor must a place in the order that nobody stands in any more: what has
//! not been offered for a while is for whoever comes next as well.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use residency_control::calendar::slots::free;
use residency_control::calendar::{Ledger, Minute, Slot, Waiting, Wanted};
use residency_control::{Provider, Providers};
use residency_policy::{BookingHandle, ProviderId, Region};

/// How long a home has to offer a slot before it is for the next one too.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// The most who are looked at in one go.
const LOOKED_AT: usize = 10_000;

/// What was seen in earlier rounds.
#[derive(Debug, Default)]
pub struct Matching {
    /// Since when a slot is for somebody who was not offered it yet.
    since: HashMap<(BookingHandle, ProviderId, Minute), Timestamp>,
    /// With whom somebody cannot be booked: the provider may not practise where they will be.
    unfit: HashSet<(BookingHandle, ProviderId)>,
    /// What is for our own.
    ours: HashMap<BookingHandle, (ProviderId, Slot)>,
}

/// The free slots of one provider, and which of them are spoken for.
struct Free {
    slots: Vec<Slot>,
    spoken_for: HashSet<Minute>,
}

impl Matching {
    /// Looks anew, and returns who of our own is to be offered something.
    pub fn look(
        &mut self,
        ledger: &Ledger,
        providers: &Providers,
        own: Region,
        now: Timestamp,
    ) -> Vec<BookingHandle> {
        let mut calendars: HashMap<ProviderId, Free> = HashMap::new();
        let mut specialists: HashMap<Specialists, Vec<ProviderId>> = HashMap::new();
        let (mut seen, mut ours) = (HashMap::new(), HashMap::new());
        let from = Minute::from_instant(now);
        for waiting in ledger.waiting().filter(|waiting| waiting.to > from).take(LOOKED_AT) {
            let candidates = candidates(waiting, providers, &mut specialists);
            let fit = candidates.into_iter().filter(|id| !self.unfit.contains(&(waiting.handle, *id)));
            let mut best: Option<(Slot, ProviderId)> = None;
            for provider in fit {
                let calendar = calendars.entry(provider).or_insert_with(|| free_of(ledger, provider, now));
                let first = calendar.slots.iter().find(|slot| {
                    waiting.from <= slot.start
                        && slot.start < waiting.to
                        && !calendar.spoken_for.contains(&slot.start)
                });
                best = best.into_iter().chain(first.map(|slot| (*slot, provider))).min();
            }
            let Some((slot, provider)) = best else { continue };
            if waiting.region == own {
                ours.insert(waiting.handle, (provider, slot));
            }
            let key = (waiting.handle, provider, slot.start);
            let since = self.since.get(&key).copied().unwrap_or(now);
            seen.insert(key, since);
            if now.duration_since(since) > PATIENCE {
                continue;
            }
            if let Some(calendar) = calendars.get_mut(&provider) {
                calendar.spoken_for.insert(slot.start);
            }
        }
        self.unfit.retain(|(handle, _)| ledger.waits(*handle).is_some());
        self.since = seen;
        self.ours = ours;
        self.ours.keys().copied().collect()
    }

    /// What is for one of our own.
    pub fn offer_for(&self, handle: BookingHandle) -> Option<(ProviderId, Slot)> {
        self.ours.get(&handle).copied()
    }

    /// Remembers that somebody cannot be booked with a provider.
    pub fn is_unfit(&mut self, handle: BookingHandle, provider: ProviderId) {
        self.unfit.insert((handle, provider));
    }
}

/// A specialty, as one organisation means it.
type Specialists = (residency_policy::OrgId, residency_policy::licensure::Taxonomy);

fn candidates(
    waiting: &Waiting,
    providers: &Providers,
    specialists: &mut HashMap<Specialists, Vec<ProviderId>>,
) -> Vec<ProviderId> {
    let sees = |provider: &Provider| provider.active && provider.orgs.contains(waiting.org);
    match waiting.wanted {
        Wanted::Provider(id) => {
            providers.get(id).filter(|provider| sees(provider)).map(|p| p.id).into_iter().collect()
        }
        Wanted::Specialty(code) => specialists
            .entry((waiting.org, code))
            .or_insert_with(|| {
                let of =
                    |provider: &&std::sync::Arc<Provider>| sees(provider) && provider.taxonomy.contains(code);
                providers.iter().filter(of).map(|provider| provider.id).collect()
            })
            .clone(),
    }
}

fn free_of(ledger: &Ledger, provider: ProviderId, now: Timestamp) -> Free {
    let book = ledger.book(provider);
    let slots = book.and_then(|book| {
        let zone = book.calendar().zone.find().ok()?;
        Some(free(book, &zone, now, Timestamp::MAX, now).collect())
    });
    Free { slots: slots.unwrap_or_default(), spoken_for: HashSet::new() }
}
