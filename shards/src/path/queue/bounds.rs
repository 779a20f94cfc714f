//! Putting, and what a full queue does: refuse, or drop its oldest ready messages.
//!
//! A put is whole or nothing. Most fit the tail segment; the others open segments, whose size grows
//! with what the queue holds and with the batch, and stays below an eighth of the queue's bound
//! where the records allow it.
//!
//! `drop-oldest` drops exactly as many messages as the bound on messages asks for. For the bound on
//! bytes it drops a segment's ready messages at a time, because only a whole segment frees memory:
//! so at most one segment's messages more than needed. It refuses when all that is left is leased,
//! or waits for sends to end.

use ringway_protocol::{Code, FullPolicy, QueueId, Records, Rejection};

use super::Store;
use super::catalog::Queue;
use super::piece::walk;
use super::segments::Segments;
use crate::limits::SEGMENT_BYTES;

const FULL: Rejection = Rejection::new(
    Code::QueueFull,
    "the queue is full: it rejects, or all that it holds is leased",
);
const TOO_LARGE: Rejection =
    Rejection::new(Code::TooLarge, "the batch is larger than the queue could ever hold");

impl Store {
    /// Appends a batch, all of it or nothing, and returns the sequence of its first message.
    #[inline]
    pub fn put(&mut self, queue: QueueId, records: Records<'_>) -> Result<u64, Rejection> {
        let count = u64::from(records.count());
        let found = self.catalog.get_mut(queue)?;
        let first_sequence = found.log.next_sequence();
        let fits = found.log.live + count <= found.options.messages_max;
        if !fits || !found.log.append(&mut self.segments, records.as_bytes(), records.count()) {
            let dropped_before = found.counters.dropped;
            let outcome = append_slowly(found, &mut self.segments, records);
            self.ready -= found.counters.dropped - dropped_before;
            if let Err(rejection) = outcome {
                found.counters.refused += count;
                return Err(rejection);
            }
        }
        found.counters.puts += count;
        self.ready += count;
        found.check();
        if found.waits.count > 0 {
            self.offer(queue);
        }
        Ok(first_sequence)
    }
}

/// Appends a batch that needs room or new segments.
fn append_slowly(
    queue: &mut Queue,
    segments: &mut Segments,
    records: Records<'_>,
) -> Result<(), Rejection> {
    let size = make_room(queue, segments, records)?;
    let (mut bytes, mut left) = (records.as_bytes(), records.count());
    loop {
        let room = queue.log.tail_room(segments);
        let (count, length) =
            if bytes.len() <= room { (left, bytes.len() as u32) } else { walk(bytes, left, room) };
        if count > 0 {
            let (part, rest) = bytes.split_at(length as usize);
            let appended = queue.log.append(segments, part, count);
            assert!(appended, "a part that was cut to the tail's room fits it");
            (bytes, left) = (rest, left - count);
        }
        if left == 0 {
            return Ok(());
        }
        queue.log.open_tail(segments, size);
    }
}

/// Makes room for a batch and says which size of segment to open for what the tail does not hold.
fn make_room(
    queue: &mut Queue,
    segments: &mut Segments,
    records: Records<'_>,
) -> Result<usize, Rejection> {
    let (count, options) = (u64::from(records.count()), queue.options);
    // Segments are filled by more than half, so a batch up to a quarter of the bound always fits an
    // empty queue.
    let large = records.as_bytes().len() as u64 > options.bytes_max / 4;
    if count > options.messages_max
        || large && cheapest(records, 0).is_none_or(|(cost, _)| cost > options.bytes_max)
    {
        return Err(TOO_LARGE);
    }
    let drops = options.full_policy == FullPolicy::DropOldest;
    let over = (queue.log.live + count).saturating_sub(options.messages_max);
    if over > 0 && (!drops || over > queue.log.ready()) {
        return Err(FULL);
    }
    queue.drop_ready(segments, over);
    queue.log.release_dead_tail(segments);
    loop {
        let missing = match fit(queue, segments, records) {
            Ok(size) => return Ok(size),
            Err(missing) => missing,
        };
        let held = queue.log.held_bytes;
        queue.log.reap(segments);
        while drops && queue.log.ready() > 0 && queue.log.held_bytes + missing > held {
            queue.drop_stretch(segments);
        }
        if queue.log.held_bytes == held {
            return Err(FULL);
        }
    }
}

/// The size of segment to open for a batch, or how many held bytes stand in its way.
fn fit(queue: &Queue, segments: &Segments, records: Records<'_>) -> Result<usize, u64> {
    let (room, bytes_max) = (queue.log.tail_room(segments), queue.options.bytes_max);
    let free = bytes_max.saturating_sub(queue.log.held_bytes);
    let wanted = (queue.log.held_bytes / 4).max(2 * records.as_bytes().len() as u64);
    let size = SEGMENT_BYTES[..SEGMENT_BYTES.len() - 1]
        .iter()
        .zip(&SEGMENT_BYTES[1..])
        .take_while(|(size, larger)| (**size as u64) < wanted && **larger as u64 <= bytes_max / 8)
        .count();
    if cost(records, room, size).is_some_and(|cost| cost <= free) {
        return Ok(size);
    }
    match cheapest(records, room) {
        Some((cost, size)) if cost <= free => Ok(size),
        Some((cost, _)) => Err(cost - free),
        None => Err(u64::MAX),
    }
}

/// The least memory that new segments of one size take for a batch, and that size.
fn cheapest(records: Records<'_>, room: usize) -> Option<(u64, usize)> {
    let sizes = 0..SEGMENT_BYTES.len();
    sizes.filter_map(|size| cost(records, room, size).map(|cost| (cost, size))).min()
}

/// The memory of new segments of a size for what the tail has no room for; `None` if a record is
/// larger.
fn cost(records: Records<'_>, room: usize, size: usize) -> Option<u64> {
    let (mut bytes, capacity) = (records.as_bytes(), SEGMENT_BYTES[size]);
    if bytes.len() <= room {
        return Some(0);
    }
    if bytes.len() <= capacity {
        return Some(capacity as u64);
    }
    let (_, first) = walk(bytes, u32::MAX, room);
    bytes = &bytes[first as usize..];
    let mut cost = 0;
    while !bytes.is_empty() {
        let (count, length) = walk(bytes, u32::MAX, capacity);
        if count == 0 {
            return None;
        }
        bytes = &bytes[length as usize..];
        cost += capacity as u64;
    }
    Some(cost)
}

impl Queue {
    /// Drops the oldest ready messages, exactly so many or all.
    fn drop_ready(&mut self, segments: &mut Segments, messages: u64) {
        let mut left = messages;
        while left > 0 {
            let messages_max = u32::try_from(left).unwrap_or(u32::MAX);
            let Some(piece) = self.log.next_piece(segments, (messages_max, u32::MAX), true) else {
                break;
            };
            self.log.settle(segments, &piece);
            self.counters.dropped += u64::from(piece.count);
            left -= u64::from(piece.count);
        }
    }

    /// Drops the oldest ready messages that lie together in one segment.
    fn drop_stretch(&mut self, segments: &mut Segments) {
        if let Some(piece) = self.log.next_piece(segments, (u32::MAX, u32::MAX), true) {
            self.log.settle(segments, &piece);
            self.counters.dropped += u64::from(piece.count);
        }
    }
}
