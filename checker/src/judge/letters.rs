//! Dead letters: each with the reason that it states, once for each group.

use super::super::event::Reason;
use super::super::state::{Copy, Delivery};
use super::super::{Checker, Verdict};

impl Checker {
    pub(super) fn letters_with_reason(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            if copy.letters.is_empty() {
                continue;
            }
            let name = self.called(index);
            if copy.letters.len() > self.groups_max(copy.queue) && self.dies_alone(copy) {
                let letters = copy.letters.len();
                found.push((Verdict::Duplicate, format!("{name} is {letters} dead letters")));
            }
            let mut deliveries = copy.courses.values().flatten().map(|at| &self.deliveries[*at]);
            let acked = deliveries.any(Delivery::is_acked);
            if self.groups_max(copy.queue) == 1 && acked {
                let sentence = format!("{name} was acknowledged, and is a dead letter too");
                found.push((Verdict::Duplicate, sentence));
            }
            for letter in &copy.letters {
                if let Some(why) = self.without_reason(copy, letter.reason, letter.deliveries) {
                    found.push((Verdict::Letter, format!("{name} is a dead letter, {why}")));
                }
            }
        }
        for (verdict, sentence) in found {
            self.violation(verdict, sentence);
        }
    }

    /// Whether no other queue of the same name may have had the same message at the same sequence:
    /// its dead letters look the same.
    fn dies_alone(&self, copy: &Copy) -> bool {
        let letters = self.queues[&copy.queue].dead_letters.iter().map(|dead| &self.queues[dead]);
        let mut others =
            letters.flat_map(|dead| &dead.origins).filter(|other| **other != copy.queue);
        others.all(|other| {
            let other = &self.queues[other];
            other.moved_from.is_empty() && !other.holdings.contains_key(&copy.message)
        })
    }

    fn without_reason(&self, copy: &Copy, reason: Reason, deliveries: u32) -> Option<String> {
        let facts = self.queues[&copy.queue].facts;
        let (most, mut all) = (facts.deliveries_max, copy.courses.values().flatten());
        match reason {
            Reason::Deliveries if most == 0 || deliveries < most => {
                Some(format!("delivered too often after {deliveries} of {most} deliveries"))
            }
            Reason::Rejected if !all.any(|at| self.deliveries[*at].rejected) => {
                Some("and nobody rejected it".to_owned())
            }
            Reason::Expired if !facts.dead_letter_expired => {
                Some("expired, and its queue drops what expires".to_owned())
            }
            Reason::Expired => {
                let (put_ns, _) = self.stored_between(copy);
                let expired = self.may_expire(copy.message, copy.queue, put_ns);
                (!expired).then(|| "expired, before its time was over".to_owned())
            }
            _ => None,
        }
    }
}
