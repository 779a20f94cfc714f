//! When the messages of a segment were put: one stamp for all that came in one millisecond.

/// Messages from `first` on were put so many milliseconds after the segment's first one.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    first: u32,
    after_ms: u32,
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
            Some(last) if self.born_ms + u64::from(last.after_ms) >= now_ms => {}
            Some(_) => {
                let after_ms = u32::try_from(now_ms - self.born_ms).unwrap_or(u32::MAX);
                self.stamps.push(Stamp { first, after_ms });
            }
            None => {
                self.born_ms = now_ms;
                self.stamps.push(Stamp { first, after_ms: 0 });
            }
        }
    }

    /// When the message of an index was put, in milliseconds of the monotonic clock.
    pub fn at_ms(&self, index: u32) -> u64 {
        let after = self.stamps.partition_point(|stamp| stamp.first <= index);
        let stamp = self.stamps[..after].last().map_or(0, |stamp| stamp.after_ms);
        self.born_ms + u64::from(stamp)
    }

    /// The first index that was put at this time or later; `None` if all were before.
    pub fn since(&self, at_ms: u64) -> Option<u32> {
        let before = |stamp: &Stamp| self.born_ms + u64::from(stamp.after_ms) < at_ms;
        let after = self.stamps.partition_point(before);
        self.stamps.get(after).map(|stamp| stamp.first)
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
}
