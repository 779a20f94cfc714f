//! What a history says about single copies: stored, delivered, settled.

use super::event::{Delivered, RangeOutcome, Taken};
use super::{Checker, Copy, Delivery, Lease, Settled, Verdict, Violation};

/// What was found; empty is good.
pub type Violations = Vec<Violation>;

impl Checker {
    /// A reply named the copies of a put.
    pub(super) fn stored(&mut self, put: usize, first_sequence: u64) {
        let (queue, messages) = (self.puts[put].queue, self.puts[put].messages.clone());
        for (sequence, message) in (first_sequence..).zip(messages) {
            let Some(copy) = self.copy(queue, sequence, message) else { continue };
            if std::mem::replace(&mut self.copies[copy].acknowledged, true) {
                let sentence = format!("sequence {sequence} was given to two puts");
                self.violation(Verdict::Order, sentence);
            }
        }
    }

    /// The copy at a sequence, which must be of this message.
    fn copy(&mut self, queue: u64, sequence: u64, message: u64) -> Option<usize> {
        let new = self.copies.len();
        let known = self.queues.entry(queue).or_default().copies.entry(sequence);
        let copy = *known.or_insert(new);
        if copy == new {
            let (acknowledged, deliveries) = (false, Vec::new());
            self.copies.push(Copy { queue, sequence, message, acknowledged, deliveries });
        }
        let stored = self.copies[copy].message;
        if stored != message {
            let sentence = format!(
                "sequence {sequence} of queue {queue:#x} is message {stored} and message {message}"
            );
            self.violation(Verdict::Phantom, sentence);
            return None;
        }
        Some(copy)
    }

    /// A take was answered.
    pub(super) fn delivered(
        &mut self,
        connection: u64,
        (queue, for_good): (u64, bool),
        (asked_ns, seen_ns): (u64, u64),
        delivery: &Delivered,
    ) {
        let lease_ns = u64::from(delivery.lease_ms) * 1_000_000;
        let mut messages = Vec::with_capacity(delivery.messages.len());
        for &taken in &delivery.messages {
            self.first_in_order(connection, queue, taken);
            let Some(copy) = self.delivered_copy(queue, taken) else { continue };
            let deliveries = &mut self.copies[copy].deliveries;
            if deliveries.iter().any(|delivery| delivery.count == taken.deliveries) {
                let Taken { sequence, deliveries, .. } = taken;
                let sentence =
                    format!("delivery {deliveries} of sequence {sequence} was seen twice");
                self.violation(Verdict::Duplicate, sentence);
                continue;
            }
            messages.push((copy, deliveries.len()));
            deliveries.push(Delivery {
                count: taken.deliveries,
                seen_ns,
                lease_until_ns: (!for_good).then_some(asked_ns + lease_ns),
                nack_asked_ns: None,
                acks_open: 0,
                settled: None,
            });
        }
        if for_good || delivery.messages.is_empty() {
            return;
        }
        let name = (queue, delivery.lease);
        if self.leases.insert(name, Lease { messages }).is_some() || delivery.lease == 0 {
            let sentence = format!("lease {:#x} was given to two takes", delivery.lease);
            self.violation(Verdict::Reply, sentence);
        }
    }

    /// On one connection, what comes for the first time comes in the order of its queue.
    ///
    /// A delivery that could not be brought to its taker is not counted and is first in line again:
    /// each take whose reply nobody saw allows one step back. How many there were is known at the
    /// end.
    fn first_in_order(&mut self, connection: u64, queue: u64, taken: Taken) {
        if taken.deliveries != 1 {
            return;
        }
        let from = self.connections.entry(connection).or_default();
        let before = from.last_first.insert(queue, taken.sequence);
        if before.is_some_and(|before| before >= taken.sequence) {
            from.steps_back.entry(queue).or_default().push(taken.sequence);
        }
    }

    fn delivered_copy(&mut self, queue: u64, taken: Taken) -> Option<usize> {
        let Taken { sequence, message, .. } = taken;
        let sent = message.and_then(|message| self.messages.get_mut(&message));
        let (Some(message), Some(sent)) = (message, sent) else {
            let sentence = format!("sequence {sequence} of queue {queue:#x} was never sent so");
            self.violation(Verdict::Phantom, sentence);
            return None;
        };
        let entry = self.queues.entry(queue).or_default();
        let first_seen = match entry.copies.get(&sequence) {
            Some(copy) => self.copies[*copy].deliveries.is_empty(),
            None => true,
        };
        if entry.is_dead {
            sent.in_dead_letters = true;
        } else if first_seen {
            sent.copies += 1;
        }
        self.copy(queue, sequence, message)
    }

    /// An ack or nack was asked for: after a nack its messages may come again.
    pub(super) fn settle_asked(
        &mut self,
        lease: (u64, u64),
        nack: bool,
        ranges: &[(u32, u32)],
        at_ns: u64,
    ) {
        for (copy, delivery) in self.named(lease, ranges) {
            let delivery = &mut self.copies[copy].deliveries[delivery];
            if nack {
                delivery.nack_asked_ns.get_or_insert(at_ns);
            } else {
                delivery.acks_open += 1;
            }
        }
    }

    /// An ack or nack was answered.
    pub(super) fn settled(
        &mut self,
        lease: (u64, u64),
        (nack, asked_ns): (bool, u64),
        ranges: &[(u32, u32)],
        outcomes: &[RangeOutcome],
    ) {
        let settled: Vec<(u32, u32)> = match outcomes {
            [] => ranges.to_vec(),
            outcomes => {
                let settled = outcomes.iter().filter(|outcome| outcome.settled);
                settled.map(|outcome| (outcome.first, outcome.count)).collect()
            }
        };
        if !nack {
            for (copy, delivery) in self.named(lease, ranges) {
                self.copies[copy].deliveries[delivery].acks_open -= 1;
            }
        }
        let how = if nack { Settled::Nacked } else { Settled::Acked };
        for (copy, delivery) in self.named(lease, &settled) {
            let Copy { queue, sequence, ref mut deliveries, .. } = self.copies[copy];
            let delivery = &mut deliveries[delivery];
            // Whether another delivery was settled shows at the end: replies are read in any order.
            if let Some(before) = delivery.settled.replace((how, asked_ns)) {
                let now = delivery.count;
                let sentence = format!(
                    "delivery {now} of sequence {sequence} of queue {queue:#x} was settled by \
                     {before:?} and by {:?}",
                    (how, asked_ns)
                );
                self.violation(Verdict::Stale, sentence);
            }
        }
    }

    /// The messages that ranges of a lease name, as far as the history knows the lease.
    fn named(&self, lease: (u64, u64), ranges: &[(u32, u32)]) -> Vec<(usize, usize)> {
        let Some(lease) = self.leases.get(&lease) else { return Vec::new() };
        let index = |(first, count): &(u32, u32)| {
            let last = first.saturating_add(*count) as usize;
            (*first as usize).min(lease.messages.len())..last.min(lease.messages.len())
        };
        ranges.iter().flat_map(|range| &lease.messages[index(range)]).copied().collect()
    }
}
