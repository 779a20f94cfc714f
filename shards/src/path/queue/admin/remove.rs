//! Messages are removed one by one: what is scheduled is cancelled, what is ready, blocked or
//! delayed goes from every group. What somebody holds under a lease stays.
//!
//! First it is found out which messages can go, then they go: so that none of them comes next for
//! its key when another one does.

use ringway_protocol::reply::Removal;
use ringway_protocol::{QueueId, Rejection};

use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::groups::Group;
use crate::path::queue::keys::NO_KEY;
use crate::path::queue::log::Log;
use crate::path::queue::log::bands::{LOGS, SCHEDULED, band_of};
use crate::path::queue::log::segments::Segments;
use crate::path::queue::put::free::FreeRun;

impl Store {
    /// Removes messages by their sequences. Those count missing that are unknown, gone, or under a
    /// lease of some group. Visits segments, and the messages that groups have set aside.
    pub fn remove(
        &mut self,
        id: QueueId,
        sequences: impl Iterator<Item = u64>,
    ) -> Result<Removal, Rejection> {
        let queue = self.catalog.get_mut(id)?;
        let mut wanted: Vec<u64> = sequences.collect();
        let named = wanted.len();
        wanted.sort_unstable();
        wanted.dedup();
        let places = queue.removable(&self.segments, &wanted);
        if !places.is_empty() {
            queue.remove_all(&mut self.segments, &places, |group: &mut Group, count| {
                group.counters.removed += u64::from(count);
            });
            self.messages -= places.len() as u64;
            queue.linger(&mut self.lingering);
            queue.check();
            self.stir(id, self.uses.clock_ns);
            self.offer_all(id);
        }
        let removed = places.len() as u32;
        Ok(Removal { removed, missing: named as u32 - removed })
    }
}

impl Queue {
    /// Which of some messages, in ascending order, can be removed.
    fn removable(&self, segments: &Segments, wanted: &[u64]) -> Vec<FreeRun> {
        let aside = self.aside(|sequence| wanted.binary_search(&sequence).is_ok());
        let (mut places, mut hint) = (Vec::new(), None);
        for sequence in wanted.iter().copied() {
            let band = band_of(sequence);
            let Some(log) = (band < LOGS).then(|| self.bands.get(band)).flatten() else { continue };
            if sequence >= log.next_sequence() {
                continue;
            }
            let known = hint.filter(|(of, _)| *of == band).map(|(_, slot)| slot);
            let Some(slot) = log.find_from(segments, known, sequence) else { continue };
            hint = Some((band, slot));
            let segment = &segments[slot];
            let there = segment.first_sequence <= sequence && !segment.is_gone(sequence);
            if there && (band == SCHEDULED || self.is_free(segment, log, sequence, &aside)) {
                places.push(FreeRun { sequence, slot, count: 1 });
            }
        }
        places
    }

    /// Removes messages that can go, given in ascending order. `count` counts them for each group
    /// that has them waiting.
    pub fn remove_all(
        &mut self,
        segments: &mut Segments,
        places: &[FreeRun],
        count: impl Fn(&mut Group, u32),
    ) {
        let named = |sequence: u64| {
            let after = places.partition_point(|place| place.sequence <= sequence);
            after > 0 && sequence < places[after - 1].end()
        };
        for index in 0..self.groups.places() {
            if self.groups.get(index).is_some_and(|group| group.keys.count > 0) {
                let group = self.groups.at_mut(index);
                let aside = group.keys.drop_where(named);
                count(group, aside);
            }
        }
        for place in places {
            if band_of(place.sequence) == SCHEDULED {
                self.counters.removed += u64::from(place.count);
            } else {
                self.leave_lines(segments, place, &count);
            }
            self.bands.of_mut(place.sequence).remove_run(segments, place);
        }
        if !self.bands.is_single() {
            self.bands.shrink(segments);
        }
    }

    /// Messages that are to be removed leave the groups that have them waiting, and their keys.
    fn leave_lines(
        &mut self,
        segments: &Segments,
        place: &FreeRun,
        count: &impl Fn(&mut Group, u32),
    ) {
        for index in 0..self.groups.places() {
            if self.groups.get(index).is_none() {
                continue;
            }
            let line = self.bands.of_mut(place.sequence).lines.at_mut(index);
            if !line.active || line.start > place.sequence {
                continue;
            }
            if line.sequence <= place.sequence {
                count(self.groups.at_mut(index), place.count);
                continue;
            }
            for sequence in place.sequence..place.end() {
                if self.withdraw(segments, index, (place.slot, sequence)) {
                    count(self.groups.at_mut(index), 1);
                }
            }
        }
        let Some(keys) = self.keys.as_deref_mut() else { return };
        let segment = &segments[place.slot];
        let slots = segment.keys(segment.index(place.sequence), place.count);
        slots.iter().filter(|key| **key != NO_KEY).for_each(|key| keys.let_go(*key));
    }

    /// Takes a message out that a group was given back, whose key is free then; says whether it had
    /// been.
    fn withdraw(
        &mut self,
        segments: &Segments,
        index: usize,
        (slot, sequence): (u32, u64),
    ) -> bool {
        let line = self.bands.of_mut(sequence).lines.at_mut(index);
        let returned = line.remove_returned(segments, sequence).is_some();
        let group = self.groups.at_mut(index);
        let delayed = group.delayed.as_deref_mut();
        if !returned && delayed.is_none_or(|of| of.remove(segments, sequence).is_none()) {
            return false;
        }
        let key = segments[slot].key_of(sequence);
        let next = (key != NO_KEY).then(|| group.keys.release(key)).flatten();
        if let Some(next) = next {
            self.bands.of_mut(next.sequence).lines.at_mut(index).give_back(next);
        }
        true
    }
}

impl Log {
    /// The segment that holds a sequence, or else the first one after it, looking from a segment on
    /// that is not after it. Visits segments.
    fn find_from(&self, segments: &Segments, slot: Option<u32>, sequence: u64) -> Option<u32> {
        let mut slots = self.slots_from(segments, slot.unwrap_or(self.head));
        slots.find(|slot| segments[*slot].end() > sequence)
    }
}
