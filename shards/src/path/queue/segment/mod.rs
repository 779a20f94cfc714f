//! One segment: memory that records are appended to, and which of its messages are gone.
//!
//! A segment belongs to one queue at a time and holds messages that follow each other. Offsets are
//! where records were put; when a segment is compacted its records move, and `locate` says where
//! to. Runs that were together stay so.

mod done;
mod find;
mod marks;
mod stamps;

use self::done::Done;
use self::marks::Marks;
use self::stamps::Stamps;
use super::keys::NO_KEY;
use ringway_protocol::Records;

use crate::world::{PinnedSlice, SegmentMemory};

/// Stands for "no segment" in a link.
pub(super) const NIL: u32 = u32::MAX;

/// Where a segment is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Free,
    Fresh,
    Passed,
    Sparse,
    Limbo,
    /// Without memory: entries of a calendar still refer to it.
    Ghost,
}

/// Messages that stayed together when their segment was compacted.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// Index of the first in the segment.
    first: u32,
    count: u32,
    /// Where it began when it was put, and where it begins now.
    was_at: u32,
    is_at: u32,
}

/// One segment. Invariant: live <= messages, and live counts the messages that are not marked gone.
#[derive(Debug)]
pub(super) struct Segment {
    memory: Option<SegmentMemory>,
    pub first_sequence: u64,
    pub messages: u32,
    pub live: u32,
    pub live_bytes: u32,
    pub place: Place,
    /// The slot of its queue.
    pub queue: u32,
    /// Entries of calendars that refer to it: its slot is not used again before they are over.
    pub timers: u32,
    /// Groups whose cursor is in it or before it.
    pub ahead: u32,
    /// Neighbours in its log, in the order of the messages.
    pub before: u32,
    pub after: u32,
    /// Neighbours in the list of the segment's place: sparse, limbo or free.
    pub previous: u32,
    pub next: u32,
    marks: Marks,
    pub(super) done: Done,
    /// Room that is reused: stretches that a settlement finished.
    finished: Vec<(u32, u32)>,
    stamps: Stamps,
    /// The slot of each message's key; missing ones have none.
    keys: Vec<u32>,
    /// Empty until the segment is compacted.
    moved: Vec<Moved>,
}

impl Segment {
    /// A slot without memory.
    pub fn bare() -> Self {
        Self {
            memory: None,
            first_sequence: 0,
            messages: 0,
            live: 0,
            live_bytes: 0,
            place: Place::Free,
            queue: NIL,
            timers: 0,
            ahead: 0,
            before: NIL,
            after: NIL,
            previous: NIL,
            next: NIL,
            marks: Marks::default(),
            done: Done::default(),
            finished: Vec::new(),
            stamps: Stamps::default(),
            keys: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Gives a bare slot its memory.
    pub fn fill(&mut self, memory: SegmentMemory) {
        assert!(self.memory.is_none(), "a slot has one memory");
        self.memory = Some(memory);
    }

    /// Begins with the message of this sequence, for a queue.
    #[inline]
    pub fn open(&mut self, queue: u32, first_sequence: u64) {
        debug_assert!(self.place == Place::Free && self.messages == 0);
        self.queue = queue;
        self.first_sequence = first_sequence;
        self.place = Place::Fresh;
        self.ahead = 0;
        (self.before, self.after) = (NIL, NIL);
        (self.previous, self.next) = (NIL, NIL);
    }

    /// Forgets the messages, all of which are gone. Panics if a send refers to one.
    #[inline]
    pub fn close(&mut self) {
        assert!(self.live == 0 && self.place != Place::Free, "a segment in use, all dead");
        self.memory.as_mut().expect("a segment in use has memory").clear();
        self.place = Place::Free;
        self.messages = 0;
        self.marks.clear();
        self.done.clear();
        self.stamps.clear();
        self.keys.clear();
    }

    /// Gives the memory to the allocator, which has it after the last send that refers to it. Says
    /// whether the slot can be used again: not while calendars refer to it.
    pub fn strip(&mut self) -> bool {
        assert!(self.live == 0, "a segment that is given up is all dead");
        let timers = self.timers;
        let place = if timers > 0 { Place::Ghost } else { Place::Free };
        *self = Self { place, timers, ..Self::bare() };
        timers == 0
    }

    /// Whether the message at a position is held.
    pub fn holds(&self, index: u32) -> bool {
        !matches!(self.place, Place::Ghost | Place::Free)
            && index < self.messages
            && !self.done.is_gone(index)
    }

    /// The slot of a message's key.
    pub fn key_of(&self, sequence: u64) -> u32 {
        self.keys(self.index(sequence), 1).first().copied().unwrap_or(NO_KEY)
    }

    /// Whether its records have moved.
    pub fn is_compacted(&self) -> bool {
        !self.moved.is_empty()
    }

    #[inline]
    fn memory(&self) -> &SegmentMemory {
        self.memory.as_ref().expect("a segment in use has memory")
    }

    #[inline]
    pub fn capacity(&self) -> u64 {
        self.memory().capacity() as u64
    }

    /// Bytes appended, dead ones included.
    #[inline]
    pub fn len(&self) -> u32 {
        self.memory().len() as u32
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.memory().as_slice()
    }

    #[inline]
    pub fn is_pinned(&self) -> bool {
        self.memory().is_pinned()
    }

    /// The sequence after the last message.
    #[inline]
    pub fn end(&self) -> u64 {
        self.first_sequence + u64::from(self.messages)
    }

    /// Appends whole records that so many groups need, or refuses them if they do not fit.
    #[inline]
    pub fn append(&mut self, records: &[u8], count: u32, groups: u16, now_ms: u64) -> bool {
        let memory = self.memory.as_mut().expect("a segment in use has memory");
        if memory.append(records).is_none() {
            return false;
        }
        self.stamps.note(self.messages, now_ms);
        self.messages += count;
        self.done.extend(self.messages, groups);
        self.live += count;
        self.live_bytes += records.len() as u32;
        self.marks.note(self.messages, self.len());
        true
    }

    /// The same for a whole batch, whose milestones are known.
    #[inline]
    pub fn append_batch(&mut self, records: &Records<'_>, groups: u16, now_ms: u64) -> bool {
        let (messages, bytes) = (self.messages, self.len());
        if self.memory().capacity() - (bytes as usize) < records.as_bytes().len() {
            return false;
        }
        for (more, length) in records.milestones().inside(records.count()) {
            self.marks.add(messages + more, bytes + length);
        }
        self.append(records.as_bytes(), records.count(), groups, now_ms)
    }

    /// A slice of live records that keeps their memory as it is.
    #[inline]
    pub fn pin(&self, offset: u32, bytes: u32) -> PinnedSlice {
        self.memory().pin(self.locate(offset), bytes as usize)
    }

    /// Marks messages gone. They must have been live.
    #[inline]
    pub fn settle(&mut self, sequence: u64, count: u32, bytes: u32) {
        let first = self.index(sequence);
        assert!(first + count <= self.messages, "messages of this segment");
        self.done.mark(first, count);
        assert!(count <= self.live && bytes <= self.live_bytes, "no message goes twice");
        self.live -= count;
        self.live_bytes -= bytes;
    }

    /// One of several groups is done with live messages that lie together: those that no other
    /// group needs are gone. Returns how many, and their bytes.
    pub fn finish(&mut self, (sequence, offset): (u64, u32), count: u32, bytes: u32) -> (u32, u32) {
        let first = self.index(sequence);
        let mut stretches = std::mem::take(&mut self.finished);
        self.done.finish(first, count, |first, count| stretches.push((first, count)));
        let (mut gone, mut gone_bytes) = (0, 0);
        let mut known = (sequence, offset);
        for (index, here) in stretches.drain(..) {
            let at = self.first_sequence + u64::from(index);
            let offset = self.seek(known, at);
            let length = if here == count { bytes } else { self.span_from((at, offset), here) };
            known = (at, offset);
            self.settle(at, here, length);
            (gone, gone_bytes) = (gone + here, gone_bytes + length);
        }
        self.finished = stretches;
        (gone, gone_bytes)
    }

    /// The position of a message of this segment.
    #[inline]
    pub fn index(&self, sequence: u64) -> u32 {
        (sequence - self.first_sequence) as u32
    }

    /// Whether a message is gone.
    pub fn is_gone(&self, sequence: u64) -> bool {
        self.done.is_gone(self.index(sequence))
    }

    /// How many messages from an index on are not gone.
    pub fn live_from(&self, index: u32) -> u32 {
        if index == 0 {
            return self.live;
        }
        let (mut at, mut live) = (index, 0);
        while at < self.messages {
            let run = self.done.alike(at, self.messages, false);
            live += run;
            at += run;
            at += self.done.alike(at, self.messages, true);
        }
        live
    }

    /// The slots of the keys of messages; shorter if the last ones have none.
    #[inline]
    pub fn keys(&self, from: u32, count: u32) -> &[u32] {
        let end = self.keys.len().min((from + count) as usize);
        self.keys.get(from as usize..end).unwrap_or(&[])
    }

    /// Notes the slots of the keys of the newest messages.
    pub fn label(&mut self, slots: &[u32]) {
        let from = self.messages as usize - slots.len();
        self.keys.resize(from, NO_KEY);
        self.keys.extend_from_slice(slots);
    }

    /// When a message was put, in milliseconds of the monotonic clock.
    pub fn put_at_ms(&self, sequence: u64) -> u64 {
        self.stamps.at_ms(self.index(sequence))
    }

    /// The first message that was put at this time or later.
    pub fn first_since(&self, at_ms: u64) -> Option<u64> {
        self.stamps.since(at_ms).map(|index| self.first_sequence + u64::from(index))
    }

    /// Whether a third or more of a passed segment's memory is dead.
    #[inline]
    pub fn is_sparse(&self) -> bool {
        3 * u64::from(self.live_bytes) < 2 * self.capacity()
    }

    /// Moves the live messages into memory of exactly their size, and says how much smaller it is.
    pub fn compact(&mut self) -> u64 {
        assert!(!self.is_pinned() && self.live > 0, "only live segments that nobody reads");
        let from = self.memory.take().expect("a segment in use has memory");
        let mut to = SegmentMemory::new(self.live_bytes as usize);
        let whole = Moved { first: 0, count: self.messages, was_at: 0, is_at: 0 };
        let before = std::mem::take(&mut self.moved);
        let before = if before.is_empty() { vec![whole] } else { before };
        for stretch in before {
            let (mut at, mut joins) = (stretch.is_at as usize, false);
            for index in stretch.first..stretch.first + stretch.count {
                let length = ringway_protocol::record::record_bytes(&from.as_slice()[at..]);
                let record = &from.as_slice()[at..at + length];
                if self.done.is_gone(index) {
                    joins = false;
                } else {
                    let is_at = to.append(record).expect("live bytes were counted") as u32;
                    match self.moved.last_mut().filter(|_| joins) {
                        Some(last) => last.count += 1,
                        None => {
                            let was_at = stretch.was_at + (at - stretch.is_at as usize) as u32;
                            self.moved.push(Moved { first: index, count: 1, was_at, is_at });
                        }
                    }
                    joins = true;
                }
                at += length;
            }
        }
        assert!(to.len() == self.live_bytes as usize, "every live byte moved");
        let saved = (from.capacity() - to.capacity()) as u64;
        self.memory = Some(to);
        saved
    }
}
