//! Where the messages of a segment lie: by sequence, by offset, by how many fit a limit.

use super::Segment;
use super::compaction::Moved;
use crate::path::queue::log::piece::walk;

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
        if self.moved.is_empty() {
            return offset as usize;
        }
        let after = self.moved.partition_point(|moved| moved.was_at <= offset);
        let moved = self.moved[after - 1];
        (moved.is_at + (offset - moved.was_at)) as usize
    }

    /// The stretches of messages that stayed together when they were moved; none if none was.
    #[inline]
    pub fn moved(&self) -> &[Moved] {
        &self.moved
    }

    /// Reads of the record that was put at an offset, and lies in this stretch if any was moved.
    #[inline]
    pub fn touch(&self, offset: u32, stretch: Option<&Moved>) -> u8 {
        let at = stretch.map_or(offset, |moved| moved.is_at + (offset - moved.was_at)) as usize;
        let bytes = self.bytes();
        // Most records take more than one cache line.
        bytes[at] ^ bytes[(at + 64).min(bytes.len() - 1)]
    }

    /// The live record that was put at an offset.
    #[inline]
    pub fn record(&self, offset: u32) -> &[u8] {
        let rest = &self.bytes()[self.locate(offset)..];
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
        let known = match self.moved.is_empty() {
            true => self.marks.before(target),
            false => {
                let after = self.moved.partition_point(|moved| moved.first <= target);
                let moved = self.moved[after - 1];
                (moved.first, moved.was_at)
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
        if self.moved.is_empty() {
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
            let after = self.moved.partition_point(|moved| moved.first <= index);
            let moved = self.moved[after - 1];
            return moved.was_at + self.span(moved.was_at, index - moved.first);
        }
        let (from, offset) = self.marks.before(index);
        offset + self.span(offset, index - from)
    }
}
