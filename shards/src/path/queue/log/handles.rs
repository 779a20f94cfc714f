//! What entries of calendars know a segment by, so that they need not be found when it is emptied.
//!
//! An entry of a calendar may outlive its message by a hundred years. So it does not name the
//! segment, which is used again at once, but a handle: that stays until the last entry is over
//! which refers to it, and says meanwhile which segment it was, or that this is closed. A segment
//! has a handle once an entry refers to one of its messages.
//!
//! Dead entries are counted here, those of which no message can be left: of a closed segment all,
//! of another those that it has more than messages. Where they are more than the others, the
//! calendars are swept (see `schedule`), so that they and this table stay in proportion to what is
//! held: at most twelve bytes an entry here, and mostly twelve a segment.

use super::segment::{NIL, Segment};
use super::segments::Segments;
use crate::path::queue::time::schedule::{HANDLES_MAX, Spot};

/// Closed segments whose handles stay, before calendars are swept whatever else they hold.
const CLOSED_MAX: u32 = 1 << 22;

const _: () = assert!(CLOSED_MAX < HANDLES_MAX / 4, "a sweep ends before handles run out");

#[derive(Clone, Copy, Debug)]
struct Handle {
    /// `NIL` once it is closed. Of a free handle the next free one.
    segment: u32,
    /// Entries that refer to it, and how many of them are known to be dead.
    entries: u32,
    dead: u32,
}

/// The handles of a shard's segments.
///
/// Invariant: `dead` is the sum over the handles in use; `closed` counts those without a segment.
#[derive(Debug)]
pub(in crate::path::queue) struct Handles {
    all: Vec<Handle>,
    free: u32,
    used: u32,
    closed: u32,
    dead: u64,
}

impl Handles {
    pub fn new() -> Self {
        Self { all: Vec::new(), free: NIL, used: 0, closed: 0, dead: 0 }
    }

    fn create(&mut self, segment: u32) -> u32 {
        let new = Handle { segment, entries: 0, dead: 0 };
        self.used += 1;
        if self.free == NIL {
            self.all.push(new);
            return (self.all.len() - 1) as u32;
        }
        let handle = self.free;
        self.free = std::mem::replace(&mut self.all[handle as usize], new).segment;
        handle
    }

    /// Nothing refers to a handle of a closed segment any more.
    fn end(&mut self, handle: u32) {
        self.closed -= 1;
        self.used -= 1;
        self.all[handle as usize].segment = std::mem::replace(&mut self.free, handle);
        if self.used == 0 {
            *self = Self::new();
        }
    }

    /// Counts the dead entries of a handle anew.
    fn count(&mut self, handle: u32, dead: u32) {
        let before = std::mem::replace(&mut self.all[handle as usize].dead, dead);
        self.dead = self.dead - u64::from(before) + u64::from(dead);
    }

    /// Entries that are known to be dead.
    pub fn dead(&self) -> u64 {
        self.dead
    }

    /// Whether there are so many closed segments that calendars are swept for their sake.
    pub fn are_too_many(&self) -> bool {
        self.closed > CLOSED_MAX
    }
}

/// How many entries a segment has more than messages.
fn dead_of(segment: &Segment, entries: u32) -> u32 {
    entries.saturating_sub(segment.live + segment.kept)
}

impl Segments {
    /// The place of a message for one entry of a calendar.
    pub fn note_entry(&mut self, spot: Spot) -> u64 {
        let segment = &mut self[spot.segment];
        let mut handle = segment.handle;
        if handle == NIL {
            handle = self.handles.create(spot.segment);
            self[spot.segment].handle = handle;
        }
        self.handles.all[handle as usize].entries += 1;
        spot.pack(handle)
    }

    /// An entry of a calendar is over.
    pub fn entry_ended(&mut self, place: u64) {
        let (handle, _) = Spot::unpack(place);
        let known = &mut self.handles.all[handle as usize];
        known.entries -= 1;
        let Handle { segment, entries, .. } = *known;
        if segment != NIL {
            let dead = dead_of(&self[segment], entries);
            return self.handles.count(handle, dead);
        }
        self.handles.count(handle, entries);
        if entries == 0 {
            self.handles.end(handle);
        }
    }

    /// Where the message of an entry lies, if some group needs it or it is scheduled.
    pub fn spot(&self, place: u64) -> Option<Spot> {
        let spot = self.place(place)?;
        (!self[spot.segment].done.is_gone(spot.index)).then_some(spot)
    }

    /// Whether the message of an entry is held, or may come back for a new group.
    pub fn holds(&self, place: u64) -> bool {
        let spot = self.place(place);
        spot.is_some_and(|spot| !self[spot.segment].done.is_erased(spot.index))
    }

    /// Where the message of an entry was put, if its segment was not closed since.
    pub fn place(&self, place: u64) -> Option<Spot> {
        let (handle, spot) = Spot::unpack(place);
        let segment = self.handles.all[handle as usize].segment;
        (segment != NIL).then_some(Spot { segment, ..spot })
    }

    /// Some of a segment is gone that entries refer to.
    #[cold]
    pub fn count_dead(&mut self, slot: u32) {
        let segment = &self[slot];
        let handle = segment.handle;
        let dead = dead_of(segment, self.handles.all[handle as usize].entries);
        self.handles.count(handle, dead);
    }

    /// A segment is closed that entries refer to.
    #[cold]
    pub(super) fn close_handle(&mut self, slot: u32) {
        let handle = std::mem::replace(&mut self[slot].handle, NIL);
        let known = &mut self.handles.all[handle as usize];
        known.segment = NIL;
        let entries = known.entries;
        self.handles.closed += 1;
        self.handles.count(handle, entries);
        if entries == 0 {
            self.handles.end(handle);
        }
    }
}
