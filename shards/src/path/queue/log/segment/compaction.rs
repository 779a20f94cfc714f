//! A segment of which much is dead moves what is of use into memory of exactly that size.

use super::Segment;
use super::marks::Marks;
use crate::world::SegmentMemory;

/// Messages that stayed together when their segment was compacted.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Index of the first in the segment.
    pub first: u32,
    pub count: u32,
    /// Where it began when it was put, and where it begins now.
    pub was_at: u32,
    pub is_at: u32,
}

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
