//! Messages that are not due yet, and the times at which messages expire by themselves.
//!
//! A scheduled message lies in the scheduled log of its queue. When it is due its record is copied
//! to the end of its band's log: it gets a new sequence, and its place in line. Calendars hold for
//! each message a time and its place.
//!
//! A delay runs on the monotonic clock. A time of day follows the wall clock as it is: when that is
//! set, every such entry is looked at anew, a bounded number a call.
//!
//! A message that goes before its time (acknowledged, cancelled, deleted with its queue) leaves its
//! entry behind, because nobody could find it. Dead entries are counted as segments empty (see
//! `handles`); when they outnumber the others, a *sweep* goes once over all calendars and takes
//! them out: so they are never many more than the messages held in segments that have entries,
//! whatever their times are, and a message costs at most two looks more. A sweep goes on call by
//! call, faster than entries are made.

use ringway_protocol::{Record, record};

use super::calendar::{Calendar, Sweep};
use super::mortality::lifetime_ms;
use crate::limits::{DUE_PER_CALL_MAX, TIMERS_PER_CALL_MAX};
use crate::path::queue::Store;
use crate::path::queue::keys::NO_KEY;
use crate::path::queue::log::bands::SCHEDULED;
use crate::path::queue::log::fetch::{TOGETHER, fetch, fetch_queues};
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::put::fates::due;
use crate::world::Now;

/// A step of the wall clock against the monotonic one that is worth a new look, in milliseconds.
const STEP_MS: u64 = 10;
/// Dead entries that are not worth a sweep: 64 KiB.
const DEAD_MIN: u64 = 4_096;
/// Entries that a sweep looks at for each one that is made meanwhile: it ends before a quarter as
/// many are made as there were when it began.
const SWEPT_PER_ENTRY: usize = 4;

/// Where a message lies: its segment, its position in it, and where its record was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::path::queue) struct Spot {
    pub segment: u32,
    pub index: u32,
    pub offset: u32,
}

/// Bits of a position in a segment, and of an offset; the others are a handle's.
const INDEX_BITS: u32 = 17;
const OFFSET_BITS: u32 = 20;
/// Handles that places can name.
pub(in crate::path::queue) const HANDLES_MAX: u32 = 1 << (64 - INDEX_BITS - OFFSET_BITS);

const _: () = assert!(
    crate::limits::SEGMENT_BYTES[2] <= 1 << OFFSET_BITS
        && crate::limits::SEGMENT_BYTES[2] / record::RECORD_HEADER_BYTES <= 1 << INDEX_BITS,
    "a position and an offset in a segment fit their bits"
);

impl Spot {
    /// As a calendar keeps it: with the handle of its segment instead of that.
    pub(in crate::path::queue) fn pack(self, handle: u32) -> u64 {
        assert!(
            handle < HANDLES_MAX && self.index < 1 << INDEX_BITS,
            "calendars are swept in time"
        );
        let place = u64::from(handle) << INDEX_BITS | u64::from(self.index);
        place << OFFSET_BITS | u64::from(self.offset)
    }

    /// The handle, and the rest.
    pub(in crate::path::queue) fn unpack(place: u64) -> (u32, Self) {
        let offset = place as u32 & ((1 << OFFSET_BITS) - 1);
        let index = (place >> OFFSET_BITS) as u32 & ((1 << INDEX_BITS) - 1);
        ((place >> (INDEX_BITS + OFFSET_BITS)) as u32, Self { segment: NIL, index, offset })
    }
}

/// The calendars of a shard's queues.
#[derive(Debug)]
pub(in crate::path::queue) struct Schedule {
    after: Calendar,
    at: Calendar,
    /// Entries of times of day that were placed by an older reading of the wall clock.
    misplaced: Calendar,
    expiries: Calendar,
    /// What the wall clock was ahead of the monotonic one, in milliseconds, when entries were
    /// placed last; wraps.
    ahead_ms: u64,
    /// Which calendar a sweep is in, and where, if one is under way.
    sweep: Option<(usize, Sweep)>,
    /// Entries made since the last call.
    made: usize,
    /// Room that is reused: what becomes due together.
    places: Vec<u64>,
}

impl Schedule {
    pub fn new() -> Self {
        Self {
            after: Calendar::new(0),
            at: Calendar::new(0),
            misplaced: Calendar::new(0),
            expiries: Calendar::new(0),
            ahead_ms: 0,
            sweep: None,
            made: 0,
            places: Vec::new(),
        }
    }

    /// Notes when a scheduled message is due, and whether the wall clock decides.
    #[inline]
    pub fn insert(&mut self, due_ns: u64, at: bool, place: u64) {
        self.made += 1;
        let calendar = if at { &mut self.at } else { &mut self.after };
        calendar.insert(due_ns, place);
    }

    /// Notes when a message expires.
    #[inline]
    pub fn insert_expiry(&mut self, due_ns: u64, place: u64) {
        self.made += 1;
        self.expiries.insert(due_ns, place);
    }

    /// When there is something to do next.
    pub fn next_deadline(&self, segments: &Segments) -> Option<u64> {
        if !self.misplaced.is_empty() || self.sweep.is_some() || self.wants_sweep(segments) {
            return Some(0);
        }
        let calendars = [&self.after, &self.at, &self.expiries];
        calendars.into_iter().filter_map(Calendar::next_deadline).min()
    }

    /// Notices that the wall clock was set.
    fn watch(&mut self, now: Now) {
        let ahead_ms = now.wall_ms.wrapping_sub(now.ms());
        let moved = ahead_ms.wrapping_sub(self.ahead_ms) as i64;
        if moved.unsigned_abs() < STEP_MS {
            return;
        }
        if self.at.is_empty() {
            self.ahead_ms = ahead_ms;
        } else if self.misplaced.is_empty() {
            self.ahead_ms = ahead_ms;
            self.misplaced = std::mem::replace(&mut self.at, Calendar::new(now.ns));
        }
    }

    /// Whether the dead entries outnumber the others.
    fn wants_sweep(&self, segments: &Segments) -> bool {
        let calendars = [&self.after, &self.at, &self.misplaced, &self.expiries];
        let all: usize = calendars.into_iter().map(Calendar::len).sum();
        let dead = segments.handles.dead();
        2 * dead > all as u64 + DEAD_MIN || segments.handles.are_too_many()
    }

    /// Takes entries out whose messages are gone, if it is time for that.
    fn sweep(&mut self, segments: &mut Segments) {
        let mut budget = TIMERS_PER_CALL_MAX + SWEPT_PER_ENTRY * std::mem::take(&mut self.made);
        if self.sweep.is_none() && self.wants_sweep(segments) {
            self.sweep = Some((0, Sweep::default()));
        }
        while let Some((number, at)) = &mut self.sweep {
            // Those that are misplaced are looked at one by one anyway.
            let calendar = match *number {
                0 => &mut self.after,
                1 => &mut self.at,
                2 => &mut self.expiries,
                _ => return self.sweep = None,
            };
            let over = calendar.sweep(at, &mut budget, |place| {
                let holds = segments.holds(place);
                if !holds {
                    segments.entry_ended(place);
                }
                holds
            });
            if !over {
                return;
            }
            (*number, *at) = (*number + 1, Sweep::default());
        }
    }
}

impl Store {
    /// Moves messages that are due to their bands, and ends those that expire: a bounded number a
    /// call.
    pub(in crate::path::queue) fn run_schedule(&mut self, now: Now) {
        self.schedule.watch(now);
        self.schedule.sweep(&mut self.segments);
        let mut budget = TIMERS_PER_CALL_MAX;
        while let Some((_, place)) = self.schedule.misplaced.drain(&mut budget) {
            match self.scheduled(place).map(|record| due(&record, now)) {
                Some((due_ns, _)) => self.schedule.insert(due_ns, true, place),
                None => self.segments.entry_ended(place),
            }
        }
        let mut budget = DUE_PER_CALL_MAX;
        while let Some((_, place)) = self.schedule.at.expire(now.ns, &mut budget) {
            match self.scheduled(place).map(|record| record.traits().at_ms) {
                Some(at_ms) if at_ms > now.wall_ms => {
                    let wait_ns = (at_ms - now.wall_ms).saturating_mul(1_000_000);
                    self.schedule.insert(now.ns.saturating_add(wait_ns), true, place);
                }
                _ => {
                    if let Some(slot) = self.become_due(place, now) {
                        self.follow_due(slot, now);
                    }
                }
            }
        }
        let mut budget = DUE_PER_CALL_MAX;
        let mut places = std::mem::take(&mut self.schedule.places);
        while budget > 0 {
            places.clear();
            let due = std::iter::from_fn(|| self.schedule.after.expire(now.ns, &mut budget));
            places.extend(due.take(TOGETHER).map(|(_, place)| place));
            if places.is_empty() {
                break;
            }
            fetch(&self.segments, &places);
            fetch_queues(&self.catalog, &self.segments, &places);
            let mut last = None;
            for place in &places {
                let Some(slot) = self.become_due(*place, now) else { continue };
                if let Some(other) = last.replace(slot).filter(|last| *last != slot) {
                    self.follow_due(other, now);
                }
            }
            if let Some(slot) = last {
                self.follow_due(slot, now);
            }
        }
        self.schedule.places = places;
        let mut budget = DUE_PER_CALL_MAX;
        while let Some((_, place)) = self.schedule.expiries.expire(now.ns, &mut budget) {
            self.expire_message(place, now);
        }
    }

    /// The record of a message that is still held.
    fn scheduled(&self, place: u64) -> Option<Record<'_>> {
        let spot = self.segments.spot(place)?;
        let segment = &self.segments[spot.segment];
        record::first(&segment.bytes()[segment.locate(spot.offset)..]).map(|(record, _)| record)
    }

    /// A scheduled message is due: it joins the end of its band. Returns the slot of its queue, for
    /// [`Store::follow_due`]; nothing if the message has gone.
    fn become_due(&mut self, place: u64, now: Now) -> Option<u32> {
        let Some(spot) = self.segments.spot(place) else {
            self.segments.entry_ended(place);
            return None;
        };
        let segment = &self.segments[spot.segment];
        let mut copy = std::mem::take(&mut self.record);
        copy.clear();
        copy.extend_from_slice(segment.record(spot.offset));
        let bytes = copy.len() as u32;
        let piece = Piece {
            sequence: segment.first_sequence + u64::from(spot.index),
            segment: spot.segment,
            offset: spot.offset,
            bytes,
            count: 1,
            deliveries: 0,
            first_ms: 0,
        };
        let slot = segment.queue;
        let queue = self.catalog.at_mut(slot);
        queue.bands.at_mut(SCHEDULED).settle(&mut self.segments, &piece);
        self.segments.entry_ended(place);
        let (record, _) = record::first(&copy).expect("a stored record is whole");
        let traits = record.traits();
        let band = usize::from(traits.priority);
        queue.append_anyway(&mut self.segments, band, &copy, now);
        let key = traits.key.map_or(NO_KEY, |key| queue.keys().hold(key));
        let log = queue.bands.at_mut(band);
        if key != NO_KEY {
            log.label(&mut self.segments, &[key]);
        }
        if let Some(ttl_ms) = lifetime_ms(0, traits.ttl_ms) {
            queue.mortal = true;
            let schedule = &mut self.schedule;
            log.visit_newest(&mut self.segments, 1, |segments, spot| {
                let due_ns = now.ns.saturating_add(ttl_ms.saturating_mul(1_000_000));
                schedule.insert_expiry(due_ns, segments.note_entry(spot));
            });
        }
        self.record = copy;
        Some(slot)
    }

    /// Messages of the queue in a slot have become due.
    fn follow_due(&mut self, slot: u32, now: Now) {
        let id = self.catalog.at(slot).id;
        self.watch_lifetimes(slot, now);
        self.watch_kept(slot, now);
        self.stir(id, now.ns);
        self.catalog.at_mut(slot).check();
        self.offer_all(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_packed_whole() {
        let most = ((1 << INDEX_BITS) - 1, (1 << OFFSET_BITS) - 1);
        for (handle, index, offset) in [(0, 0, 0), (HANDLES_MAX - 1, most.0, most.1), (7, 8, 9)] {
            let spot = Spot { segment: NIL, index, offset };
            assert_eq!(Spot::unpack(spot.pack(handle)), (handle, spot));
        }
    }
}
