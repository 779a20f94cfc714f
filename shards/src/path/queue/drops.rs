//! The policy `drop-oldest`: which messages make room for a put.
//!
//! All that is to go is found before anything goes, so a put that is refused costs no message. What
//! no group has under a lease is dropped, the oldest first, in the least urgent band: exactly as
//! many messages as the bound on messages asks for. For the bound on bytes whole segments have to
//! be free, because only those give memory back.
//!
//! What a replay brought back goes only if the rest does not make room: it counts in no bound but
//! that on bytes.

use super::bands::{LOGS, SCHEDULED};
use super::bounds::{Wanted, fit};
use super::catalog::Queue;
use super::free::{Aside, FreeRun, Search};
use super::groups::Group;
use super::segment::NIL;
use super::segments::Segments;

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
            let (mut at, mut of_log, mut of_segment) = (0, 0, (NIL, 0));
            while left > 0 || !fits {
                // For bytes all that can go of a segment goes.
                let most =
                    if left > 0 { u32::try_from(left).unwrap_or(u32::MAX) } else { u32::MAX };
                let next = self.next_free(segments, (band, at), most, &mut search);
                let Some(place) = next else { break };
                at = place.end();
                of_log += u64::from(place.count);
                let before = if of_segment.0 == place.slot { of_segment.1 } else { 0 };
                of_segment = (place.slot, before + place.count);
                if self.gives_back(segments, band, of_segment, of_log) {
                    let segment = &segments[place.slot];
                    freed.bytes += segment.capacity();
                    freed.tails[band] |= place.slot == self.bands.at(band).tail;
                    fits = fit(self, segments, wanted, &freed).is_ok();
                }
                left -= u64::from(place.count - self.revived(segments, &place)).min(left);
                places.push(place);
            }
        }
        (left == 0 && fits).then_some(places)
    }

    /// Whether a segment gives its memory back once so many messages of it and of its log are gone.
    fn gives_back(
        &self,
        segments: &Segments,
        band: usize,
        (slot, messages): (u32, u32),
        of_log: u64,
    ) -> bool {
        let (log, segment) = (self.bands.at(band), &segments[slot]);
        let dead = messages == segment.live && segment.kept == 0 && !segment.is_pinned();
        dead && (slot != log.tail || of_log == log.live || log.lines.are_all_in(slot))
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
