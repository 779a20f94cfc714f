//! Where in a segment's memory its records lie: found by marks while they lie as they were put, and
//! by a list of stretches once the segment was compacted.

use super::Segment;
use crate::path::queue::piece::walk;
use crate::world::{PinnedSlice, SegmentMemory};

/// Messages that stayed together when their segment was compacted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// Index of the first in the segment.
    first: u32,
    count: u32,
    /// Where it began when it was put, and where it begins now.
    was_at: u32,
    is_at: u32,
}

/// Messages between two marks, at least.
pub(super) const MARK_MESSAGES: u32 = 32;

/// How many messages end at a byte: a take jumps from mark to mark instead of reading every
/// record's length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub messages: u32,
    pub bytes: u32,
}

impl Segment {
    /// How many messages from a fresh one on are within both limits, and their bytes.
    #[inline]
    pub fn within(
        &self,
        (sequence, offset): (u64, u32),
        (messages_max, bytes_max): (u32, u32),
    ) -> (u32, u32) {
        let (mut count, mut bytes) = (0, 0);
        if messages_max >= MARK_MESSAGES {
            let index = (sequence - self.first_sequence) as u32;
            let reach = |mark: &Mark| {
                mark.messages.saturating_sub(index) <= messages_max
                    && mark.bytes.saturating_sub(offset) <= bytes_max
            };
            let after = self.marks.partition_point(reach);
            if let Some(mark) = self.marks[..after].last().filter(|mark| mark.messages > index) {
                (count, bytes) = (mark.messages - index, mark.bytes - offset);
            }
        }
        let rest = &self.bytes()[(offset + bytes) as usize..];
        let more = walk(rest, messages_max - count, (bytes_max - bytes) as usize);
        (count + more.0, bytes + more.1)
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

    /// The offset at which a live message was put; of a message that is gone only if the segment
    /// is not compacted.
    pub fn offset_of(&self, sequence: u64) -> u32 {
        let index = self.index(sequence);
        if self.is_compacted() {
            let after = self.moved.partition_point(|moved| moved.first <= index);
            let moved = self.moved[after - 1];
            return moved.was_at + self.span(moved.was_at, index - moved.first);
        }
        let after = self.marks.partition_point(|mark| mark.messages <= index);
        let (from, offset) =
            self.marks[..after].last().map_or((0, 0), |mark| (mark.messages, mark.bytes));
        offset + self.span(offset, index - from)
    }

    /// Bytes of records that somebody needs, or that are kept.
    #[inline]
    fn bytes_of_use(&self) -> u32 {
        self.live_bytes + self.kept_bytes
    }

    /// Whether a third or more of the memory is dead.
    #[inline]
    pub fn is_sparse(&self) -> bool {
        3 * u64::from(self.bytes_of_use()) < 2 * self.capacity()
    }

    /// Moves the messages of use into memory of exactly their size, and says how much smaller it
    /// is.
    pub fn compact(&mut self) -> u64 {
        assert!(!self.is_pinned() && self.live + self.kept > 0, "of use, and nobody reads it");
        let from = self.memory.take().expect("a segment in use has memory");
        let mut to = SegmentMemory::new(self.bytes_of_use() as usize);
        (self.marks, self.marked) = (Vec::new(), 0);
        let whole = Moved { first: 0, count: self.messages, was_at: 0, is_at: 0 };
        let before = std::mem::take(&mut self.moved);
        let before = if before.is_empty() { vec![whole] } else { before };
        for stretch in before {
            let (mut at, mut joins) = (stretch.is_at as usize, false);
            for index in stretch.first..stretch.first + stretch.count {
                let length = ringway_protocol::record::record_bytes(&from.as_slice()[at..]);
                let record = &from.as_slice()[at..at + length];
                if self.done.is_erased(index) {
                    joins = false;
                } else {
                    let is_at = to.append(record).expect("bytes of use were counted") as u32;
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
        assert!(to.len() == self.bytes_of_use() as usize, "every byte of use moved");
        let saved = (from.capacity() - to.capacity()) as u64;
        self.memory = Some(to);
        saved
    }
}
