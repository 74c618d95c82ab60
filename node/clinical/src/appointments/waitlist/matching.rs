//! Which free slot is for whom: in the order in which they came, whichever home they are of.
//!
//! Every home looks at the same replicated order and comes to the same answer, and offers to its own. A home that is
//! away must not keep slots from everybody else, nor must a place in the order that nobody stands in any more: what has
//! not been offered for a while is for whoever comes next as well.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use residency_control::calendar::slots::free;
use residency_control::calendar::{Ledger, Minute, Slot, Waiting, Wanted};
use residency_control::{Provider, Providers};
use residency_policy::{BookingHandle, ProviderId, Region};

/// How long a home has to offer a slot before it is for the next one too.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

/// Since when a slot is for somebody who was not offered it yet.
type Since = HashMap<(BookingHandle, ProviderId, Minute), Timestamp>;

/// What was seen in earlier rounds.
#[derive(Debug, Default, Clone)]
pub struct Matching {
    since: Since,
    /// With whom somebody cannot be booked: the provider may not practise where they will be.
    unfit: HashSet<(BookingHandle, ProviderId)>,
    /// What is for our own.
    ours: HashMap<BookingHandle, (ProviderId, Slot)>,
}

/// What one look found.
#[derive(Debug)]
pub struct Found {
    since: Since,
    ours: HashMap<BookingHandle, (ProviderId, Slot)>,
}

/// The free slots of one provider, and which of them are spoken for.
struct Free {
    slots: Vec<Slot>,
    spoken_for: HashSet<Minute>,
}

impl Matching {
    /// Looks anew at everybody who waits: an organisation may have only so many, so none keeps others from being looked
    /// at. It takes the longer the more there are; have it done where it keeps nobody up.
    pub fn look(&self, ledger: &Ledger, providers: &Providers, own: Region, now: Timestamp) -> Found {
        let mut specialists: HashMap<Specialists, Arc<[ProviderId]>> = HashMap::new();
        let (mut since, mut ours) = (HashMap::new(), HashMap::new());
        let from = Minute::from_instant(now);
        let everybody: Vec<(&Waiting, Arc<[ProviderId]>)> = ledger
            .waiting()
            .filter(|waiting| waiting.to > from)
            .map(|waiting| (waiting, candidates(waiting, providers, &mut specialists)))
            .collect();
        let mut calendars = free_of_all(ledger, &everybody, now);
        for (waiting, candidates) in everybody {
            let fit = candidates.iter().copied().filter(|id| !self.unfit.contains(&(waiting.handle, *id)));
            let mut best: Option<(Slot, ProviderId)> = None;
            for provider in fit {
                let Some(calendar) = calendars.get(&provider) else { continue };
                let earlier = calendar.slots.partition_point(|slot| slot.start < waiting.from);
                let wanted = calendar.slots[earlier..].iter().take_while(|slot| slot.start < waiting.to);
                let first = wanted.into_iter().find(|slot| !calendar.spoken_for.contains(&slot.start));
                best = best.into_iter().chain(first.map(|slot| (*slot, provider))).min();
            }
            let Some((slot, provider)) = best else { continue };
            if waiting.region == own {
                ours.insert(waiting.handle, (provider, slot));
            }
            let key = (waiting.handle, provider, slot.start);
            let first_seen = self.since.get(&key).copied().unwrap_or(now);
            since.insert(key, first_seen);
            if now.duration_since(first_seen) > PATIENCE {
                continue;
            }
            if let Some(calendar) = calendars.get_mut(&provider) {
                calendar.spoken_for.insert(slot.start);
            }
        }
        Found { since, ours }
    }

    /// Remembers what a look at this ledger found, and returns who of our own is to be offered something.
    pub fn remember(&mut self, found: Found, ledger: &Ledger) -> Vec<BookingHandle> {
        self.unfit.retain(|(handle, _)| ledger.waits(*handle).is_some());
        (self.since, self.ours) = (found.since, found.ours);
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
    specialists: &mut HashMap<Specialists, Arc<[ProviderId]>>,
) -> Arc<[ProviderId]> {
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

/// The free slots of everybody whom somebody waits for, as early and as late as somebody wants them.
fn free_of_all(
    ledger: &Ledger,
    everybody: &[(&Waiting, Arc<[ProviderId]>)],
    now: Timestamp,
) -> HashMap<ProviderId, Free> {
    let mut windows: HashMap<ProviderId, (Minute, Minute)> = HashMap::new();
    for (waiting, candidates) in everybody {
        for provider in candidates.iter() {
            let (from, to) = windows.entry(*provider).or_insert((waiting.from, waiting.to));
            (*from, *to) = ((*from).min(waiting.from), (*to).max(waiting.to));
        }
    }
    windows.into_iter().map(|(provider, window)| (provider, free_of(ledger, provider, window, now))).collect()
}

fn free_of(ledger: &Ledger, provider: ProviderId, (from, to): (Minute, Minute), now: Timestamp) -> Free {
    let book = ledger.book(provider);
    let slots = book.and_then(|book| {
        let zone = book.calendar().zone.find().ok()?;
        Some(free(book, &zone, from.timestamp().max(now), to.timestamp(), now).collect())
    });
    Free { slots: slots.unwrap_or_default(), spoken_for: HashSet::new() }
}
