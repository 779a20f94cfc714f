//! The end of a history: what only shows when all of it is known.

use std::collections::HashMap;

use super::{Checker, Copy, Delivery, Settled, Verdict, Violations};

impl Checker {
    /// Judges the history. Queues must have been emptied before, by takes that are part of it.
    pub fn finish(mut self) -> Violations {
        self.unanswered();
        self.stored_in_order();
        self.first_seen_in_order();
        for index in 0..self.copies.len() {
            self.copies[index].deliveries.sort_by_key(|delivery| delivery.count);
            self.redeliveries(index);
        }
        self.surplus_copies();
        self.lost();
        self.violations.sort_by_key(|violation| violation.verdict);
        self.violations
    }

    fn unanswered(&mut self) {
        let mut unanswered = Vec::new();
        for (number, connection) in self.connections.iter().filter(|(_, one)| !one.ended) {
            for (name, outstanding) in &connection.outstanding {
                unanswered.push((*number, *name, format!("{:?}", outstanding.ask)));
            }
        }
        unanswered.sort();
        for (connection, name, ask) in unanswered {
            let sentence = format!("connection {connection} waits for {name:?}, {ask}");
            self.violation(Verdict::Unanswered, sentence);
        }
    }

    /// On one connection, what was put into a queue later stands behind what was put earlier.
    fn stored_in_order(&mut self) {
        // A put whose outcome nobody knows shows where it stands by its only copy, if that was
        // seen.
        let mut only_copy: HashMap<u64, u64> = HashMap::new();
        for copy in self.copies.iter().filter(|copy| !self.queues[&copy.queue].is_dead) {
            only_copy.insert(copy.message, copy.sequence);
        }
        let mut last: HashMap<(u64, u64), u64> = HashMap::new();
        let mut violations = Vec::new();
        for put in &self.puts {
            let known = |message: &u64| match (put.outcome, self.messages[message].attempts) {
                (None, 1) => only_copy.get(message).copied(),
                _ => None,
            };
            let first = match put.outcome {
                Some(None) => None,
                Some(Some(sequence)) => Some(sequence),
                None => put.messages.first().and_then(known),
            };
            let Some(first) = first else { continue };
            let end = first + put.messages.len() as u64;
            let before = last.insert((put.connection, put.queue), end);
            if before.is_some_and(|before| first < before) {
                violations.push(format!(
                    "connection {} put sequence {first} of queue {:#x} after {before:?}",
                    put.connection, put.queue
                ));
            }
        }
        for sentence in violations {
            self.violation(Verdict::Order, sentence);
        }
    }

    /// What a connection saw for the first time it saw in the order of its queue.
    fn first_seen_in_order(&mut self) {
        let mut steps = Vec::new();
        for (number, connection) in &self.connections {
            for (queue, sequences) in &connection.steps_back {
                if sequences.len() as u64 > self.queues[queue].takes_unseen {
                    steps.push((*number, *queue, sequences.clone()));
                }
            }
        }
        steps.sort();
        for (connection, queue, sequences) in steps {
            let sentence = format!(
                "connection {connection} first saw {sequences:?} of {queue:#x} after later ones"
            );
            self.violation(Verdict::Order, sentence);
        }
    }

    /// Each delivery after the first of a copy needs a cause in the one before it.
    fn redeliveries(&mut self, index: usize) {
        let Copy { queue, sequence, message, ref deliveries, .. } = self.copies[index];
        let copy = format!("sequence {sequence} of queue {queue:#x} (message {message})");
        let mut violations = Vec::new();
        let mut unseen = deliveries.first().is_some_and(|first| first.count > 1);
        for pair in deliveries.windows(2) {
            unseen |= pair[0].count + 1 < pair[1].count;
            let Some((verdict, why)) = without_cause(pair[0], pair[1]) else { continue };
            let again = pair[1].count;
            violations.push((verdict, format!("{copy} came again (delivery {again}): {why}")));
        }
        let queue = &self.queues[&queue];
        if unseen && queue.takes_unseen == 0 {
            let sentence = format!("{copy} counts a delivery that no take can have had");
            violations.push((Verdict::Duplicate, sentence));
        }
        let acked = deliveries.iter().any(Delivery::is_acked);
        let sent = &self.messages[&message];
        if acked && sent.in_dead_letters && !queue.is_dead && sent.attempts == 1 {
            let sentence = format!("{copy} was acknowledged and is a dead letter too");
            violations.push((Verdict::Duplicate, sentence));
        }
        for (verdict, sentence) in violations {
            self.violation(verdict, sentence);
        }
    }

    /// A message is stored as often as it was put, at most.
    fn surplus_copies(&mut self) {
        let mut surplus = Vec::new();
        for (message, sent) in &self.messages {
            let Some(verdict) = (match (sent.attempts, sent.copies) {
                (0, _) if sent.copies > 0 || sent.in_dead_letters => Some(Verdict::Phantom),
                (attempts, copies) if copies > attempts => Some(Verdict::Duplicate),
                _ => None,
            }) else {
                continue;
            };
            surplus.push((*message, verdict, sent.copies, sent.attempts));
        }
        surplus.sort();
        for (message, verdict, copies, attempts) in surplus {
            let sentence =
                format!("message {message} was delivered as {copies} copies of {attempts} puts");
            self.violation(verdict, sentence);
        }
    }

    /// Every copy was seen and settled, or is a dead letter, or may be gone for a reason that has a
    /// name.
    fn lost(&mut self) {
        for (index, copy) in self.copies.iter().enumerate() {
            let dead = self.messages[&copy.message].in_dead_letters;
            let open = match copy.deliveries.last() {
                Some(last) => last.is_open(),
                None => copy.acknowledged,
            };
            if open && !dead {
                let queue = self.queues.get_mut(&copy.queue).expect("a copy has its queue");
                queue.missing.push(index);
            }
        }
        let mut lost: Vec<usize> = Vec::new();
        for queue in self.queues.values() {
            let gone = queue.may_be_gone;
            let dead = queue.dead_letters.and_then(|dead| self.queues.get(&dead));
            let gone = gone.saturating_add(dead.map_or(0, |dead| dead.may_be_gone));
            if queue.missing.len() as u64 > gone {
                lost.extend(&queue.missing);
            }
        }
        lost.sort_unstable();
        for index in lost {
            let Copy { queue, sequence, message, .. } = self.copies[index];
            let sentence = format!(
                "message {message}, acknowledged as sequence {sequence} of queue {queue:#x}, was \
                 never seen again"
            );
            self.violation(Verdict::Lost, sentence);
        }
    }
}

impl Delivery {
    /// Whether an acknowledgement settled it.
    pub(super) fn is_acked(&self) -> bool {
        matches!(self.settled, Some((Settled::Acked, _)))
    }

    /// Whether the message must come again if this was its last delivery: leased, and surely not
    /// acknowledged.
    fn is_open(&self) -> bool {
        self.lease_until_ns.is_some() && self.acks_open == 0 && !self.is_acked()
    }
}

/// Why a delivery may not follow another of the same copy, if it may not.
fn without_cause(earlier: Delivery, later: Delivery) -> Option<(Verdict, &'static str)> {
    match earlier.settled {
        Some((_, asked_ns)) if asked_ns > later.seen_ns => {
            return Some((Verdict::Stale, "what came before was settled after that"));
        }
        Some((Settled::Acked, _)) => {
            return Some((Verdict::Duplicate, "what came before had been acknowledged"));
        }
        _ => {}
    }
    let nacked = earlier.nack_asked_ns.is_some_and(|asked_ns| asked_ns <= later.seen_ns);
    match earlier.lease_until_ns {
        None => Some((Verdict::Duplicate, "it had been taken for good")),
        Some(until_ns) if later.seen_ns < until_ns && !nacked => {
            Some((Verdict::Duplicate, "its lease had not run out"))
        }
        _ => None,
    }
}
