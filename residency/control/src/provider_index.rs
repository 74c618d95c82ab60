//! All clinicians, and what finds them quickly: by id, by NPI, by where they hold a licence, by specialty, by language.
//!
//! Each has a rank, its place in the order in which they were added, which never changes; the same on every member.
//! Lists of ranks are the index. Everything is cut into pieces behind an `Arc`, so that a clone is cheap and a change
//! copies the pieces that it touches and no more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use residency_policy::licensure::{Licence, LicenceKind, Taxonomy};
use residency_policy::{Jurisdiction, Npi, ProviderId};

use crate::Language;
use crate::command::Provider;

const LEAF: usize = 256;
const SHARDS: usize = 64;

/// A clinician's place in the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderRank(pub u32);

/// What a list of ranks is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Facet {
    /// Who holds a licence of this jurisdiction.
    Licensed(Jurisdiction),
    /// Who holds something of a compact that counts in other states than its own.
    Beyond,
    /// Who has this specialty.
    Specialty(Taxonomy),
    /// Who speaks this language, in whatever region.
    Speaks(Language),
}

/// Whom a search wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Who holds a licence of this jurisdiction, or one that may count there. Whether it does on a day is for
    /// [`residency_policy::licensure::authority`] to say.
    pub licensed: Option<Jurisdiction>,
    /// Who has this specialty.
    pub specialty: Option<Taxonomy>,
    /// Who speaks this language.
    pub language: Option<Language>,
}

/// All clinicians. A clone is cheap and shares what neither side has changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Providers {
    leaves: Vec<Arc<Vec<Arc<Provider>>>>,
    by_id: Sharded<ProviderId>,
    by_npi: Sharded<Npi>,
    facets: Arc<BTreeMap<Facet, Arc<Vec<u32>>>>,
}

impl Providers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.leaves.last().map_or(0, |last| (self.leaves.len() - 1) * LEAF + last.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// One, by id.
    pub fn get(&self, id: ProviderId) -> Option<&Arc<Provider>> {
        self.at(self.by_id.get(id)?)
    }

    /// One, by NPI.
    pub fn by_npi(&self, npi: Npi) -> Option<&Arc<Provider>> {
        self.at(self.by_npi.get(npi)?)
    }

    /// The rank of one.
    pub fn rank(&self, id: ProviderId) -> Option<ProviderRank> {
        self.by_id.get(id).map(ProviderRank)
    }

    /// All, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.leaves.iter().flat_map(|leaf| leaf.iter())
    }

    /// Those who may be wanted and come after a rank, in the order in which they were added.
    pub fn find(
        &self,
        wanted: Wanted,
        after: Option<ProviderRank>,
    ) -> impl Iterator<Item = (ProviderRank, &Arc<Provider>)> {
        let start = after.map_or(0, |after| after.0.saturating_add(1));
        self.shortest(wanted).from(start).filter_map(move |rank| {
            let provider = self.at(rank)?;
            wanted.fits(provider).then_some((ProviderRank(rank), provider))
        })
    }

    /// How many a search looks at, at most.
    pub fn candidates(&self, wanted: Wanted) -> usize {
        self.shortest(wanted).len()
    }

    /// The shortest of the lists that hold everyone wanted.
    fn shortest(&self, wanted: Wanted) -> Ranks<'_> {
        let of = |facet| self.facets.get(&facet).map_or(&[][..], |list| list.as_slice());
        let lists = [
            wanted.licensed.map(|place| Ranks::Either(of(Facet::Licensed(place)), of(Facet::Beyond))),
            wanted.specialty.map(|code| Ranks::Either(of(Facet::Specialty(code)), &[])),
            wanted.language.map(|language| Ranks::Either(of(Facet::Speaks(language.primary())), &[])),
        ];
        let everyone = Ranks::Everyone(0..u32::try_from(self.len()).unwrap_or(u32::MAX));
        lists.into_iter().flatten().min_by_key(Ranks::len).unwrap_or(everyone)
    }

    /// Adds one, or replaces the one with the same id.
    pub(crate) fn put(&mut self, provider: Provider) {
        let known = self.by_id.get(provider.id);
        let rank = known.unwrap_or_else(|| u32::try_from(self.len()).unwrap_or(u32::MAX));
        let before = known.and_then(|rank| self.at(rank)).map(|known| facets(known)).unwrap_or_default();
        let after = facets(&provider);
        self.index(rank, &before, &after);
        if known.is_none() {
            self.by_id.insert(provider.id, rank);
            self.by_npi.insert(provider.npi, rank);
        }
        self.set(rank, Arc::new(provider));
    }

    fn index(&mut self, rank: u32, before: &[Facet], after: &[Facet]) {
        let changed = |a: &[Facet], b: &[Facet]| a.iter().filter(|facet| !b.contains(facet)).copied().collect();
        let (gone, new): (Vec<Facet>, Vec<Facet>) = (changed(before, after), changed(after, before));
        if gone.is_empty() && new.is_empty() {
            return;
        }
        let all = Arc::make_mut(&mut self.facets);
        for facet in gone {
            if let Some(list) = all.get_mut(&facet) {
                let list = Arc::make_mut(list);
                if let Ok(at) = list.binary_search(&rank) {
                    list.remove(at);
                }
                // Equal states must be equal, whatever was in them before.
                if list.is_empty() {
                    all.remove(&facet);
                }
            }
        }
        for facet in new {
            let list = Arc::make_mut(all.entry(facet).or_default());
            if let Err(at) = list.binary_search(&rank) {
                list.insert(at, rank);
            }
        }
    }

    fn at(&self, rank: u32) -> Option<&Arc<Provider>> {
        let at = usize::try_from(rank).ok()?;
        self.leaves.get(at / LEAF)?.get(at % LEAF)
    }

    fn set(&mut self, rank: u32, provider: Arc<Provider>) {
        let at = usize::try_from(rank).unwrap_or(usize::MAX);
        if at / LEAF == self.leaves.len() {
            self.leaves.push(Arc::default());
        }
        if let Some(leaf) = self.leaves.get_mut(at / LEAF) {
            let leaf = Arc::make_mut(leaf);
            match leaf.get_mut(at % LEAF) {
                Some(known) => *known = provider,
                None => leaf.push(provider),
            }
        }
    }
}

impl Wanted {
    /// Whether a clinician may be wanted.
    pub fn fits(&self, provider: &Provider) -> bool {
        let licensed = |place| {
            let may = |licence: &Licence| licence.jurisdiction == place || reaches_beyond(licence.kind);
            provider.licences.iter().any(|(_, licence)| may(licence))
        };
        let speaks = |range: Language| provider.languages.as_slice().iter().any(|one| one.is_within(&range));
        self.licensed.is_none_or(licensed)
            && self.specialty.is_none_or(|code| provider.taxonomy.contains(code))
            && self.language.is_none_or(speaks)
    }
}

fn reaches_beyond(kind: LicenceKind) -> bool {
    matches!(kind, LicenceKind::Compact(compact) if compact.reaches_beyond_its_state())
}

/// In which lists a clinician is, each once.
fn facets(provider: &Provider) -> Vec<Facet> {
    let licensed = provider.licences.iter().map(|(_, licence)| Facet::Licensed(licence.jurisdiction));
    let beyond = provider.licences.iter().any(|(_, l)| reaches_beyond(l.kind)).then_some(Facet::Beyond);
    let specialties = provider.taxonomy.as_slice().iter().map(|code| Facet::Specialty(*code));
    let languages = provider.languages.as_slice().iter().map(|one| Facet::Speaks(one.primary()));
    let mut all: Vec<Facet> = licensed.chain(beyond).chain(specialties).chain(languages).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Ranks, ascending.
#[derive(Clone)]
enum Ranks<'a> {
    Everyone(Range<u32>),
    /// What is in one list or in the other.
    Either(&'a [u32], &'a [u32]),
}

impl<'a> Ranks<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Everyone(range) => range.len(),
            Self::Either(a, b) => a.len() + b.len(),
        }
    }

    /// Those from a rank on.
    fn from(self, start: u32) -> Self {
        let rest = |list: &'a [u32]| &list[list.partition_point(|rank| *rank < start)..];
        match self {
            Self::Everyone(range) => Self::Everyone(start.min(range.end)..range.end),
            Self::Either(a, b) => Self::Either(rest(a), rest(b)),
        }
    }
}

impl Iterator for Ranks<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (a, b) = match self {
            Self::Everyone(range) => return range.next(),
            Self::Either(a, b) => (a, b),
        };
        let least = match (a.first(), b.first()) {
            (Some(x), Some(y)) => *x.min(y),
            (Some(one), None) | (None, Some(one)) => *one,
            (None, None) => return None,
        };
        for list in [a, b] {
            if let Some((first, rest)) = list.split_first()
                && *first == least
            {
                *list = rest;
            }
        }
        Some(least)
    }
}

/// Key -> rank, cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sharded<K>(Box<[Arc<BTreeMap<K, u32>>]>);

impl<K> Default for Sharded<K> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Arc::default()).collect())
    }
}

impl<K: Copy + Ord + Spread> Sharded<K> {
    fn get(&self, key: K) -> Option<u32> {
        self.0[key.shard()].get(&key).copied()
    }

    fn insert(&mut self, key: K, rank: u32) {
        Arc::make_mut(&mut self.0[key.shard()]).insert(key, rank);
    }
}

/// Which piece a key is in.
trait Spread {
    fn shard(&self) -> usize;
}

/// Ids are random.
impl Spread for ProviderId {
    fn shard(&self) -> usize {
        usize::from(self.to_bytes()[0]) % SHARDS
    }
}

/// The last digits of an NPI differ most.
impl Spread for Npi {
    fn shard(&self) -> usize {
        self.as_str().bytes().fold(0, |sum, digit| sum * 7 + usize::from(digit)) % SHARDS
    }
}
