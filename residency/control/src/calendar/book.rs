//! One provider's calendar with everything that stands in it.

use std::sync::Arc;

use residency_policy::BookingHandle;

use super::entry::{Entry, EntryState};
use super::minute::Minute;
use super::rules::Calendar;
use crate::Sheets;

/// A calendar and its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    calendar: Arc<Calendar>,
    /// In sheets: whoever looks at a calendar while it is changed costs the change a sheet, and not the whole calendar.
    entries: Sheets<(Minute, BookingHandle), Entry>,
    /// Where each handle's entry is; follows from the entries.
    starts: Sheets<BookingHandle, Minute>,
}

/// No visit is longer, so nothing that began earlier than this can still be under way.
const LONGEST: u32 = Calendar::SLOT_MAX as u32 + 2 * Calendar::BUFFER_MAX as u32;

impl Book {
    /// The most entries of one calendar.
    pub const LEN_MAX: usize = 32_768;

    pub(crate) fn new(calendar: Calendar) -> Self {
        Self { calendar: Arc::new(calendar), entries: Sheets::default(), starts: Sheets::default() }
    }

    /// The calendar.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// What a handle stands for: since when, and what.
    pub fn find(&self, handle: BookingHandle) -> Option<(Minute, Entry)> {
        let start = *self.starts.get(&handle)?;
        Some((start, *self.entries.get(&(start, handle))?))
    }

    /// Everything that stands in the calendar, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (Minute, BookingHandle, Entry)> {
        self.entries.iter().map(|((start, handle), entry)| (*start, *handle, *entry))
    }

    /// How much stands in the calendar.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one more visit fits there for somebody whose clock shows `at`. Buffers add up: what a visit needs after
    /// it ends before what the next one needs before it begins.
    pub fn has_room(&self, start: Minute, end: Minute, at: i64) -> bool {
        let (start, end) = self.with_buffers(start, end);
        let there: Vec<(Minute, Minute)> = self
            .meeting(start, end)
            .filter(|(_, _, entry)| entry.is_live(at))
            .map(|(begun, _, entry)| self.with_buffers(begun, entry.end))
            .collect();
        // The most visits at one moment are found where one of them, or this one, begins.
        let at_once = |moment: Minute| there.iter().filter(|(s, e)| *s <= moment && moment < *e).count();
        let moments = there.iter().map(|(s, _)| *s).filter(|s| *s >= start).chain([start]);
        moments.map(at_once).max().unwrap_or(0) < usize::from(self.calendar.capacity)
    }

    /// What meets a stretch, its own buffers included, whether it still counts or not.
    pub(crate) fn meeting(
        &self,
        start: Minute,
        end: Minute,
    ) -> impl Iterator<Item = (Minute, BookingHandle, Entry)> {
        let nobody = BookingHandle::from_bytes([0; 16]);
        let until = end.plus(u32::from(Calendar::BUFFER_MAX));
        self.entries
            .iter_from(&(start.minus(LONGEST), nobody))
            .take_while(move |(place, _)| **place < (until, nobody))
            .map(|((begun, handle), entry)| (*begun, *handle, *entry))
            .filter(move |(begun, _, entry)| {
                let (s, e) = self.with_buffers(*begun, entry.end);
                s < end && start < e
            })
    }

    pub(crate) fn with_buffers(&self, start: Minute, end: Minute) -> (Minute, Minute) {
        let Calendar { buffer_before, buffer_after, .. } = *self.calendar;
        (start.minus(buffer_before.into()), end.plus(buffer_after.into()))
    }

    pub(crate) fn replace(&mut self, calendar: Calendar) {
        self.calendar = Arc::new(calendar);
    }

    pub(crate) fn insert(&mut self, start: Minute, handle: BookingHandle, entry: Entry) {
        self.entries.insert((start, handle), entry);
        self.starts.insert(handle, start);
    }

    pub(crate) fn remove(&mut self, handle: BookingHandle) -> Option<Entry> {
        let start = self.starts.remove(&handle)?;
        self.entries.remove(&(start, handle))
    }

    pub(crate) fn set(&mut self, handle: BookingHandle, change: impl FnOnce(&mut Entry)) {
        let entry = self.starts.get(&handle).and_then(|start| self.entries.get_mut(&(*start, handle)));
        if let Some(entry) = entry {
            change(entry);
        }
    }

    /// The handles of what ended, or was held, before a minute.
    pub(crate) fn past(&self, before: Minute) -> Vec<BookingHandle> {
        let nobody = BookingHandle::from_bytes([0; 16]);
        let begun = self.entries.iter().take_while(|(place, _)| **place < (before, nobody));
        let ended = begun.filter(|(_, entry)| entry.end <= before);
        let mut past: Vec<BookingHandle> = ended.map(|((_, handle), _)| *handle).collect();
        let lapsed = self.entries.iter_from(&(before, nobody)).filter(|(_, entry)| match entry.state {
            EntryState::Held { until } => Minute::from_seconds(until) < before,
            EntryState::Booked => false,
        });
        past.extend(lapsed.map(|((_, handle), _)| *handle));
        past
    }
}
