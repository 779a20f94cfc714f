//! Putting, and what a full queue does: refuse, or drop its oldest ready messages.
//!
//! A put is whole or nothing. Most fit the tail segment; the others open segments, whose size grows
//! with what the queue holds and with the batch, and stays below an eighth of the queue's bound
//! where the records allow it.
//!
//! What `drop-oldest` drops is in `drops`.

use ringway_protocol::request::Put;
use ringway_protocol::{Code, FullPolicy, Records, Rejection, Tags};

use super::drops::Freed;
use crate::limits::SEGMENT_BYTES;
use crate::path::origin::Origin;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::bands::LOGS;
use crate::path::queue::log::piece::walk;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::{Admission, Store, Stored};
use crate::world::Now;

pub(in crate::path::queue) const FULL: Rejection = Rejection::new(
    Code::QueueFull,
    "the queue is full: it rejects, others wait for room, or all that it holds is leased",
);
const TOO_LARGE: Rejection =
    Rejection::new(Code::TooLarge, "the batch is larger than the queue could ever hold");

impl Store {
    /// Appends a batch, all of it or nothing; `stored` says where it went. If its queue is full and
    /// holds such puts, the answer comes later.
    #[inline]
    pub fn put(
        &mut self,
        put: &Put<'_>,
        origin: Origin,
        now: Now,
        stored: &mut Stored,
    ) -> Result<Admission, Rejection> {
        match self.store(put, false, now, stored) {
            Ok(()) => Ok(Admission::Stored),
            Err(why) => self.hold_or_refuse(put, Some(origin), now, why),
        }
    }

    /// The same for one that is not held, whatever its queue does.
    #[inline]
    pub fn put_at_once(
        &mut self,
        put: &Put<'_>,
        now: Now,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let outcome = self.store(put, false, now, stored);
        outcome.or_else(|why| self.hold_or_refuse(put, None, now, why).map(|_| ()))
    }

    /// Appends a batch, all of it or nothing, of one who is `first` in its queue's line or has none
    /// before him. A refusal is not counted.
    #[inline]
    pub(super) fn store(
        &mut self,
        put: &Put<'_>,
        first: bool,
        now: Now,
        stored: &mut Stored,
    ) -> Result<(), Rejection> {
        let (records, found) = (&put.records, self.catalog.get_mut(put.queue)?);
        if records.tags().meets(Tags::QUEUEING) || put.producer.is_some() || found.is_careful() {
            return self.put_carefully(put, first, now, stored);
        }
        let count = u64::from(records.count());
        let first_sequence = found.bands.first.next_sequence();
        let fits = found.bands.live() + count <= found.options.messages_max;
        let (log, segments) = (&mut found.bands.first, &mut self.segments);
        if !fits
            || !log.append_batch(segments, records, now.ms())
                && !found.append_to_new(segments, records, now)
        {
            let before = found.bands.live();
            let sizes = make_room(found, segments, &[Some(*records)]);
            self.messages = self.messages + found.bands.live() - before;
            found.append(segments, (0, sizes?[0]), *records, now);
        }
        found.counters.puts += count;
        found.puts.add(now.ns, records.count());
        found.used_ns = now.ns;
        self.messages += count;
        found.check_some(found.counters.puts, records.count());
        if found.groups.wait() {
            self.offer_all(put.queue);
        }
        stored.set_whole(first_sequence, records.count());
        Ok(())
    }
}

impl Queue {
    /// Appends a batch to a new tail, if the bounds have plenty of room for one.
    #[inline(never)]
    fn append_to_new(&mut self, segments: &mut Segments, records: &Records<'_>, now: Now) -> bool {
        let (held, bytes) = (self.bands.held_bytes(), records.as_bytes().len() as u64);
        let size = size_for((held / 4).max(2 * bytes), self.options.bytes_max);
        let capacity = SEGMENT_BYTES[size] as u64;
        if bytes > capacity || held + capacity > self.options.bytes_max {
            return false;
        }
        let log = &mut self.bands.first;
        if log.tail_room(segments) as u64 > capacity / 8 {
            // What is left of the tail is worth the cutting of a batch.
            return false;
        }
        log.open_tail(segments, size, self.id.slot() as u32);
        log.append_batch(segments, records, now.ms())
    }

    /// Appends records to one of the logs, in segments of a size where they need new ones.
    pub(super) fn append(
        &mut self,
        segments: &mut Segments,
        (band, size): (usize, usize),
        records: Records<'_>,
        now: Now,
    ) {
        let slot = self.id.slot() as u32;
        let log = self.bands.make(band);
        if log.append_batch(segments, &records, now.ms()) {
            return;
        }
        let (mut bytes, mut left) = (records.as_bytes(), records.count());
        loop {
            let room = log.tail_room(segments);
            let whole = (left, bytes.len() as u32);
            let (count, length) = if bytes.len() <= room { whole } else { walk(bytes, left, room) };
            if count > 0 {
                let (part, rest) = bytes.split_at(length as usize);
                let appended = log.append(segments, part, count, now.ms());
                assert!(appended, "a part that was cut to the tail's room fits it");
                (bytes, left) = (rest, left - count);
            }
            if left == 0 {
                return;
            }
            log.open_tail(segments, size, slot);
        }
    }

    /// Appends one record that the queue holds already, in another log: over the bound on bytes if
    /// need be.
    #[inline]
    pub(in crate::path::queue) fn append_anyway(
        &mut self,
        segments: &mut Segments,
        band: usize,
        record: &[u8],
        now: Now,
    ) {
        if !self.bands.make(band).append(segments, record, 1, now.ms()) {
            self.append_anyway_to_new(segments, band, record, now);
        }
    }

    #[cold]
    fn append_anyway_to_new(
        &mut self,
        segments: &mut Segments,
        band: usize,
        record: &[u8],
        now: Now,
    ) {
        let wanted = self.bands.held_bytes() / 4;
        let size = size_for(wanted.max(2 * record.len() as u64), self.options.bytes_max);
        let fits = record.len() <= SEGMENT_BYTES[size];
        let (size, slot) = (if fits { size } else { 1 }, self.id.slot() as u32);
        let log = self.bands.at_mut(band);
        log.open_tail(segments, size, slot);
        let appended = log.append(segments, record, 1, now.ms());
        assert!(appended, "the largest record fits the middle segment");
    }
}

/// Records for some of a queue's logs, by their number.
pub(super) type Wanted<'a> = [Option<Records<'a>>];

/// Makes room for records and says which size of segment to open in each log for what its tail does
/// not hold. If there is none it drops nothing, but what is only kept may be gone.
pub(super) fn make_room(
    queue: &mut Queue,
    segments: &mut Segments,
    wanted: &Wanted<'_>,
) -> Result<[usize; LOGS], Rejection> {
    queue.could_hold(wanted)?;
    let options = queue.options;
    let count = wanted.iter().flatten().map(|records| u64::from(records.count())).sum::<u64>();
    let drops = options.full_policy == FullPolicy::DropOldest;
    let over = (queue.bands.counted() + count).saturating_sub(options.messages_max);
    if over > 0 && !drops {
        return Err(FULL);
    }
    for (band, _) in wanted.iter().enumerate().filter(|(_, records)| records.is_some()) {
        queue.bands.make(band).release_dead_tail(segments);
    }
    loop {
        let missing = match fit(queue, segments, wanted, &Freed::NOTHING) {
            Ok(sizes) if over == 0 => return Ok(sizes),
            Ok(_) => break,
            Err(missing) => missing,
        };
        let held = queue.bands.held_bytes();
        queue.bands.iter_mut().for_each(|log| log.reap(segments));
        queue.give_kept_up(segments, missing);
        if queue.bands.held_bytes() == held {
            break;
        }
    }
    if !drops || !queue.drop_oldest(segments, over, wanted) {
        return Err(FULL);
    }
    fit(queue, segments, wanted, &Freed::NOTHING).map_err(|_| {
        debug_assert!(false, "what was dropped made room");
        FULL
    })
}

/// The sizes of segments to open for records once some memory is free, or how many held bytes stand
/// in their way.
pub(super) fn fit(
    queue: &Queue,
    segments: &Segments,
    wanted: &Wanted<'_>,
    freed: &Freed,
) -> Result<[usize; LOGS], u64> {
    let (bytes_max, held) = (queue.options.bytes_max, queue.bands.held_bytes() - freed.bytes);
    let (mut free, mut missing) = (bytes_max.saturating_sub(held), 0_u64);
    let mut sizes = [0; LOGS];
    for (band, records) in wanted.iter().enumerate() {
        let Some(records) = *records else { continue };
        let tail_goes = freed.tails[band];
        let room = if tail_goes { 0 } else { queue.bands.at(band).tail_room(segments) };
        let size = size_for((held / 4).max(2 * records.as_bytes().len() as u64), bytes_max);
        let chosen = cost(records, room, size).filter(|cost| *cost <= free);
        let Some((cost, size)) =
            chosen.map(|cost| (cost, size)).or_else(|| cheapest(records, room))
        else {
            return Err(u64::MAX);
        };
        sizes[band] = size;
        missing += cost.saturating_sub(free);
        free = free.saturating_sub(cost);
    }
    if missing == 0 { Ok(sizes) } else { Err(missing) }
}

/// The smallest size of segment that has so many bytes, or the largest that a queue with this bound
/// opens.
fn size_for(wanted: u64, bytes_max: u64) -> usize {
    SEGMENT_BYTES[..SEGMENT_BYTES.len() - 1]
        .iter()
        .zip(&SEGMENT_BYTES[1..])
        .take_while(|(size, larger)| (**size as u64) < wanted && **larger as u64 <= bytes_max / 8)
        .count()
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
    /// Refuses records that would not fit if the queue were empty.
    pub(super) fn could_hold(&self, wanted: &Wanted<'_>) -> Result<(), Rejection> {
        let options = self.options;
        let records = || wanted.iter().flatten().copied();
        let count = records().map(|records| u64::from(records.count())).sum::<u64>();
        let bytes = records().map(|records| records.as_bytes().len() as u64).sum::<u64>();
        // Segments are filled by more than half, so a batch up to a quarter of the bound always
        // fits an empty queue.
        let large = bytes > options.bytes_max / 4;
        let least = || -> Option<u64> {
            records().map(|records| cheapest(records, 0).map(|(cost, _)| cost)).sum()
        };
        let too_large = large && least().is_none_or(|cost| cost > options.bytes_max);
        if count > options.messages_max || too_large { Err(TOO_LARGE) } else { Ok(()) }
    }
}
