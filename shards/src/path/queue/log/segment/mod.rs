//! One segment: memory that records are appended to, and which of its messages are gone.
//!
//! A segment belongs to one queue at a time and holds messages that follow each other. Offsets are
//! where records were put; when a segment is compacted its records move, and `locate` says where
//! to. Runs that were together stay so.

mod compaction;
mod done;
mod find;
mod marks;
mod moves;
mod replay;
mod stamps;

use self::done::Done;
use self::marks::Marks;
use self::moves::Moves;
pub(in crate::path::queue) use self::replay::{Amount, Revival};
use self::stamps::Stamps;
use crate::path::queue::keys::NO_KEY;
use ringway_protocol::Records;

use crate::world::{PinnedSlice, SegmentMemory};

/// Stands for "no segment" in a link.
pub(in crate::path::queue) const NIL: u32 = u32::MAX;

/// Where a segment is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::path::queue) enum Place {
    Free,
    /// In the order of its log.
    Open,
    /// In the order of its log as well, and among those that are worth compacting.
    Sparse,
    /// All of it is gone, but a send refers to it.
    Limbo,
}

/// One segment. Invariant: live counts the messages that are not gone, kept those that are gone and
/// not erased; live + kept <= messages.
#[derive(Debug)]
pub(in crate::path::queue) struct Segment {
    memory: Option<SegmentMemory>,
    pub first_sequence: u64,
    pub messages: u32,
    pub live: u32,
    pub live_bytes: u32,
    pub kept: u32,
    pub kept_bytes: u32,
    /// Live messages that a replay brought back, and how many the log counts.
    pub revived: u32,
    revived_counted: u32,
    pub place: Place,
    /// The slot of its queue.
    pub queue: u32,
    /// What entries of calendars know it by, once there are any.
    pub handle: u32,
    /// Neighbours in its log, in the order of the messages.
    pub before: u32,
    pub after: u32,
    /// Neighbours in the list of the segment's place: sparse, limbo or free.
    pub previous: u32,
    pub next: u32,
    marks: Marks,
    pub(in crate::path::queue) done: Done,
    /// Room that is reused: stretches that a settlement finished.
    finished: Vec<(u32, u32)>,
    stamps: Stamps,
    /// The slot of each message's key; missing ones have none.
    keys: Vec<u32>,
    /// Empty until the segment is compacted.
    moves: Moves,
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
            kept: 0,
            kept_bytes: 0,
            revived: 0,
            revived_counted: 0,
            place: Place::Free,
            queue: NIL,
            handle: NIL,
            before: NIL,
            after: NIL,
            previous: NIL,
            next: NIL,
            marks: Marks::default(),
            done: Done::default(),
            finished: Vec::new(),
            stamps: Stamps::default(),
            keys: Vec::new(),
            moves: Moves::default(),
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
        self.place = Place::Open;
        (self.before, self.after) = (NIL, NIL);
        (self.previous, self.next) = (NIL, NIL);
    }

    /// Forgets the messages, all of which are gone. Panics if a send refers to one.
    #[inline]
    pub fn close(&mut self) {
        assert!(self.live + self.kept == 0 && self.place != Place::Free, "in use, and all dead");
        self.memory.as_mut().expect("a segment in use has memory").clear();
        self.place = Place::Free;
        self.messages = 0;
        self.marks.clear();
        self.done.clear();
        self.stamps.clear();
        self.keys.clear();
    }

    /// Gives the memory to the allocator, which has it after the last send that refers to it.
    pub fn strip(&mut self) {
        assert!(self.live + self.kept == 0, "a segment that is given up is all dead");
        *self = Self::bare();
    }

    /// The slot of a message's key.
    pub fn key_of(&self, sequence: u64) -> u32 {
        self.keys(self.index(sequence), 1).first().copied().unwrap_or(NO_KEY)
    }

    /// Whether its records have moved.
    pub fn is_compacted(&self) -> bool {
        !self.moves.is_empty()
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
    pub fn append(&mut self, records: &[u8], count: u32, groups: u16, now_ms: u64) -> bool {
        let memory = self.memory.as_mut().expect("a segment in use has memory");
        let Some(start) = memory.append(records) else { return false };
        self.note_appended((start + records.len()) as u32, count, groups, now_ms);
        self.live_bytes += records.len() as u32;
        true
    }

    /// The same for a whole batch, whose milestones are known.
    #[inline(always)]
    pub fn append_batch(&mut self, records: &Records<'_>, groups: u16, now_ms: u64) -> bool {
        let (bytes, count) = (records.as_bytes(), records.count());
        let memory = self.memory.as_mut().expect("a segment in use has memory");
        let Some(start) = memory.append(bytes) else { return false };
        for (more, length) in records.milestones().inside(count) {
            self.marks.add(self.messages + more, start as u32 + length);
        }
        self.note_appended((start + bytes.len()) as u32, count, groups, now_ms);
        self.live_bytes += bytes.len() as u32;
        true
    }

    /// So many messages more end at a byte.
    #[inline(always)]
    fn note_appended(&mut self, end: u32, count: u32, groups: u16, now_ms: u64) {
        self.stamps.note(self.messages, now_ms);
        self.messages += count;
        self.done.extend(self.messages, groups);
        self.live += count;
        self.marks.note(self.messages, end);
    }

    /// A slice of live records that keeps their memory as it is.
    #[inline]
    pub fn pin(&self, offset: u32, bytes: u32) -> PinnedSlice {
        self.memory().pin(self.locate(offset), bytes as usize)
    }

    /// Marks messages gone. They must have been live.
    #[inline(always)]
    pub fn settle(&mut self, sequence: u64, count: u32, bytes: u32) {
        let first = self.index(sequence);
        assert!(first + count <= self.messages, "messages of this segment");
        self.done.mark(first, count);
        assert!(count <= self.live && bytes <= self.live_bytes, "no message goes twice");
        self.live -= count;
        self.live_bytes -= bytes;
        if self.revived > 0 {
            self.revived -= self.done.end_revival(first, count);
        }
        if self.done.keeps() {
            self.kept += count;
            self.kept_bytes += bytes;
        }
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

    /// How many of some messages that follow each other were put before this time.
    pub fn put_before(&self, sequence: u64, count: u32, at_ms: u64) -> u32 {
        let since = self.stamps.since(at_ms).unwrap_or(self.messages);
        since.saturating_sub(self.index(sequence)).min(count)
    }

    /// The first message that was put at this time or later.
    pub fn first_since(&self, at_ms: u64) -> Option<u64> {
        self.stamps.since(at_ms).map(|index| self.first_sequence + u64::from(index))
    }
}
