//! Messages that are not due yet, and the times at which messages expire by themselves.
//!
//! A scheduled message lies in the scheduled log of its queue. When it is due its record is copied
//! to the end of its band's log: it gets a new sequence, and its place in line. Calendars hold for
//! each message a time and its place; a message that is cancelled leaves its entry behind, which
//! finds it gone.
//!
//! A delay runs on the monotonic clock. A time of day follows the wall clock as it is: when that is
//! set, every such entry is looked at anew, a bounded number a call.

use ringway_protocol::{Record, Records, record};

use super::Store;
use super::admit::due;
use super::bands::SCHEDULED;
use super::calendar::Calendar;
use super::keys::NO_KEY;
use super::mortality::lifetime_ms;
use super::piece::Piece;
use crate::limits::TIMERS_PER_TURN_MAX;
use crate::world::Now;

/// A step of the wall clock against the monotonic one that is worth a new look, in milliseconds.
const STEP_MS: u64 = 10;

/// Where a message lies: its segment, its position in it, and where its record was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub segment: u32,
    pub index: u32,
    pub offset: u32,
}

impl Spot {
    /// 24 bits of segment, 20 of index, 20 of offset.
    fn pack(self) -> u64 {
        assert!(self.segment < 1 << 24 && self.index < 1 << 20 && self.offset < 1 << 20);
        u64::from(self.segment) << 40 | u64::from(self.index) << 20 | u64::from(self.offset)
    }

    fn unpack(word: u64) -> Self {
        Self {
            segment: (word >> 40) as u32,
            index: (word >> 20) as u32 & 0xf_ffff,
            offset: word as u32 & 0xf_ffff,
        }
    }
}

const _: () = assert!(
    crate::limits::SEGMENT_BYTES[2] <= 1 << 20,
    "a position and an offset in a segment fit 20 bits"
);

/// The calendars of a shard's queues.
#[derive(Debug)]
pub(super) struct Schedule {
    after: Calendar,
    at: Calendar,
    /// Entries of times of day that were placed by an older reading of the wall clock.
    misplaced: Calendar,
    expiries: Calendar,
    /// What the wall clock was ahead of the monotonic one, in milliseconds, when entries were
    /// spotd last; wraps.
    ahead_ms: u64,
}

impl Schedule {
    pub fn new() -> Self {
        Self {
            after: Calendar::new(0),
            at: Calendar::new(0),
            misplaced: Calendar::new(0),
            expiries: Calendar::new(0),
            ahead_ms: 0,
        }
    }

    /// Notes when a scheduled message is due, and whether the wall clock decides.
    #[inline]
    pub fn insert(&mut self, due_ns: u64, at: bool, spot: Spot) {
        let calendar = if at { &mut self.at } else { &mut self.after };
        calendar.insert(due_ns, spot.pack());
    }

    /// Notes when a message expires.
    #[inline]
    pub fn insert_expiry(&mut self, due_ns: u64, spot: Spot) {
        self.expiries.insert(due_ns, spot.pack());
    }

    /// When there is something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        if !self.misplaced.is_empty() {
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
}

impl Store {
    /// Moves messages that are due to their bands, and ends those that expire: a bounded number a
    /// call.
    pub(super) fn run_schedule(&mut self, now: Now) {
        self.schedule.watch(now);
        let mut budget = TIMERS_PER_TURN_MAX;
        while let Some((_, spot)) = self.schedule.misplaced.drain(&mut budget) {
            let spot = Spot::unpack(spot);
            match self.scheduled(spot).map(|record| due(&record, now)) {
                Some((due_ns, _)) => self.schedule.insert(due_ns, true, spot),
                None => self.segments.timer_ended(spot.segment),
            }
        }
        let mut budget = TIMERS_PER_TURN_MAX;
        while let Some((_, spot)) = self.schedule.at.expire(now.ns, &mut budget) {
            let spot = Spot::unpack(spot);
            match self.scheduled(spot).map(|record| record.traits().at_ms) {
                Some(at_ms) if at_ms > now.wall_ms => {
                    let wait_ns = (at_ms - now.wall_ms).saturating_mul(1_000_000);
                    self.schedule.insert(now.ns.saturating_add(wait_ns), true, spot);
                }
                _ => self.become_due(spot, now),
            }
        }
        let mut budget = TIMERS_PER_TURN_MAX;
        while let Some((_, spot)) = self.schedule.after.expire(now.ns, &mut budget) {
            self.become_due(Spot::unpack(spot), now);
        }
        let mut budget = TIMERS_PER_TURN_MAX;
        while let Some((_, spot)) = self.schedule.expiries.expire(now.ns, &mut budget) {
            self.expire_message(Spot::unpack(spot), now);
        }
    }

    /// The record of a message that is still held.
    fn scheduled(&self, spot: Spot) -> Option<Record<'_>> {
        let segment = &self.segments[spot.segment];
        if !segment.holds(spot.index) {
            return None;
        }
        record::first(&segment.bytes()[segment.locate(spot.offset)..]).map(|(record, _)| record)
    }

    /// A scheduled message is due: it joins the end of its band.
    fn become_due(&mut self, spot: Spot, now: Now) {
        if self.scheduled(spot).is_none() {
            return self.segments.timer_ended(spot.segment);
        }
        let segment = &self.segments[spot.segment];
        let bytes = segment.span(spot.offset, 1);
        let mut copy = std::mem::take(&mut self.record);
        copy.clear();
        copy.extend_from_slice(segment.records(spot.offset, bytes));
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
        self.segments.timer_ended(spot.segment);
        let records = Records::parse(&copy, 1).expect("a stored record is valid");
        let traits = records.iter().next().expect("one record").traits();
        let band = usize::from(traits.priority);
        queue.append_anyway(&mut self.segments, band, records, now);
        let key = traits.key.map_or(NO_KEY, |key| queue.keys().hold(key));
        let log = queue.bands.at_mut(band);
        if key != NO_KEY {
            log.label(&mut self.segments, &[key]);
        }
        if let Some(ttl_ms) = lifetime_ms(0, traits.ttl_ms) {
            queue.mortal = true;
            let schedule = &mut self.schedule;
            log.visit_newest(&mut self.segments, 1, |segments, spot| {
                segments[spot.segment].timers += 1;
                schedule
                    .insert_expiry(now.ns.saturating_add(ttl_ms.saturating_mul(1_000_000)), spot);
            });
        }
        let id = queue.id;
        self.record = copy;
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
        for spot in [
            Spot { segment: 0, index: 0, offset: 0 },
            Spot { segment: (1 << 24) - 1, index: (1 << 20) - 1, offset: (1 << 20) - 1 },
            Spot { segment: 7, index: 8, offset: 9 },
        ] {
            assert_eq!(Spot::unpack(spot.pack()), spot);
        }
    }
}
