//! A message is stored as often as it was put, at most; a put that is known to be a repeat stores
//! nothing.

use super::super::event::Place;
use super::super::state::{Holding, Outcome, Queue};
use super::super::{Checker, Verdict};

/// The server counts ages in whole milliseconds.
const TICK_NS: u64 = 1_000_000;

impl Checker {
    pub(super) fn surplus_copies(&mut self) {
        let mut surplus = Vec::new();
        for (number, queue) in &self.queues {
            for (message, holding) in &queue.holdings {
                let copies = holding.copies.len().max(holding.scheduled.len());
                let allowed = self.allowed(queue, *message, holding);
                if copies <= allowed {
                    continue;
                }
                let verdict = if allowed == 0 { Verdict::Phantom } else { Verdict::Duplicate };
                let sentence = format!(
                    "message {message} is there as {copies} copies in queue {number:#x}, and was \
                     stored by {allowed} puts"
                );
                surplus.push((verdict, sentence));
            }
        }
        for (verdict, sentence) in surplus {
            self.violation(verdict, sentence);
        }
    }

    /// Copies of a message that may be in a queue.
    fn allowed(&self, queue: &Queue, message: u64, holding: &Holding) -> usize {
        let origins = queue.origins.iter().map(|origin| &self.queues[origin]);
        let mut moved_from = origins.chain([queue]).flat_map(|queue| &queue.moved_from);
        if moved_from.any(|from| self.may_hold(*from, message)) {
            // Each copy may have died once for each group, and come back, and died again.
            return usize::MAX;
        }
        // A dead letter for each group.
        let died = queue
            .origins
            .iter()
            .map(|origin| self.held(*origin, message) * self.groups_max(*origin));
        let died: usize = died.sum();
        self.stores(queue, message, holding) + died
    }

    /// Whether a message, or what died of it, may have come to a queue.
    fn may_hold(&self, queue: u64, message: u64) -> bool {
        let origins = &self.queues[&queue].origins;
        let mut queues = origins.iter().chain([&queue]).map(|queue| &self.queues[queue]);
        queues.any(|queue| queue.holdings.contains_key(&message))
    }

    /// Copies of a message that are known in a queue, or may be there unseen.
    fn held(&self, queue: u64, message: u64) -> usize {
        let queue = &self.queues[&queue];
        let Some(holding) = queue.holdings.get(&message) else { return 0 };
        holding.copies.len().max(self.stores(queue, message, holding))
    }

    /// How many of the puts of a message may have stored it.
    pub(super) fn stores(&self, queue: &Queue, message: u64, holding: &Holding) -> usize {
        let window_ns = queue.facts.dedup_ms * 1_000_000;
        let deduplication = self.messages[&message].traits.deduplication;
        let mut stores = 0;
        for (nth, at) in holding.puts.iter().enumerate() {
            let put = &self.puts[*at];
            if put.outcome == Outcome::Refused || self.was_before(*at, message) {
                continue;
            }
            let until_ns = put.answered_ns.unwrap_or(self.last_ns);
            // An earlier put that must have been known still when this one came. A repeat is
            // remembered no longer than what it repeats.
            let stored = holding.puts[..nth].iter().filter(|at| !self.was_before(**at, message));
            let known = stored.map(|at| &self.puts[*at]).any(|earlier| {
                let same = deduplication.is_some()
                    || put.producer.is_some() && put.producer == earlier.producer;
                let over_ns = earlier.asked_ns.saturating_add(window_ns);
                let refused = earlier.outcome == Outcome::Refused;
                same && window_ns > 0 && !refused && until_ns + TICK_NS + self.slack_ns < over_ns
            });
            stores += usize::from(!known);
        }
        stores
    }

    /// Whether a put was answered that this message of it had been stored before.
    fn was_before(&self, put: usize, message: u64) -> bool {
        let put = &self.puts[put];
        let Outcome::Stored(stretches) = &put.outcome else { return false };
        let places = super::super::batches::places(stretches);
        let mut places = places.zip(&put.messages).filter(|(_, other)| **other == message);
        places.all(|((_, place), _)| place == Place::Before)
    }
}
