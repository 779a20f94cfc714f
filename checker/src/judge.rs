//! The end of a history: what only shows when all of it is known.

mod active;
mod again;
mod credit;
mod keys;
mod letters;
mod lost;
mod order;
mod paused;
mod starts;
mod surplus;
mod times;

use super::{Checker, Verdict, Violations};

impl Checker {
    /// Judges the history. Every group must have been emptied before, by takes that are part of it.
    pub fn finish(mut self) -> Violations {
        for copy in 0..self.copies.len() {
            let Self { copies, deliveries, .. } = &mut self;
            for course in copies[copy].courses.values_mut() {
                course.sort_by_key(|delivery| deliveries[*delivery].count);
            }
        }
        self.publish_unseen();
        self.unanswered();
        self.stored_in_order();
        self.first_seen_in_order();
        self.urgent_first();
        self.redeliveries();
        self.keys_in_order();
        self.too_early_or_late();
        self.letters_with_reason();
        self.within_credit();
        self.nothing_from_before();
        self.one_consumer();
        self.nothing_while_paused();
        self.nothing_removed();
        self.surplus_copies();
        self.unseen_transfers();
        self.lost();
        self.violations.sort();
        self.violations
    }

    fn unanswered(&mut self) {
        let mut unanswered = Vec::new();
        for (number, connection) in
            self.connections.iter().filter(|(_, one)| one.ended_ns.is_none())
        {
            for (name, outstanding) in &connection.outstanding {
                if !self.is_subscribed(outstanding) {
                    unanswered.push(format!(
                        "connection {number} waits for {name:?}, {:?}",
                        outstanding.ask
                    ));
                }
            }
        }
        for sentence in unanswered {
            self.violation(Verdict::Unanswered, sentence);
        }
    }

    /// Whether a request was answered and will be again.
    fn is_subscribed(&self, asked: &super::state::Outstanding) -> bool {
        let subscribes = matches!(asked.ask, super::Ask::Subscribe(_));
        subscribes && self.subscriptions[asked.place].name.is_some()
    }

    /// How a copy is called in a sentence.
    fn called(&self, copy: usize) -> String {
        let copy = &self.copies[copy];
        format!(
            "sequence {:#x} of queue {:#x} (message {})",
            copy.sequence, copy.queue, copy.message
        )
    }
}
