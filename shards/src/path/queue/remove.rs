//! Messages are removed one by one: what is scheduled is cancelled, what is ready, blocked or
//! delayed goes from every group. What somebody holds under a lease stays.
//!
//! First it is found out which messages can go, then they go: so that none of them comes next for
//! its key when another one does.

use ringway_protocol::reply::Removal;
use ringway_protocol::{QueueId, Rejection};

use super::Store;
use super::bands::{LOGS, SCHEDULED, band_of};
use super::catalog::Queue;
use super::keys::NO_KEY;
use super::log::Log;
use super::segments::Segments;

/// A message that can go, and its segment.
type Place = (u64, u32);

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
            queue.remove_all(&mut self.segments, &places);
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
    fn removable(&self, segments: &Segments, wanted: &[u64]) -> Vec<Place> {
        let aside: Vec<(usize, Vec<u64>)> = self
            .groups
            .iter()
            .filter(|(_, group)| group.keys.count > 0)
            .map(|(index, group)| {
                let sequences = group.keys.pieces().map(|piece| piece.sequence);
                let named = |sequence: &u64| wanted.binary_search(sequence).is_ok();
                let mut aside: Vec<u64> = sequences.filter(named).collect();
                aside.sort_unstable();
                (index, aside)
            })
            .collect();
        let (mut places, mut hint) = (Vec::new(), None);
        for sequence in wanted.iter().copied() {
            let band = band_of(sequence);
            let Some(log) = (band < LOGS).then(|| self.bands.get(band)).flatten() else { continue };
            let known = hint.filter(|(of, _)| *of == band).map(|(_, slot)| slot);
            let Some(slot) = log.find_from(segments, known, sequence) else { continue };
            hint = Some((band, slot));
            let segment = &segments[slot];
            let there = segment.first_sequence <= sequence && !segment.is_gone(sequence);
            if there && (band == SCHEDULED || self.is_free(segments, slot, sequence, &aside)) {
                places.push((sequence, slot));
            }
        }
        places
    }

    /// Whether no group that needs a message has it under a lease. Messages set aside are given by
    /// group.
    fn is_free(
        &self,
        segments: &Segments,
        slot: u32,
        sequence: u64,
        aside: &[(usize, Vec<u64>)],
    ) -> bool {
        let (log, done) = (self.bands.at(band_of(sequence)), &segments[slot].done);
        let needing = match done.is_shared() {
            true => done.left(segments[slot].index(sequence)),
            false => log.lines.needing(sequence),
        };
        let waits = |index: usize| {
            let line = log.lines.at(index);
            line.active
                && line.start <= sequence
                && (line.sequence <= sequence
                    || line.has_returned(sequence)
                    || self.groups.at(index).has_delayed(sequence)
                    || aside.iter().any(|(group, sequences)| {
                        *group == index && sequences.binary_search(&sequence).is_ok()
                    }))
        };
        let waiting = self.groups.iter().filter(|(index, _)| waits(*index)).count();
        waiting == usize::from(needing)
    }

    /// Removes messages that can go.
    fn remove_all(&mut self, segments: &mut Segments, places: &[Place]) {
        let named = |sequence: u64| places.binary_search_by_key(&sequence, |place| place.0).is_ok();
        for index in 0..self.groups.places() {
            if self.groups.get(index).is_some_and(|group| group.keys.count > 0) {
                let group = self.groups.at_mut(index);
                group.counters.removed += u64::from(group.keys.drop_where(named));
            }
        }
        for (sequence, slot) in places.iter().copied() {
            if band_of(sequence) == SCHEDULED {
                self.counters.removed += 1;
            } else {
                self.leave_lines(segments, slot, sequence);
            }
            self.bands.of_mut(sequence).remove(segments, slot, sequence);
        }
        if !self.bands.is_single() {
            self.bands.shrink(segments);
        }
    }

    /// A message that is to be removed leaves the groups that have it ready, and its key.
    fn leave_lines(&mut self, segments: &Segments, slot: u32, sequence: u64) {
        let key = segments[slot].key_of(sequence);
        for index in 0..self.groups.places() {
            if self.groups.get(index).is_none() {
                continue;
            }
            let line = self.bands.of_mut(sequence).lines.at_mut(index);
            if !line.active || line.start > sequence {
                continue;
            }
            if line.sequence <= sequence {
                self.groups.at_mut(index).counters.removed += 1;
                continue;
            }
            let returned = line.remove_returned(segments, sequence).is_some();
            let group = self.groups.at_mut(index);
            let delayed = group.delayed.as_deref_mut();
            if returned || delayed.is_some_and(|of| of.remove(segments, sequence).is_some()) {
                group.counters.removed += 1;
                let next = (key != NO_KEY).then(|| group.keys.release(key)).flatten();
                if let Some(next) = next {
                    self.bands.of_mut(next.sequence).lines.at_mut(index).give_back(next);
                }
            }
        }
        if key != NO_KEY
            && let Some(keys) = self.keys.as_deref_mut()
        {
            keys.let_go(key);
        }
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
