//! A subscription has no more unsettled than its credit.

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
                let most = self.credit_at(subscription, delivery.seen_ns);
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
    }
    /// The most that it may have unsettled when something is pushed that was seen then: of what may
    /// have been in force. A reply to other credit comes behind what was pushed before.
    ///
    /// Parts of a spread queue have equal shares, rounded up, and one that has pushed more than a
    /// smaller share allows stops no other: all that was ever in force counts.
    fn credit_at(&self, subscription: &Subscription, seen_ns: u64) -> u64 {
        let Subscription { credits, queue, .. } = subscription;
        let parts = u64::from(self.queues[queue].facts.spread).max(1);
        let known = |known_ns: Option<u64>| known_ns.is_some_and(|known_ns| known_ns < seen_ns);
        let in_force = credits.iter().rposition(|credit| known(credit.known_ns));
        let since = in_force.filter(|_| parts == 1).unwrap_or(0);
        let may_be = credits[since..].iter().filter(|credit| credit.asked_ns <= seen_ns);
        let most = may_be.map(|credit| u64::from(credit.messages_max)).max().unwrap_or(0);
        if most == 0 { 0 } else { most + parts - 1 }
    }
}
