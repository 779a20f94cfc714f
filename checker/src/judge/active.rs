//! A group with a single active consumer gives its messages to one connection at a time.

use std::collections::BTreeMap;

use super::super::state::Delivery;
use super::super::{Checker, Verdict};

/// What makes a connection the active one for certain, seen then: until when, and a copy that it
/// got.
#[derive(Clone, Copy)]
struct Hold {
    seen_ns: u64,
    until_ns: u64,
    copy: usize,
}

impl Checker {
    pub(super) fn one_consumer(&mut self) {
        let mut lines: BTreeMap<(u64, u32), Vec<usize>> = BTreeMap::new();
        for copy in &self.copies {
            for (group, course) in &copy.courses {
                let known = self.queues[&copy.queue].groups.get(group);
                if known.is_some_and(|group| group.single) {
                    lines.entry((copy.queue, *group)).or_default().extend(course);
                }
            }
        }
        let mut found = Vec::new();
        for (of, mut deliveries) in lines {
            // In the order of seeing: places are given in that order.
            deliveries.sort_unstable();
            self.held_by_one(of, &deliveries, &mut found);
        }
        for sentence in found {
            self.violation(Verdict::Active, sentence);
        }
    }

    /// While one connection is active for certain, no other one gets any. The connection that is
    /// seen second may have been first, so it must be active as well, or have asked later.
    fn held_by_one(&self, of: (u64, u32), deliveries: &[usize], found: &mut Vec<String>) {
        let mut holds: BTreeMap<u64, Hold> = BTreeMap::new();
        for &place in deliveries {
            let delivery = &self.deliveries[place];
            let (seen_ns, copy) = (delivery.seen_ns, delivery.copy);
            holds.retain(|_, hold| hold.until_ns > seen_ns);
            let until_ns = self.active_until_ns(of.0, delivery);
            let mut others = holds.iter().filter(|(number, _)| **number != delivery.connection);
            let other =
                others.find(|(_, hold)| until_ns > seen_ns || delivery.began_ns >= hold.seen_ns);
            if let Some((number, hold)) = other {
                let (one, two) = (self.called(copy), self.called(hold.copy));
                found.push(format!(
                    "{one} came to connection {} of group {} while connection {number} was active, \
                     which got {two}",
                    delivery.connection, of.1
                ));
            }
            let hold = Hold { seen_ns, until_ns, copy };
            let longest = holds.entry(delivery.connection).or_insert(hold);
            if longest.until_ns < until_ns {
                *longest = hold;
            }
        }
    }

    /// Until when a connection that got a message is active for certain: until it ends; if it ever
    /// unsubscribed from the queue, while it has that message.
    fn active_until_ns(&self, queue: u64, delivery: &Delivery) -> u64 {
        let connection = &self.connections[&delivery.connection];
        let ended_ns = connection.ended_ns.unwrap_or(u64::MAX);
        if connection.unsubscribed.contains(&queue) {
            return self.over_ns(delivery).min(ended_ns);
        }
        ended_ns
    }
}
