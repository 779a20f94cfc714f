//! Messages with one key are never in flight twice at a time in a group, and in order in a band. Of
//! a spread queue that holds for each part, or, in order per key, one part has all of a key.

use std::collections::{BTreeMap, HashMap};

use super::super::state::{line, part};
use super::super::{Checker, Verdict};

/// A queue, a group and a key; then a part, where parts have an order of their own.
type Lane = (u64, u32, u64, u64);

impl Checker {
    pub(super) fn keys_in_order(&mut self) {
        let mut lanes: BTreeMap<Lane, Vec<usize>> = BTreeMap::new();
        for copy in &self.copies {
            let Some(key) = self.messages[&copy.message].traits.key else { continue };
            let facts = self.queues[&copy.queue].facts;
            let part = if facts.per_key { 0 } else { part(copy.sequence) };
            for (group, course) in &copy.courses {
                lanes.entry((copy.queue, *group, key, part)).or_default().extend(course);
            }
        }
        let mut found = Vec::new();
        for (lane, mut deliveries) in lanes {
            // In the order of seeing: places are given in that order.
            deliveries.sort_unstable();
            self.in_one_part(lane, &deliveries, &mut found);
            self.one_at_a_time(lane, &deliveries, &mut found);
            self.in_order(lane, &deliveries, &mut found);
        }
        for sentence in found {
            self.violation(Verdict::Key, sentence);
        }
    }

    fn in_one_part(&self, lane: Lane, deliveries: &[usize], found: &mut Vec<String>) {
        let copy = |place: &usize| self.deliveries[*place].copy;
        let copies = deliveries.iter().map(copy);
        let parts: BTreeMap<u64, usize> =
            copies.map(|copy| (part(self.copies[copy].sequence), copy)).collect();
        if let (Some((_, one)), Some((_, two))) = (parts.iter().next(), parts.iter().nth(1)) {
            let (one, two, key) = (self.called(*one), self.called(*two), lane.2);
            found.push(format!("{one} and {two} are of key {key}, and of two parts"));
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
                let (_, group, key, _) = lane;
                found.push(format!("{two} came to group {group} while {one} of key {key} was out"));
            }
            held.push((until_ns, delivery.copy));
        }
    }

    /// What surely came after a later message of its key came too late.
    fn in_order(&self, lane: Lane, deliveries: &[usize], found: &mut Vec<String>) {
        let mut lines: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for &place in deliveries {
            let sequence = self.copies[self.deliveries[place].copy].sequence;
            lines.entry(line(sequence)).or_default().push(place);
        }
        for deliveries in lines.values() {
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
                    let (_, group, key, _) = lane;
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
