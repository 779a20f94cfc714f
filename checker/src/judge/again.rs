//! Deliveries after the first: each needs a cause in the one before it.

use super::super::state::{Delivery, Ended};
use super::super::{Checker, Verdict};

impl Checker {
    pub(super) fn redeliveries(&mut self) {
        let mut violations = Vec::new();
        for copy in 0..self.copies.len() {
            for group in self.copies[copy].courses.keys() {
                self.redeliveries_to(copy, *group, &mut violations);
            }
        }
        for (verdict, sentence) in violations {
            self.violation(verdict, sentence);
        }
    }

    fn redeliveries_to(&self, index: usize, group: u32, found: &mut Vec<(Verdict, String)>) {
        let copy = &self.copies[index];
        let course = &copy.courses[&group];
        let (queue, name) = (&self.queues[&copy.queue], self.called(index));
        let delivery = |at: &usize| &self.deliveries[*at];
        let mut unseen = course.first().is_some_and(|first| delivery(first).count > 1);
        for pair in course.windows(2) {
            let (earlier, later) = (delivery(&pair[0]), delivery(&pair[1]));
            unseen |= earlier.count + 1 < later.count;
            let adjacent = earlier.count + 1 == later.count;
            let Some((verdict, why)) = self.without_cause(earlier, later, adjacent) else {
                continue;
            };
            let again = later.count;
            found.push((verdict, format!("{name} came to group {group} again ({again}): {why}")));
        }
        if unseen && queue.groups.get(&group).is_none_or(|group| group.takes_unseen == 0) {
            let sentence = format!("{name} counts a delivery that no take can have had");
            found.push((Verdict::Duplicate, sentence));
        }
        let most = queue.facts.deliveries_max;
        if let Some(last) = course.last().map(delivery)
            && most > 0
            && last.count > most
        {
            let sentence = format!("{name} was delivered {} times, of {most}", last.count);
            found.push((Verdict::Duplicate, sentence));
        }
    }

    /// Why a delivery may not follow another of the same course, if it may not. If nobody saw one
    /// between them, what ended the first is known and no more.
    fn without_cause(
        &self,
        earlier: &Delivery,
        later: &Delivery,
        adjacent: bool,
    ) -> Option<(Verdict, &'static str)> {
        match earlier.settled {
            Some((_, asked_ns)) if asked_ns > later.seen_ns => {
                return Some((Verdict::Stale, "what came before was settled after that"));
            }
            Some((Ended::Acked, _)) => {
                return Some((Verdict::Duplicate, "what came before had been acknowledged"));
            }
            _ => {}
        }
        let Some(lease) = earlier.lease else {
            return Some((Verdict::Duplicate, "it had been taken for good"));
        };
        let left_ns = earlier.subscription.and_then(|at| self.subscriptions[at].ended_ns);
        let left = left_ns.is_some_and(|ended_ns| ended_ns <= later.seen_ns);
        if left || self.leases[lease].until_ns <= later.seen_ns.saturating_add(self.slack_ns) {
            return None;
        }
        let Some((asked_ns, delay_ns)) = earlier.nack.filter(|nack| nack.0 <= later.seen_ns) else {
            return Some((Verdict::Duplicate, "its lease had not run out"));
        };
        let due_ns = asked_ns.saturating_add(delay_ns);
        let early = adjacent && later.seen_ns.saturating_add(self.slack_ns) < due_ns;
        early.then_some((Verdict::Early, "it was given back for longer"))
    }
}
