//! The segments of a shard: blocks of memory that records are appended to, and the pool that recycles them.
//!
//! A segment belongs to one queue at a time and holds messages that follow each other. It knows which of them are
//! gone, and is recycled when all are, unless a send still refers to it.
//!
//! ```text
//!   open -> Fresh -> Passed <-> Sparse      Fresh: the cursor is in it or before it
//!             |         |         |         Passed: all its messages were taken or dropped
//!             +---------+---------+         Sparse: passed, and mostly dead: to be compacted
//!                       v                   Limbo: all dead, but a send refers to it
//!           Limbo -> free or given back
//! ```

use super::piece::walk;
use crate::limits::{SEGMENT_BYTES, SEGMENT_POOL_BYTES_MAX};
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
    /// Neighbours in the list of the segment's place: the log, sparse, limbo or free.
    pub previous: u32,
    pub next: u32,
    /// A bit for each message, set when it is gone; missing words are zero.
    gone: Vec<u64>,
    /// Empty until the segment is compacted.
    moved: Vec<Moved>,
}

impl Segment {
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

    /// Appends whole records, or refuses them if they do not fit.
    #[inline]
    pub fn append(&mut self, records: &[u8], count: u32) -> bool {
        let memory = self.memory.as_mut().expect("a segment in use has memory");
        if memory.append(records).is_none() {
            return false;
        }
        self.messages += count;
        self.live += count;
        self.live_bytes += records.len() as u32;
        true
    }

    /// Where the records now lie that were put at `offset`.
    #[inline]
    pub fn locate(&self, offset: u32) -> usize {
        if self.moved.is_empty() {
            return offset as usize;
        }
        let after = self.moved.partition_point(|moved| moved.was_at <= offset);
        let moved = self.moved[after - 1];
        (moved.is_at + (offset - moved.was_at)) as usize
    }

    /// Live records that were put at `offset`, from the first on.
    #[inline]
    pub fn records(&self, offset: u32, bytes: u32) -> &[u8] {
        let start = self.locate(offset);
        &self.bytes()[start..start + bytes as usize]
    }

    /// The offset of a live message, walking from one before it, which may be gone.
    pub fn seek(&self, (sequence, offset): (u64, u32), to: u64) -> u32 {
        let target = (to - self.first_sequence) as u32;
        let (mut index, mut was_at) = ((sequence - self.first_sequence) as u32, offset);
        if !self.moved.is_empty() {
            let after = self.moved.partition_point(|moved| moved.first <= target);
            let moved = self.moved[after - 1];
            if moved.first > index {
                (index, was_at) = (moved.first, moved.was_at);
            }
        }
        was_at + self.span(was_at, target - index)
    }

    /// The bytes of live messages that follow each other.
    pub fn span(&self, offset: u32, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        walk(&self.bytes()[self.locate(offset)..], count, usize::MAX).1
    }

    /// A slice of live records that keeps their memory as it is.
    #[inline]
    pub fn pin(&self, offset: u32, bytes: u32) -> PinnedSlice {
        self.memory().pin(self.locate(offset), bytes as usize)
    }

    /// Marks messages gone. They must have been live.
    #[inline]
    pub fn settle(&mut self, sequence: u64, count: u32, bytes: u32) {
        let first = (sequence - self.first_sequence) as usize;
        assert!(first + count as usize <= self.messages as usize, "messages of this segment");
        let end = first + count as usize;
        let words = end.div_ceil(64);
        if self.gone.len() < words {
            self.gone.resize(words, 0);
        }
        for word in first / 64..words {
            let from = first.max(word * 64) % 64;
            let mask = ones(end.min((word + 1) * 64) - word * 64) & !ones(from);
            debug_assert_eq!(self.gone[word] & mask, 0, "a message goes once");
            self.gone[word] |= mask;
        }
        assert!(count <= self.live && bytes <= self.live_bytes, "no message goes twice");
        self.live -= count;
        self.live_bytes -= bytes;
    }

    /// Whether a third or more of a passed segment's memory is dead.
    #[inline]
    pub fn is_sparse(&self) -> bool {
        3 * u64::from(self.live_bytes) < 2 * self.capacity()
    }

    fn is_gone(&self, index: u32) -> bool {
        let word = self.gone.get(index as usize / 64).copied().unwrap_or(0);
        word >> (index % 64) & 1 == 1
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
                if self.is_gone(index) {
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

/// The lowest `count` bits, up to 64.
#[inline]
fn ones(count: usize) -> u64 {
    if count == 64 { u64::MAX } else { (1 << count) - 1 }
}

/// Every segment of a shard, in use or kept for reuse.
#[derive(Debug)]
pub(super) struct Segments {
    slots: Vec<Segment>,
    /// Free segments with memory of each size, and free slots without memory.
    free: [u32; SEGMENT_BYTES.len()],
    bare: u32,
    pooled_bytes: usize,
}

impl Segments {
    pub fn new() -> Self {
        Self { slots: Vec::new(), free: [NIL; SEGMENT_BYTES.len()], bare: NIL, pooled_bytes: 0 }
    }

    /// An empty segment of one of the sizes, the one that was given back last if there is one.
    #[inline]
    pub fn open(&mut self, size: usize, first_sequence: u64) -> u32 {
        let pooled = self.free[size];
        let slot = if pooled != NIL {
            self.free[size] = self[pooled].next;
            self.pooled_bytes -= SEGMENT_BYTES[size];
            pooled
        } else {
            self.create(size)
        };
        let segment = &mut self[slot];
        segment.first_sequence = first_sequence;
        segment.place = Place::Fresh;
        (segment.previous, segment.next) = (NIL, NIL);
        slot
    }

    #[cold]
    fn create(&mut self, size: usize) -> u32 {
        if self.bare == NIL {
            self.slots.push(Segment {
                memory: None,
                first_sequence: 0,
                messages: 0,
                live: 0,
                live_bytes: 0,
                place: Place::Free,
                previous: NIL,
                next: NIL,
                gone: Vec::new(),
                moved: Vec::new(),
            });
            self.bare = (self.slots.len() - 1) as u32;
        }
        let slot = self.bare;
        self.bare = self[slot].next;
        self[slot].memory = Some(SegmentMemory::new(SEGMENT_BYTES[size]));
        slot
    }

    /// Takes back a segment that nothing refers to. The pool keeps its memory if it has room.
    #[inline]
    pub fn give_back(&mut self, slot: u32) {
        let (kept, free) = (self.pooled_bytes, self.free);
        let segment = &mut self[slot];
        assert!(segment.live == 0 && segment.place != Place::Free, "a segment in use, all dead");
        let memory = segment.memory.as_mut().expect("a segment in use has memory");
        memory.clear();
        segment.place = Place::Free;
        segment.messages = 0;
        segment.gone.clear();
        let capacity = memory.capacity();
        let size = SEGMENT_BYTES.iter().position(|bytes| *bytes == capacity);
        match size.filter(|_| kept + capacity <= SEGMENT_POOL_BYTES_MAX) {
            Some(size) if segment.moved.is_empty() => {
                segment.next = free[size];
                self.free[size] = slot;
                self.pooled_bytes += capacity;
            }
            _ => self.strip(slot),
        }
    }

    /// Takes back a segment of a queue that is deleted: memory that a send refers to is freed after that send.
    pub fn abandon(&mut self, slot: u32) {
        if !self[slot].is_pinned() {
            return self.give_back(slot);
        }
        let segment = &mut self[slot];
        assert!(segment.live == 0, "an abandoned segment is all dead");
        (segment.place, segment.messages) = (Place::Free, 0);
        self.strip(slot);
    }

    /// Gives the memory of a free segment to the allocator and keeps its slot.
    #[cold]
    fn strip(&mut self, slot: u32) {
        let bare = self.bare;
        let segment = &mut self[slot];
        segment.memory = None;
        segment.gone = Vec::new();
        segment.moved = Vec::new();
        segment.next = bare;
        self.bare = slot;
    }
}

impl std::ops::Index<u32> for Segments {
    type Output = Segment;

    #[inline]
    fn index(&self, slot: u32) -> &Segment {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Segments {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Segment {
        &mut self.slots[slot as usize]
    }
}
