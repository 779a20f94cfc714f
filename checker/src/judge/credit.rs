//! A subscription has no more unsettled than its credit, and a group that began later gets nothing
//! from before.

use super::super::event::Start;
use super::super::state::Subscription;
use super::super::{Checker, Verdict};

impl Checker {
    pub(super) fn within_credit(&mut self) {
        let mut found = Vec::new();
        for (place, subscription) in self.subscriptions.iter().enumerate() {
            let mut held: Vec<u64> = Vec::new();
            // The most that it had too many, and of how many it might have.
            let mut worst = (0, 0);
            for delivery in &subscription.deliveries {
                let delivery = &self.deliveries[*delivery];
                held.retain(|over_ns| *over_ns > delivery.seen_ns);
                held.extend(Some(self.over_ns(delivery)).filter(|over| *over > delivery.seen_ns));
                let most = subscription.credit_at(delivery.seen_ns);
                let over = (held.len() as u64).saturating_sub(most);
                worst = worst.max((over, most));
            }
            if let (over @ 1.., most) = worst {
                let (queue, had) = (subscription.queue, most + over);
                found.push(format!(
                    "subscription {place} of queue {queue:#x} had {had} messages unsettled, of \
                     {most}"
                ));
            }
        }
        for sentence in found {
            self.violation(Verdict::Credit, sentence);
        }
        self.nothing_from_before();
    }

    /// A group that starts with what comes next gets nothing that was there before.
    fn nothing_from_before(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            let Some(put) = copy.put else { continue };
            let Some(answered_ns) = self.puts[put].answered_ns else { continue };
            for group in copy.courses.keys() {
                let made = self.queues[&copy.queue].groups.get(group).and_then(|one| one.made);
                if let Some((asked_ns, _, Start::Latest)) = made
                    && answered_ns < asked_ns
                {
                    let name = self.called(index);
                    found.push(format!("{name} came to group {group}, which began after it"));
                }
            }
        }
        for sentence in found {
            self.violation(Verdict::Phantom, sentence);
        }
    }
}

impl Subscription {
    /// The most that it may have unsettled when something is pushed that was seen then: of what may
    /// have been in force. A reply to other credit comes behind what was pushed before.
    fn credit_at(&self, seen_ns: u64) -> u64 {
        let known = |known_ns: Option<u64>| known_ns.is_some_and(|known_ns| known_ns < seen_ns);
        let since = self.credits.iter().rposition(|credit| known(credit.known_ns)).unwrap_or(0);
        let may_be = self.credits[since..].iter().filter(|credit| credit.asked_ns <= seen_ns);
        may_be.map(|credit| u64::from(credit.messages_max)).max().unwrap_or(0)
    }
}
