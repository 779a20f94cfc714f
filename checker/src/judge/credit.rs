//! A subscription has no more unsettled than its credit, and a group that began later gets nothing
//! from before.

use super::super::event::Start;
use super::super::{Checker, Verdict};

impl Checker {
    pub(super) fn within_credit(&mut self) {
        let mut found = Vec::new();
        for (place, subscription) in self.subscriptions.iter().enumerate() {
            let most = subscription.messages_max as usize;
            let mut held: Vec<u64> = Vec::new();
            let mut worst = 0;
            for delivery in &subscription.deliveries {
                let delivery = &self.deliveries[*delivery];
                held.retain(|over_ns| *over_ns > delivery.seen_ns);
                held.extend(Some(self.over_ns(delivery)).filter(|over| *over > delivery.seen_ns));
                worst = held.len().max(worst);
            }
            if worst > most {
                found.push(format!(
                    "subscription {place} of queue {:#x} had {worst} messages unsettled, of {most}",
                    subscription.queue
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
