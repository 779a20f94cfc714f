//! Messages with one key are never in flight twice at a time in a group, and in order in a band.

use std::collections::{BTreeMap, HashMap};

use super::super::state::band;
use super::super::{Checker, Verdict};

/// A queue, a group and a key.
type Lane = (u64, u32, u64);

impl Checker {
    pub(super) fn keys_in_order(&mut self) {
        let mut lanes: BTreeMap<Lane, Vec<usize>> = BTreeMap::new();
        for copy in &self.copies {
            let Some(key) = self.messages[&copy.message].traits.key else { continue };
            for (group, course) in &copy.courses {
                lanes.entry((copy.queue, *group, key)).or_default().extend(course);
            }
        }
        let mut found = Vec::new();
        for (lane, mut deliveries) in lanes {
            // In the order of seeing: places are given in that order.
            deliveries.sort_unstable();
            self.one_at_a_time(lane, &deliveries, &mut found);
            self.in_order(lane, &deliveries, &mut found);
        }
        for sentence in found {
            self.violation(Verdict::Key, sentence);
        }
    }

    /// What one consumer holds for certain, another one cannot get meanwhile.
    fn one_at_a_time(&self, lane: Lane, deliveries: &[usize], found: &mut Vec<String>) {
        // What is held: until when for certain, and which copy.
        let mut held: Vec<(u64, usize)> = Vec::new();
        for &place in deliveries {
            let delivery = &self.deliveries[place];
            held.retain(|(until_ns, _)| *until_ns > delivery.seen_ns);
            let until_ns = self.over_ns(delivery);
            if until_ns <= delivery.seen_ns {
                // It may have been over before anybody saw it.
                continue;
            }
            if let Some((_, other)) = held.iter().find(|(_, copy)| *copy != delivery.copy) {
                let (one, two) = (self.called(*other), self.called(delivery.copy));
                let (_, group, key) = lane;
                found.push(format!("{two} came to group {group} while {one} of key {key} was out"));
            }
            held.push((until_ns, delivery.copy));
        }
    }

    /// What surely came after a later message of its key came too late.
    fn in_order(&self, lane: Lane, deliveries: &[usize], found: &mut Vec<String>) {
        let mut bands: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for &place in deliveries {
            let sequence = self.copies[self.deliveries[place].copy].sequence;
            bands.entry(band(sequence)).or_default().push(place);
        }
        for deliveries in bands.values() {
            let mut by_connection: HashMap<u64, usize> = HashMap::new();
            // The latest copy seen so far, and when it was the latest from.
            let mut latest: Vec<(u64, usize)> = Vec::new();
            for &place in deliveries {
                let delivery = &self.deliveries[place];
                let sequence = |copy: usize| self.copies[copy].sequence;
                let own = by_connection.get(&delivery.connection).copied();
                let before = latest.partition_point(|(seen_ns, _)| *seen_ns <= delivery.asked_ns);
                let others = before.checked_sub(1).map(|at| latest[at].1);
                let ahead = own.into_iter().chain(others);
                let ahead = ahead.max_by_key(|copy| sequence(*copy));
                if let Some(ahead) = ahead.filter(|it| sequence(*it) > sequence(delivery.copy)) {
                    let (one, two) = (self.called(ahead), self.called(delivery.copy));
                    let (_, group, key) = lane;
                    found.push(format!("{two} came to group {group} after {one} of key {key}"));
                }
                let larger = |known: Option<usize>| {
                    known.is_none_or(|known| sequence(known) < sequence(delivery.copy))
                };
                if larger(own) {
                    by_connection.insert(delivery.connection, delivery.copy);
                }
                if larger(latest.last().map(|last| last.1)) {
                    latest.push((delivery.seen_ns, delivery.copy));
                }
            }
        }
    }
}
