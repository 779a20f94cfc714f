//! Brings what many messages need into the cache, all at once.
//!
//! Messages that become due together lie anywhere in memory, and in a segment that was compacted a
//! record is found by a search. One after the other, each step of each search would wait for
//! memory; here all searches go down one step at a time, so that their waits overlap.

use super::segment::{Moved, Segment};
use super::segments::Segments;

/// Messages that are looked for at once: enough that waits overlap, few enough that what was
/// fetched is still there when it is used.
pub(in crate::path::queue) const TOGETHER: usize = 64;

/// A search for the stretch of a segment in which the record lies that was put at an offset.
#[derive(Clone, Copy)]
struct Search<'a> {
    segment: &'a Segment,
    /// It is one of these; none if the segment was not compacted.
    among: &'a [Moved],
    offset: u32,
}

impl Search<'_> {
    fn go_down(&mut self) {
        let (before, after) = self.among.split_at(self.among.len() / 2);
        let is_after = after.first().is_some_and(|moved| moved.was_at <= self.offset);
        self.among = if is_after || before.is_empty() { after } else { before };
    }
}

/// Has the memory fetched in which the records of messages are, at most [`TOGETHER`] of them. What
/// it finds is not kept: by the time a message's turn comes its segment may have been compacted.
pub(in crate::path::queue) fn fetch(segments: &Segments, places: &[u64]) {
    let spots = || places.iter().filter_map(|place| segments.spot(*place));
    let Some(first) = spots().next() else { return };
    let segment = &segments[first.segment];
    let mut room = [Search { segment, among: &[], offset: 0 }; TOGETHER];
    let (mut count, mut most) = (0, 1);
    for (search, spot) in room.iter_mut().zip(spots()) {
        let segment = &segments[spot.segment];
        *search = Search { segment, among: segment.moved(), offset: spot.offset };
        (count, most) = (count + 1, search.among.len().max(most));
    }
    let searches = &mut room[..count];
    for _ in 0..most.ilog2() + u32::from(!most.is_power_of_two()) {
        searches.iter_mut().for_each(Search::go_down);
    }
    let touch = |search: &Search<'_>| search.segment.touch(search.offset, search.among.first());
    std::hint::black_box(searches.iter().fold(0, |bytes, search| bytes ^ touch(search)));
}
