//! Brings what many messages need into the cache, all at once.
//!
//! Messages that become due together lie anywhere in memory. One after the other, each step to each
//! of their records would wait for memory; here all of them go one step at a time, so that their
//! waits overlap.

use super::segment::NIL;
use super::segments::Segments;
use crate::path::queue::catalog::Catalog;
use crate::world::{prefetch, prefetch_all};

/// Messages that are looked for at once: enough that waits overlap, few enough that what was
/// fetched is still there when it is used.
pub(in crate::path::queue) const TOGETHER: usize = 64;
/// Cache lines of a record that are asked for: most records take more than one.
const LINES: usize = 3;

/// Asks for the memory in which the records of messages are, at most [`TOGETHER`] of them. What it
/// finds is not kept: by the time a message's turn comes its segment may have been compacted.
pub(in crate::path::queue) fn fetch(segments: &Segments, places: &[u64]) {
    // Each pass reads what the one before has asked for.
    let known = || places.iter().filter_map(|place| segments.place(*place));
    known().for_each(|spot| segments[spot.segment].prefetch());
    known().for_each(|spot| segments[spot.segment].prefetch_guides(spot.index, spot.offset));
    known().for_each(|spot| segments[spot.segment].prefetch_way(spot.offset));
    let mut room = [&[][..]; TOGETHER];
    let mut count = 0;
    for spot in places.iter().filter_map(|place| segments.spot(*place)) {
        room[count] = segments[spot.segment].from(spot.offset);
        count += 1;
    }
    // A processor goes on behind a few requests only whose pages it does not know: so these come
    // closely one after the other, and the first lines before the others.
    let records = &room[..count];
    records.iter().for_each(|record| prefetch(*record));
    let rest = records.iter().flat_map(|record| record.chunks(64).take(LINES).skip(1));
    rest.for_each(prefetch);
}

/// Asks for the queues of messages, at most [`TOGETHER`] of them, and for the ends of the logs to
/// which they go when they are due. A queue that has all of them is near anyway.
pub(in crate::path::queue) fn fetch_queues(catalog: &Catalog, segments: &Segments, places: &[u64]) {
    let mut room = [NIL; TOGETHER];
    let mut count = 0;
    for spot in places.iter().filter_map(|place| segments.place(*place)) {
        let slot = segments[spot.segment].queue;
        if count == 0 || room[count - 1] != slot {
            room[count] = slot;
            count += 1;
        }
    }
    let slots = &room[..count];
    if slots.len() <= 1 {
        return;
    }
    // Each pass reads what the one before has asked for.
    slots.iter().for_each(|slot| catalog.prefetch(*slot));
    slots.iter().for_each(|slot| prefetch_all(catalog.at(*slot)));
    slots.iter().for_each(|slot| catalog.at(*slot).bands.prefetch_scheduled());
    let tails = || slots.iter().map(|slot| catalog.at(*slot).bands.first.tail);
    let tails = || tails().filter(|tail| *tail != NIL).map(|tail| &segments[tail]);
    tails().for_each(|tail| tail.prefetch_whole());
    tails().for_each(|tail| tail.prefetch_end());
}
