//! A segment of which much is dead moves what is of use into memory of exactly that size.

use super::Segment;
use super::marks::Marks;
use super::moves::{Moved, Moves};
use crate::path::queue::log::piece::walk;
use crate::world::SegmentMemory;

impl Segment {
    /// Bytes of records that somebody needs, or that are kept.
    #[inline]
    pub fn bytes_of_use(&self) -> u32 {
        self.live_bytes + self.kept_bytes
    }

    /// Whether a third or more of the memory is dead.
    #[inline]
    pub fn is_sparse(&self) -> bool {
        3 * u64::from(self.bytes_of_use()) < 2 * self.capacity()
    }

    /// Whether a tail is better closed: much of it is of no use, and a quarter is dead already.
    pub fn is_worth_closing(&self) -> bool {
        let dead = u64::from(self.len()) - u64::from(self.bytes_of_use());
        self.is_sparse() && 4 * dead >= self.capacity() && self.live + self.kept > 0
    }

    /// Moves the messages of use into memory of exactly their size, and says how much smaller it
    /// is.
    pub fn compact(&mut self) -> u64 {
        assert!(!self.is_pinned() && self.live + self.kept > 0, "of use, and nobody reads it");
        let from = self.memory.take().expect("a segment in use has memory");
        let mut to = SegmentMemory::new(self.bytes_of_use() as usize);
        self.marks = Marks::default();
        let mut before = std::mem::take(&mut self.moves).into_stretches();
        if before.is_empty() {
            before.push(Moved::new(0, 0, 0));
        }
        let mut moved = Vec::new();
        let ends = before.iter().skip(1).map(|next| next.is_at() as usize).chain([from.len()]);
        for (stretch, end) in before.iter().zip(ends) {
            let (mut at, mut index) = (stretch.is_at() as usize, stretch.first());
            while at < end {
                let (erased, of_use) = self.done.next_of_use(index, self.messages);
                let (count, bytes) = walk(&from.as_slice()[at..end], erased, usize::MAX);
                (at, index) = (at + bytes as usize, index + count);
                let (count, bytes) = walk(&from.as_slice()[at..end], of_use, usize::MAX);
                if count > 0 {
                    let records = &from.as_slice()[at..at + bytes as usize];
                    let is_at = to.append(records).expect("bytes of use were counted") as u32;
                    let was_at = stretch.was_at() + (at as u32 - stretch.is_at());
                    moved.push(Moved::new(was_at, is_at, index));
                }
                (at, index) = (at + bytes as usize, index + count);
            }
        }
        assert!(to.len() == self.bytes_of_use() as usize, "every byte of use moved");
        let saved = (from.capacity() - to.capacity()) as u64;
        self.memory = Some(to);
        self.moves = Moves::new(moved);
        saved
    }
}
