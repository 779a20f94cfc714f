//! What memory alone costs of messages that come in one order and go in another: each record is
//! written to memory that was never used, and copied out again at random. No queue that holds them
//! as they come beats that.

use std::hint::black_box;

use ringway_shards::machine::clock::thread_cpu_ns;
use ringway_shards::world::{SegmentMemory, prefetch};

use crate::delayed_figures::Chance;

/// Records that are asked for together: as many as are due in a millisecond of the benchmark.
const TOGETHER: usize = 16;
/// Bytes of memory that are had at once, as a queue of this size does.
const SEGMENT_BYTES: usize = 1 << 20;
/// Bytes of a cache line.
const LINE: usize = 64;
/// What is copied out goes round in a buffer of this size, which stays in the cache.
const OUT_BYTES: usize = 256 << 10;

/// Nanoseconds of CPU time a record, for so many records of so many bytes.
#[must_use]
pub fn scattered_ns(records: usize, bytes: usize) -> f64 {
    let (record, together) = (vec![0x5a; bytes], SEGMENT_BYTES / bytes);
    let before_ns = thread_cpu_ns();
    let segments = (0..records.div_ceil(together)).map(|_| {
        let mut segment = SegmentMemory::new(SEGMENT_BYTES);
        while segment.append(black_box(&record)).is_some() {}
        segment
    });
    let segments: Vec<SegmentMemory> = segments.collect();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut out, mut end) = (vec![0; OUT_BYTES.max(bytes)], 0);
    for _ in 0..records.div_ceil(TOGETHER) {
        let places = [(); TOGETHER].map(|()| chance.below(records as u64) as usize);
        let due = places.map(|place| {
            let at = place % together * bytes;
            &segments[place / together].as_slice()[at..at + bytes]
        });
        due.iter().for_each(|record| prefetch(*record));
        due.iter().flat_map(|record| record.chunks(LINE).skip(1)).for_each(prefetch);
        for record in due {
            end = if end + bytes > out.len() { bytes } else { end + bytes };
            out[end - bytes..end].copy_from_slice(record);
        }
    }
    black_box(&out);
    (thread_cpu_ns() - before_ns) as f64 / records as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_cost_time() {
        assert!(scattered_ns(1_000, 119) > 1.0);
    }
}
