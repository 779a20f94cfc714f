//! Nothing is delivered from what is paused, and nothing is put there.

use super::super::state::{Outcome, Put};
use super::super::switch::During;
use super::super::{Checker, Verdict};

impl Checker {
    pub(super) fn nothing_while_paused(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            let queue = &self.queues[&copy.queue];
            for (group, course) in &copy.courses {
                let name = queue.groups.get(group).and_then(|group| group.name);
                let paused = name.and_then(|name| queue.groups_paused.get(&name));
                let paused = |during| {
                    let group_paused = paused.is_some_and(|it| it.surely(true, *group, during));
                    group_paused || queue.takes_paused.surely(true, 0, during)
                };
                let deliveries = course.iter().map(|place| &self.deliveries[*place]);
                let mut during = deliveries.filter(|one| one.first).map(|one| During {
                    connection: one.connection,
                    order: None,
                    asked_ns: one.asked_ns,
                    from_ns: one.began_ns,
                    to_ns: one.seen_ns,
                });
                if during.any(paused) {
                    let name = self.called(index);
                    found.push(format!("{name} came to group {group}, which was paused"));
                }
            }
        }
        for put in &self.puts {
            let Put { connection, order, queue, asked_ns, answered_ns, ref outcome, .. } = *put;
            let Outcome::Stored(stretches) = outcome else { continue };
            let (order, to_ns) = (Some(order), answered_ns.unwrap_or(u64::MAX));
            let during = During { connection, order, asked_ns, from_ns: asked_ns, to_ns };
            if self.queues[&queue].puts_paused.surely(true, 0, during) {
                found.push(format!("queue {queue:#x} stored {stretches:?} while that was paused"));
            }
        }
        for sentence in found {
            self.violation(Verdict::Paused, sentence);
        }
    }

    /// What was removed does not come any more. A scheduled message comes under another sequence:
    /// it is known again if it was put once.
    pub(super) fn nothing_removed(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            let queue = &self.queues[&copy.queue];
            let holding = queue.holdings.get(&copy.message);
            let scheduled = holding.and_then(|holding| match holding.scheduled[..] {
                [sequence] if holding.puts.len() == 1 => Some(sequence),
                _ => None,
            });
            let removed = |sequence: u64| queue.removals.get(&sequence).copied().flatten();
            let moved = !queue.moved_from.is_empty() || !queue.origins.is_empty();
            let later = scheduled.filter(|_| !moved).and_then(removed);
            let Some(gone_ns) = removed(copy.sequence).or(later) else { continue };
            let mut deliveries = copy.courses.values().flatten();
            if deliveries.any(|place| self.deliveries[*place].began_ns >= gone_ns) {
                found.push(format!("{} came after it was removed", self.called(index)));
            }
        }
        for sentence in found {
            self.violation(Verdict::Phantom, sentence);
        }
    }
}
