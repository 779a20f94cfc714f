//! Where the messages of a segment lie: by sequence, by offset, by how many fit a limit.

use super::Segment;
use crate::path::queue::log::piece::walk;
use crate::world::{prefetch, prefetch_all};

impl Segment {
    /// How many messages from a fresh one on are within both limits, and their bytes.
    #[inline]
    pub fn within(
        &self,
        (sequence, offset): (u64, u32),
        (messages_max, bytes_max): (u32, u32),
    ) -> (u32, u32) {
        let from = (self.index(sequence), offset);
        let (count, bytes) = self.marks.reach(from, (messages_max, bytes_max));
        let rest = &self.bytes()[(offset + bytes) as usize..];
        let more = walk(rest, messages_max - count, (bytes_max - bytes) as usize);
        (count + more.0, bytes + more.1)
    }

    /// Where the records now lie that were put at `offset`.
    #[inline]
    pub fn locate(&self, offset: u32) -> usize {
        if self.moves.is_empty() {
            return offset as usize;
        }
        let moved = self.moves.of_offset(offset);
        (moved.is_at() + (offset - moved.was_at())) as usize
    }

    /// Asks for the segment itself: the first of three steps to a record that nobody has read for
    /// long.
    #[inline]
    pub fn prefetch(&self) {
        prefetch(&self.memory);
        prefetch(&self.done);
        prefetch(&self.moves);
    }

    /// Asks for the whole segment but its memory.
    #[inline]
    pub fn prefetch_whole(&self) {
        prefetch_all(self);
    }

    /// Asks for the place of the next record.
    #[inline]
    pub fn prefetch_end(&self) {
        self.memory().prefetch_end();
    }

    /// Asks for what says whether a message is gone, and where to look for its record.
    #[inline]
    pub fn prefetch_guides(&self, index: u32, offset: u32) {
        self.done.prefetch(index);
        self.moves.prefetch_guide(offset);
    }

    /// Asks for what says where a record is now.
    #[inline]
    pub fn prefetch_way(&self, offset: u32) {
        self.moves.prefetch_near(offset);
    }

    /// The live record that was put at an offset, and what follows it.
    #[inline]
    pub fn from(&self, offset: u32) -> &[u8] {
        &self.bytes()[self.locate(offset)..]
    }

    /// The live record that was put at an offset.
    #[inline]
    pub fn record(&self, offset: u32) -> &[u8] {
        let rest = self.from(offset);
        &rest[..ringway_protocol::record::record_bytes(rest)]
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
        let (mut index, mut was_at) = (self.index(sequence), offset);
        let known = match self.moves.is_empty() {
            true => self.marks.before(target),
            false => {
                let moved = self.moves.of_index(target);
                (moved.first(), moved.was_at())
            }
        };
        if known.0 > index {
            (index, was_at) = known;
        }
        was_at + self.span(was_at, target - index)
    }

    /// The bytes of live messages that follow each other from one on, whose offset is known.
    #[inline]
    pub fn span_from(&self, (sequence, offset): (u64, u32), count: u32) -> u32 {
        let to = sequence + u64::from(count);
        if self.moves.is_empty() {
            self.seek((sequence, offset), to) - offset
        } else {
            self.span(offset, count)
        }
    }

    /// The bytes of live messages that follow each other.
    pub fn span(&self, offset: u32, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        walk(&self.bytes()[self.locate(offset)..], count, usize::MAX).1
    }

    /// The offset at which a live message was put; of a message that is gone only if the segment
    /// is not compacted.
    pub fn offset_of(&self, sequence: u64) -> u32 {
        let index = self.index(sequence);
        if self.is_compacted() {
            let moved = self.moves.of_index(index);
            return moved.was_at() + self.span(moved.was_at(), index - moved.first());
        }
        let (from, offset) = self.marks.before(index);
        offset + self.span(offset, index - from)
    }
}
