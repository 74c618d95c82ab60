//! The last entries of the log, in memory.
//!
//! What is appended is read again at once: to be sent to each of the others, and to be applied. Without this every one of
//! them would read it from the file and decode and check each command in it anew. The file stays what counts: an entry is
//! here only while it is there as well.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::types::Entry;

/// How many bytes of entries are kept, as they are written.
const BYTES_MAX: usize = 1 << 20;
/// How many entries are kept.
const ENTRIES_MAX: usize = 256;

/// The last entries. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<Kept>>);

/// Entries without a gap, ascending, each with its size.
#[derive(Default)]
struct Kept {
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Recent {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was written, each entry with its size.
    pub(super) fn add(&self, written: impl IntoIterator<Item = (Entry, usize)>) {
        let mut kept = self.kept();
        for (entry, bytes) in written {
            let follows =
                kept.entries.back().is_none_or(|(last, _)| last.log_id.index + 1 == entry.log_id.index);
            if !follows {
                *kept = Kept::default();
            }
            kept.bytes += bytes;
            kept.entries.push_back((entry, bytes));
            while kept.bytes > BYTES_MAX || kept.entries.len() > ENTRIES_MAX {
                kept.drop_first();
            }
        }
    }

    /// Forgets this entry and all after it, before they go from the file.
    pub(super) fn forget_from(&self, first: u64) {
        let mut kept = self.kept();
        while kept.entries.back().is_some_and(|(last, _)| last.log_id.index >= first) {
            if let Some((_, bytes)) = kept.entries.pop_back() {
                kept.bytes -= bytes;
            }
        }
    }

    /// Forgets this entry and all before it, before they go from the file.
    pub(super) fn forget_through(&self, last: u64) {
        let mut kept = self.kept();
        while kept.entries.front().is_some_and(|(first, _)| first.log_id.index <= last) {
            kept.drop_first();
        }
    }

    /// Entries of a range, until they weigh more than `bytes_max`; at least one. `None` if not all of them are here.
    pub(super) fn entries(&self, range: &impl RangeBounds<u64>, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.checked_add(1)?,
            Bound::Unbounded => return None,
        };
        let end = match range.end_bound() {
            Bound::Excluded(end) => *end,
            Bound::Included(last) => last.checked_add(1)?,
            Bound::Unbounded => return None,
        };
        let kept = self.kept();
        let begins = kept.entries.front()?.0.log_id.index;
        let from = usize::try_from(first.checked_sub(begins)?).ok()?;
        let count = usize::try_from(end.saturating_sub(first)).ok()?;
        if from.checked_add(count)? > kept.entries.len() {
            return None;
        }
        let (mut found, mut bytes) = (Vec::with_capacity(count), 0);
        for (entry, size) in kept.entries.iter().skip(from).take(count) {
            bytes += size;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Some(found)
    }
}

impl Kept {
    fn drop_first(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::super::types::LogId;
    use super::*;

    fn entry(index: u64, bytes: usize) -> (Entry, usize) {
        let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
        (Entry { log_id, payload: EntryPayload::Blank }, bytes)
    }

    fn indexes(recent: &Recent, range: impl RangeBounds<u64>, bytes_max: usize) -> Option<Vec<u64>> {
        let entries = recent.entries(&range, bytes_max)?;
        Some(entries.iter().map(|entry| entry.log_id.index).collect())
    }

    #[test]
    fn only_whole_ranges_are_answered() {
        let recent = Recent::default();
        assert_eq!(indexes(&recent, 1..2, usize::MAX), None, "nothing is known");
        recent.add((5..9).map(|index| entry(index, 10)));
        assert_eq!(indexes(&recent, 5..9, usize::MAX), Some(vec![5, 6, 7, 8]));
        assert_eq!(indexes(&recent, 6..=7, usize::MAX), Some(vec![6, 7]));
        assert_eq!(indexes(&recent, 5..9, 25), Some(vec![5, 6]), "as many as fit");
        assert_eq!(indexes(&recent, 5..9, 1), Some(vec![5]), "at least one");
        for beyond in [4..6, 8..10, 9..10] {
            assert_eq!(indexes(&recent, beyond, usize::MAX), None);
        }
        assert_eq!(indexes(&recent, 5.., usize::MAX), None);
    }

    #[test]
    fn what_goes_from_the_file_goes_from_here() {
        let recent = Recent::default();
        recent.add((1..9).map(|index| entry(index, 10)));
        recent.forget_from(7);
        recent.forget_through(2);
        assert_eq!(indexes(&recent, 3..7, usize::MAX), Some(vec![3, 4, 5, 6]));
        assert_eq!(indexes(&recent, 6..8, usize::MAX), None);
        assert_eq!(indexes(&recent, 2..4, usize::MAX), None);
        recent.add([entry(7, 10)]);
        assert_eq!(indexes(&recent, 6..8, usize::MAX), Some(vec![6, 7]), "written anew");
        recent.add([entry(20, 10)]);
        assert_eq!(indexes(&recent, 7..8, usize::MAX), None, "there is no gap in what is kept");
        assert_eq!(indexes(&recent, 20..21, usize::MAX), Some(vec![20]));
    }

    #[test]
    fn it_stays_small() {
        let recent = Recent::default();
        recent.add((0..1_000).map(|index| entry(index, 10)));
        assert_eq!(recent.kept().entries.len(), ENTRIES_MAX);
        recent.add([entry(1_000, BYTES_MAX / 2), entry(1_001, BYTES_MAX / 2), entry(1_002, 1)]);
        assert_eq!(recent.kept().entries.len(), 2);
        assert_eq!(recent.kept().bytes, BYTES_MAX / 2 + 1);
    }
}
