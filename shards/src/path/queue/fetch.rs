//! Brings what many messages need into the cache, all at once.
//!
//! Messages that become due together lie anywhere in memory, and in a segment that was compacted a
//! record is found by a search. One after the other, each step of each search would wait for
//! memory; here all searches go down one step at a time, so that their waits overlap.

use super::segments::Segments;

/// Messages that are looked for at once: enough that waits overlap, few enough that what was
/// fetched is still there when it is used.
pub(super) const TOGETHER: usize = 64;

/// A search for the stretch of a compacted segment in which a record lies.
#[derive(Clone, Copy, Debug)]
struct Search {
    segment: u32,
    offset: u32,
    /// It is one of so many from this one on.
    first: u32,
    left: u32,
}

/// Messages that become due together, and room for looking for them.
#[derive(Debug, Default)]
pub(super) struct Together {
    pub places: Vec<u64>,
    searches: Vec<Search>,
}

impl Together {
    /// Has the memory fetched in which the records are. What it finds is not kept: by the time a
    /// message's turn comes its segment may have been compacted.
    pub fn fetch(&mut self, segments: &Segments) {
        let Self { places, searches } = self;
        searches.clear();
        searches.extend(places.iter().filter_map(|place| segments.spot(*place)).map(|spot| {
            let left = segments[spot.segment].stretches();
            Search { segment: spot.segment, offset: spot.offset, first: 0, left }
        }));
        let mut deepest = searches.iter().map(|search| search.left).max().unwrap_or(0);
        while deepest > 1 {
            for Search { segment, offset, first, left } in searches.iter_mut() {
                let half = *left / 2;
                let is_beyond = half > 0 && segments[*segment].begins(*first + half) <= *offset;
                *first += if is_beyond { half } else { 0 };
                *left -= half;
            }
            deepest -= deepest / 2;
        }
        let touch = |search: &Search| segments[search.segment].touch(search.offset, search.first);
        std::hint::black_box(searches.iter().fold(0, |bytes, search| bytes ^ touch(search)));
    }
}
