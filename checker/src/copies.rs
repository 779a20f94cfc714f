//! What a history says about single copies: where they stand, and who got them.

use super::event::{Delivered, Letter, Taken, Traits};
use super::state::{Copy, Delivery, Lease, SCHEDULED, band, line};
use super::{Checker, Verdict};

/// To whom and from where a delivery came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub connection: u64,
    pub queue: u64,
    pub group: u32,
    pub for_good: bool,
    /// The subscription that it was pushed to.
    pub push: Option<usize>,
}

impl Checker {
    /// The copy at a sequence, which must be of this message.
    pub(super) fn copy(&mut self, queue: u64, sequence: u64, message: u64) -> Option<usize> {
        let new = self.copies.len();
        let known = self.queue(queue);
        let copy = *known.copies.entry(sequence).or_insert(new);
        if copy == new {
            known.holdings.entry(message).or_default().copies.push(new);
            self.copies.push(Copy {
                queue,
                sequence,
                message,
                acknowledged: false,
                put: None,
                courses: Default::default(),
                letters: Vec::new(),
            });
            let priority = self.messages.entry(message).or_default().traits.priority;
            if band(sequence) != u64::from(priority) {
                let sentence = format!(
                    "message {message} of priority {priority} stands at sequence {sequence:#x}"
                );
                self.violation(Verdict::Order, sentence);
            }
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

    /// Messages came.
    pub(super) fn delivered(
        &mut self,
        source: Source,
        (asked_ns, seen_ns): (u64, u64),
        delivery: &Delivered,
    ) {
        let Source { connection, queue, group, for_good, push } = source;
        let (lease, deliveries) = (self.leases.len(), self.deliveries.len());
        let mut messages = Vec::with_capacity(delivery.messages.len());
        for (index, &taken) in delivery.messages.iter().enumerate() {
            let Some(copy) = self.delivered_copy(queue, taken) else {
                messages.push(None);
                continue;
            };
            self.first_in_order((queue, group), connection, taken);
            let course = self.copies[copy].courses.entry(group).or_default();
            let count = taken.deliveries;
            if course.iter().any(|before| self.deliveries[*before].count == count) {
                let sequence = taken.sequence;
                let sentence = format!("delivery {count} of sequence {sequence} was seen twice");
                self.violation(Verdict::Duplicate, sentence);
                messages.push(None);
                continue;
            }
            let place = self.deliveries.len();
            course.push(place);
            messages.push(Some(place));
            self.deliveries.push(Delivery {
                copy,
                count,
                connection,
                asked_ns,
                began_ns: asked_ns,
                seen_ns,
                lease: (!for_good).then_some(lease),
                first: index == 0,
                subscription: push,
                nack: None,
                rejected: false,
                end_asked_ns: None,
                acks_open: 0,
                settled: None,
            });
        }
        if let Some(push) = push {
            self.subscriptions[push].deliveries.extend(messages.iter().flatten());
        }
        let began_ns = self.began_ns((connection, queue), asked_ns, &messages);
        self.deliveries[deliveries..].iter_mut().for_each(|one| one.began_ns = began_ns);
        if for_good {
            return;
        }
        let until_ns = began_ns + u64::from(delivery.lease_ms) * 1_000_000;
        self.leases.push(Lease { messages, until_ns, cut_ns: u64::MAX });
        if delivery.messages.is_empty() {
            return;
        }
        let name = (queue, delivery.lease);
        if self.lease_names.insert(name, lease).is_some() || delivery.lease == 0 {
            let sentence = format!("lease {:#x} was given to two takes", delivery.lease);
            self.violation(Verdict::Reply, sentence);
        }
    }

    /// The earliest moment at which messages can have been leased together: not before they were
    /// asked for or put, nor before what the queue's shard answered to this connection just before
    /// (a spread queue has several).
    fn began_ns(&self, of: (u64, u64), asked_ns: u64, messages: &[Option<usize>]) -> u64 {
        let (connection, queue) = of;
        let one_shard = !self.queues.get(&queue).is_some_and(|queue| queue.facts.is_spread());
        let heard_ns = self.connections[&connection].heard_ns.get(&queue).copied();
        let heard_ns = heard_ns.filter(|_| one_shard);
        let copies = messages.iter().flatten().map(|at| &self.copies[self.deliveries[*at].copy]);
        let put_ns = copies.map(|copy| self.stored_between(copy).0);
        put_ns.chain(heard_ns).fold(asked_ns, u64::max)
    }

    /// On one connection, what comes for the first time comes in the order of its queue, unless it
    /// has a key and waits for others.
    ///
    /// A delivery that could not be brought to its taker is not counted and is first in line again:
    /// each take whose reply nobody saw allows one step back. How many there were is known at the
    /// end.
    fn first_in_order(&mut self, (queue, group): (u64, u32), connection: u64, taken: Taken) {
        let Some(message) = taken.message else { return };
        if taken.deliveries != 1 || self.messages[&message].traits.key.is_some() {
            return;
        }
        let line = (queue, group, line(taken.sequence));
        let from = self.connections.entry(connection).or_default();
        let before = from.last_first.insert(line, taken.sequence);
        if before.is_some_and(|before| before >= taken.sequence) {
            from.steps_back.entry(line).or_default().push(taken.sequence);
        }
    }

    /// A browse showed messages: each is one that was put, and where it was put.
    pub(super) fn shown(&mut self, queue: u64, messages: Vec<Taken>) {
        for taken in messages {
            if band(taken.sequence) != SCHEDULED {
                self.delivered_copy(queue, taken);
                continue;
            }
            let holding = taken.message.map(|it| self.queue(queue).holdings.contains_key(&it));
            if holding != Some(true) {
                let sequence = taken.sequence;
                let sentence = format!("{sequence:#x} of queue {queue:#x} was never scheduled so");
                self.violation(Verdict::Phantom, sentence);
            }
        }
    }

    fn delivered_copy(&mut self, queue: u64, taken: Taken) -> Option<usize> {
        let Taken { sequence, message, traits, letter, .. } = taken;
        let sent = message.and_then(|message| self.messages.get(&message));
        let (Some(message), Some(sent)) = (message, sent.filter(|sent| sent.sent)) else {
            let sentence = format!("sequence {sequence} of queue {queue:#x} was never sent so");
            self.violation(Verdict::Phantom, sentence);
            return None;
        };
        let (sent, moved) = (sent.traits, self.has_moved(queue));
        // What died or was moved is due, is no repeat of itself, and has had its time.
        let alike = |traits: &Traits| {
            let Traits { due, ttl_ms, deduplication, .. } = *traits;
            let rest = Traits { due, ttl_ms, deduplication, ..sent };
            *traits == sent || (moved || letter.is_some()) && *traits == rest
        };
        if let Some(traits) = traits.filter(|traits| !alike(traits)) {
            let sentence = format!("message {message} came with {traits:?}, not with {sent:?}");
            self.violation(Verdict::Phantom, sentence);
        }
        if band(sequence) == SCHEDULED {
            let sentence = format!("message {message} was delivered while it was scheduled");
            self.violation(Verdict::Early, sentence);
        }
        let new = !self.queue(queue).copies.contains_key(&sequence);
        if let (Some(letter), true) = (letter, new) {
            self.died(queue, message, letter);
        }
        self.copy(queue, sequence, message)
    }

    /// Whether messages may have been moved to a queue, or to one whose poison it gets.
    fn has_moved(&self, queue: u64) -> bool {
        let origins = &self.queues[&queue].origins;
        let mut queues = origins.iter().chain([&queue]).filter_map(|queue| self.queues.get(queue));
        queues.any(|queue| !queue.moved_from.is_empty())
    }

    /// A dead letter was seen for the first time.
    fn died(&mut self, dead: u64, message: u64, letter: Letter) {
        // Of the queues that have had that name, one that has the message there, or may have it.
        let there = |origin: &&u64| {
            let copy = self.queues.get(*origin)?.copies.get(&letter.sequence)?;
            Some(self.copies[*copy].message == message)
        };
        let may_be = |origin: &&u64| {
            let queue = self.queues.get(*origin);
            let holds = queue.is_some_and(|queue| {
                queue.holdings.contains_key(&message) || !queue.moved_from.is_empty()
            });
            holds && there(origin).is_none()
        };
        let origins = &self.queues[&dead].origins;
        let origin = origins.iter().find(|origin| there(origin) == Some(true));
        // Where several may have it, nobody can say whose sequence that is.
        let mut guesses = origins.iter().filter(may_be);
        let guess = guesses.next().filter(|_| guesses.next().is_none());
        let Some(origin) = origin.or(guess).copied() else { return };
        if let Some(copy) = self.copy(origin, letter.sequence, message) {
            self.copies[copy].letters.push(letter);
        }
    }
}
