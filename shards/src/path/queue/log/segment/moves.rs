//! Where the records of a compacted segment went.
//!
//! A record is looked up whenever its message is due, expires or is delivered again, and mostly it
//! has not been read for long: each step of a search would wait for memory. So a stretch of records
//! takes eight bytes, and a guide says for each part of the old memory which stretches begin there:
//! a few of them, mostly in one cache line.

use ringway_protocol::record::RECORD_HEADER_BYTES;

use crate::limits::SEGMENT_BYTES;
use crate::world::prefetch;

/// Stretches for each entry of the guide, about.
const STRETCHES_A_PART: usize = 4;
/// Bits of a place in a segment, and of a message's index in it.
const PLACE_BITS: u32 = 20;
const INDEX_BITS: u32 = 64 - 2 * PLACE_BITS;

const _: () = assert!(
    SEGMENT_BYTES[2] <= 1 << PLACE_BITS
        && SEGMENT_BYTES[2] / RECORD_HEADER_BYTES <= 1 << INDEX_BITS,
    "where a record was and is, and its index, fit a word"
);

/// Messages that stayed together when their segment was compacted: where the first began when it
/// was put, where it begins now, and its index. They end where the next stretch begins.
#[derive(Clone, Copy, Debug)]
pub struct Moved(u64);

impl Moved {
    pub fn new(was_at: u32, is_at: u32, first: u32) -> Self {
        let places = u64::from(was_at) << PLACE_BITS | u64::from(is_at);
        Self(places << INDEX_BITS | u64::from(first))
    }

    #[inline]
    pub fn was_at(self) -> u32 {
        (self.0 >> (PLACE_BITS + INDEX_BITS)) as u32
    }

    #[inline]
    pub fn is_at(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & ((1 << PLACE_BITS) - 1)
    }

    #[inline]
    pub fn first(self) -> u32 {
        self.0 as u32 & ((1 << INDEX_BITS) - 1)
    }
}

/// The stretches of a compacted segment in their order; none if it is not compacted.
///
/// Invariant: `guide[part]` is the last stretch that began at or before `part << shift`, or the
/// first stretch.
#[derive(Debug, Default)]
pub struct Moves {
    stretches: Vec<Moved>,
    guide: Vec<u32>,
    shift: u32,
}

impl Moves {
    /// Of these stretches, at least one.
    pub fn new(mut stretches: Vec<Moved>) -> Self {
        stretches.shrink_to_fit();
        let last = stretches.last().expect("something of use was moved").was_at();
        let mut shift = 0;
        while (last >> shift) as usize > stretches.len() / STRETCHES_A_PART {
            shift += 1;
        }
        let mut guide = Vec::with_capacity((last >> shift) as usize + 1);
        for (index, moved) in stretches.iter().enumerate() {
            // Of parts that no stretch begins in, the last one before them.
            while (guide.len() as u32) << shift < moved.was_at() {
                guide.push(index.saturating_sub(1) as u32);
            }
            if (guide.len() as u32) << shift == moved.was_at() {
                guide.push(index as u32);
            }
        }
        Self { stretches, guide, shift }
    }

    /// Whether nothing was moved.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// All of them.
    pub fn into_stretches(self) -> Vec<Moved> {
        self.stretches
    }

    /// The stretch of a message of use, by its index.
    pub fn of_index(&self, index: u32) -> Moved {
        let after = self.stretches.partition_point(|moved| moved.first() <= index);
        self.stretches[after - 1]
    }

    /// The stretch of a record of use, by where it was put.
    #[inline]
    pub fn of_offset(&self, offset: u32) -> Moved {
        let near = self.near(offset);
        near[near.partition_point(|moved| moved.was_at() <= offset) - 1]
    }

    /// A few stretches among which the one of an offset is; none if nothing was moved.
    #[inline]
    fn near(&self, offset: u32) -> &[Moved] {
        if self.is_empty() {
            return &[];
        }
        let part = ((offset >> self.shift) as usize).min(self.guide.len() - 1);
        let last = self.guide.get(part + 1).map_or(self.stretches.len() - 1, |at| *at as usize);
        &self.stretches[self.guide[part] as usize..=last]
    }

    /// Asks for what says where the stretch of an offset is to be looked for.
    #[inline]
    pub fn prefetch_guide(&self, offset: u32) {
        if let Some(at) = self.guide.get((offset >> self.shift) as usize) {
            prefetch(at);
        }
    }

    /// Asks for the stretches there.
    #[inline]
    pub fn prefetch_near(&self, offset: u32) {
        if let [first, .., last] = self.near(offset) {
            prefetch(first);
            prefetch(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each record's stretch is the last one that began at or before it, whatever the guide says.
    fn check(stretches: &[(u32, u32)]) {
        let moved = |(at, length): &(u32, u32)| Moved::new(*at, at / 2, at / 8 + length % 8);
        let moves = Moves::new(stretches.iter().map(moved).collect());
        for (at, length) in stretches {
            for offset in [*at, at + length / 2, at + length - 1] {
                let found = moves.of_offset(offset);
                assert_eq!((found.was_at(), found.is_at()), (*at, at / 2), "of {offset}");
                assert_eq!(found.first(), at / 8 + length % 8);
            }
            moves.prefetch_guide(*at);
            moves.prefetch_near(*at);
        }
    }

    #[test]
    fn a_record_is_found_in_its_stretch() {
        check(&[(0, 1)]);
        check(&[((1 << PLACE_BITS) - 8, 8)]);
        check(&[(8, 8), (1 << 19, 1 << 19)]);
        let dense: Vec<_> = (0..10_000).map(|number| (number * 100, 50 + number % 50)).collect();
        check(&dense);
        let growing: Vec<_> = (0..20).map(|number| ((1_u32 << number) - 1, 1)).collect();
        check(&growing);
        let late: Vec<_> = (0..500).map(|number| (1_000_000 + number * 90, 80)).collect();
        check(&late);
    }
}
