//! The policy `drop-oldest`: which messages make room for a put.
//!
//! All that is to go is found before anything goes, so a put that is refused costs no message. What
//! no group has under a lease is dropped, the oldest first, in the least urgent band: exactly as
//! many messages as the bound on messages asks for. For the bound on bytes all that is free of a
//! segment goes at a time: whole segments are given back, those that become sparse are compacted.
//!
//! What a replay brought back goes only if the rest does not make room: it counts in no bound but
//! that on bytes.

use super::bounds::{Wanted, fit};
use super::free::{Aside, FreeRun, Search};
use crate::path::queue::catalog::Queue;
use crate::path::queue::groups::Group;
use crate::path::queue::log::bands::{LOGS, SCHEDULED, first_of};
use crate::path::queue::log::segment::NIL;
use crate::path::queue::log::segments::Segments;

/// Messages under leases, and stretches, that one put looks past at most.
const LOOKS_MAX: u32 = 65_536;

/// Memory that is to be had by drops.
#[derive(Debug)]
pub(super) struct Freed {
    pub bytes: u64,
    /// Which logs lose their tail.
    pub tails: [bool; LOGS],
}

impl Freed {
    pub const NOTHING: Self = Self { bytes: 0, tails: [false; LOGS] };
}

/// What is to go of one segment, and the memory that it gives back for that.
#[derive(Debug)]
struct Going {
    slot: u32,
    messages: u32,
    bytes: u32,
    gain: u64,
}

impl Going {
    const NOTHING: Self = Self { slot: NIL, messages: 0, bytes: 0, gain: 0 };

    /// More of a segment goes, or something of the next one.
    fn add(&mut self, segments: &Segments, place: &FreeRun) {
        if self.slot != place.slot {
            *self = Self { slot: place.slot, ..Self::NOTHING };
        }
        let segment = &segments[place.slot];
        self.messages += place.count;
        let from = (place.sequence, segment.offset_of(place.sequence));
        self.bytes += segment.span_from(from, place.count);
    }
}

impl Queue {
    /// Drops messages until a put fits, of which so many are over the bound on messages. If that
    /// cannot be had it drops none and says so.
    pub fn drop_oldest(&mut self, segments: &mut Segments, over: u64, wanted: &Wanted<'_>) -> bool {
        let aside = self.aside(|_| true);
        let mut plan = self.plan_drops(segments, over, wanted, &aside, true);
        if plan.is_none() && self.bands.counted() < self.bands.live() {
            plan = self.plan_drops(segments, over, wanted, &aside, false);
        }
        let Some(places) = plan else { return false };
        self.remove_all(segments, &places, |group: &mut Group, count| {
            group.counters.dropped += u64::from(count);
            group.untold_drops = group.untold_drops.saturating_add(count);
        });
        for place in &places {
            if fit(self, segments, wanted, &Freed::NOTHING).is_ok() {
                break;
            }
            self.bands.of_mut(place.sequence).compact_now(segments, place.slot);
        }
        true
    }

    fn plan_drops(
        &self,
        segments: &Segments,
        over: u64,
        wanted: &Wanted<'_>,
        aside: &Aside,
        spares_replays: bool,
    ) -> Option<Vec<FreeRun>> {
        let mut search = Search { aside, spares_replays, looks: LOOKS_MAX };
        let (mut places, mut freed, mut left) = (Vec::new(), Freed::NOTHING, over);
        let mut fits = fit(self, segments, wanted, &freed).is_ok();
        for band in 0..if self.bands.is_single() { 1 } else { SCHEDULED } {
            let (mut at, mut of_log, mut going) = (first_of(band), 0, Going::NOTHING);
            while left > 0 || !fits {
                // For bytes all that can go of a segment goes.
                let most =
                    if left > 0 { u32::try_from(left).unwrap_or(u32::MAX) } else { u32::MAX };
                let next = self.next_free(segments, (band, at), most, &mut search);
                let Some(place) = next else { break };
                at = place.end();
                of_log += u64::from(place.count);
                if !fits {
                    going.add(segments, &place);
                    let gain = self.gain(segments, band, &going, of_log);
                    freed.bytes = freed.bytes + gain - std::mem::replace(&mut going.gain, gain);
                    freed.tails[band] |= gain > 0 && place.slot == self.bands.at(band).tail;
                    fits = fit(self, segments, wanted, &freed).is_ok();
                }
                left -= u64::from(place.count - self.revived(segments, &place)).min(left);
                places.push(place);
            }
        }
        (left == 0 && fits).then_some(places)
    }

    /// How many bytes a segment gives back once so much of it and so many messages of its log are
    /// gone.
    fn gain(&self, segments: &Segments, band: usize, going: &Going, of_log: u64) -> u64 {
        let (log, segment) = (self.bands.at(band), &segments[going.slot]);
        let (capacity, left) =
            (segment.capacity(), u64::from(segment.bytes_of_use() - going.bytes));
        let is_dead = going.messages == segment.live && segment.kept == 0;
        let may_go = match going.slot == log.tail {
            true => is_dead && (of_log == log.live || log.lines.are_all_in(going.slot)),
            false => is_dead || 3 * left < 2 * capacity,
        };
        if may_go && !segment.is_pinned() { capacity - left } else { 0 }
    }

    /// How many of some messages a replay brought back: they are in no bound on messages.
    fn revived(&self, segments: &Segments, place: &FreeRun) -> u32 {
        let segment = &segments[place.slot];
        if segment.revived == 0 {
            return 0;
        }
        let first = segment.index(place.sequence);
        (first..first + place.count).filter(|index| segment.done.is_revived(*index)).count() as u32
    }
}
