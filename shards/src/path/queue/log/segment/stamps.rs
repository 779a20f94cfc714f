//! When the messages of a segment were put: one stamp for all that came in one millisecond.

use crate::limits::SEGMENT_BYTES;

/// Bits of a message's index in its segment.
const FIRST_BITS: u32 = 20;

const _: () = assert!(SEGMENT_BYTES[2] <= 1 << FIRST_BITS, "an index fits its bits");

/// Messages from `first` on were put `after_ms` milliseconds after the segment's first one: 20 bits
/// and 44, which are 557 years. A segment may be the tail of its log for as long as it is held.
#[derive(Clone, Copy, Debug)]
struct Stamp(u64);

impl Stamp {
    fn new(first: u32, after_ms: u64) -> Self {
        Self(after_ms << FIRST_BITS | u64::from(first))
    }

    fn first(self) -> u32 {
        (self.0 & ((1 << FIRST_BITS) - 1)) as u32
    }

    fn after_ms(self) -> u64 {
        self.0 >> FIRST_BITS
    }
}

/// The times of one segment's messages, on the monotonic clock.
#[derive(Debug, Default)]
pub struct Stamps {
    born_ms: u64,
    stamps: Vec<Stamp>,
}

impl Stamps {
    /// Forgets everything and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.stamps.clear();
    }

    /// Notes that the message of this index comes now.
    #[inline]
    pub fn note(&mut self, first: u32, now_ms: u64) {
        match self.stamps.last() {
            Some(last) if self.born_ms + last.after_ms() >= now_ms => {}
            Some(_) => self.stamps.push(Stamp::new(first, now_ms - self.born_ms)),
            None => {
                self.born_ms = now_ms;
                self.stamps.push(Stamp::new(first, 0));
            }
        }
    }

    /// When the message of an index was put, in milliseconds of the monotonic clock.
    pub fn at_ms(&self, index: u32) -> u64 {
        let after = self.stamps.partition_point(|stamp| stamp.first() <= index);
        self.born_ms + self.stamps[..after].last().map_or(0, |stamp| stamp.after_ms())
    }

    /// The first index that was put at this time or later; `None` if all were before.
    pub fn since(&self, at_ms: u64) -> Option<u32> {
        let before = |stamp: &Stamp| self.born_ms + stamp.after_ms() < at_ms;
        let after = self.stamps.partition_point(before);
        self.stamps.get(after).map(|stamp| stamp.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_by_index_and_indices_by_time() {
        let mut stamps = Stamps::default();
        for (first, now_ms) in [(0, 1000), (5, 1000), (6, 1003), (9, 1001), (10, 1010)] {
            stamps.note(first, now_ms);
        }
        let at: Vec<_> = [0, 5, 6, 9, 10, 99].map(|index| stamps.at_ms(index)).into();
        assert_eq!(at, [1000, 1000, 1003, 1003, 1010, 1010]);
        let since: Vec<_> = [0, 1000, 1001, 1004, 1011].map(|ms| stamps.since(ms)).into();
        assert_eq!(since, [Some(0), Some(0), Some(6), Some(10), None]);
    }

    #[test]
    fn a_segment_may_be_older_than_49_days() {
        let (mut stamps, century_ms) = (Stamps::default(), 3_155_760_000_000);
        stamps.note(0, 1_000);
        stamps.note((1 << FIRST_BITS) - 2, century_ms);
        stamps.note((1 << FIRST_BITS) - 1, century_ms + 1);
        let at = [0, (1 << FIRST_BITS) - 2, (1 << FIRST_BITS) - 1].map(|index| stamps.at_ms(index));
        assert_eq!(at, [1_000, century_ms, century_ms + 1]);
        assert_eq!(stamps.since(century_ms + 1), Some((1 << FIRST_BITS) - 1));
    }
}
