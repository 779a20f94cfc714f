//! Acks, nacks and transfers: what they name, and what their replies say.

use super::event::{How, RangeOutcome, Settled};
use super::state::{Ended, Outcome, Transfer};
use super::{Checker, Verdict};
use ringway_protocol::QueueId;

impl Checker {
    /// The deliveries that ranges of a lease name, as far as the history knows the lease.
    fn named(&self, (queue, lease): (u64, u64), ranges: &[(u32, u32)]) -> Vec<usize> {
        let Some(lease) = self.lease_names.get(&(queue, lease)) else { return Vec::new() };
        let messages = &self.leases[*lease].messages;
        let index = |(first, count): &(u32, u32)| {
            let last = first.saturating_add(*count) as usize;
            (*first as usize).min(messages.len())..last.min(messages.len())
        };
        ranges.iter().flat_map(|range| &messages[index(range)]).flatten().copied().collect()
    }

    fn all_named(&self, settled: &Settled) -> Vec<usize> {
        self.named((settled.queue, settled.lease), &settled.ranges)
    }

    /// From now on its messages may be settled.
    pub(super) fn settle_asked(&mut self, settled: &Settled, how: How, at_ns: u64) {
        let queue = self.queues.get(&settled.queue);
        let backoff_ns = queue.map_or(0, |queue| queue.facts.backoff_least_ms * 1_000_000);
        for delivery in self.all_named(settled) {
            let delivery = &mut self.deliveries[delivery];
            delivery.end_asked_ns.get_or_insert(at_ns);
            match how {
                How::Ack => delivery.acks_open += 1,
                How::Nack(delay_ms) => {
                    // Without a delay of its own the queue's back-off counts.
                    let delay_ns = match delay_ms {
                        0 => backoff_ns,
                        delay_ms => u64::from(delay_ms) * 1_000_000,
                    };
                    let nack = delivery.nack.get_or_insert((at_ns, delay_ns));
                    nack.1 = nack.1.min(delay_ns);
                }
                How::Reject => {
                    delivery.nack.get_or_insert((at_ns, 0)).1 = 0;
                    delivery.rejected = true;
                }
            }
        }
    }

    pub(super) fn settle_refused(&mut self, settled: &Settled, how: How) {
        if how == How::Ack {
            for delivery in self.all_named(settled) {
                self.deliveries[delivery].acks_open -= 1;
            }
        }
    }

    /// An ack or nack was answered.
    pub(super) fn settled(
        &mut self,
        settled: &Settled,
        (how, asked_ns): (How, u64),
        outcomes: &[RangeOutcome],
    ) {
        self.settle_refused(settled, how);
        let ranges: Vec<(u32, u32)> = match outcomes {
            [] => settled.ranges.clone(),
            outcomes => {
                let settled = outcomes.iter().filter(|outcome| outcome.settled);
                settled.map(|outcome| (outcome.first, outcome.count)).collect()
            }
        };
        let how = if how == How::Ack { Ended::Acked } else { Ended::Nacked };
        let named = self.named((settled.queue, settled.lease), &ranges);
        self.end(&named, how, asked_ns);
    }

    /// A reply says that deliveries are settled.
    fn end(&mut self, named: &[usize], how: Ended, asked_ns: u64) {
        for &delivery in named {
            let delivery = &mut self.deliveries[delivery];
            // Whether another delivery was settled shows at the end: replies are read in any order.
            if let Some(before) = delivery.settled.replace((how, asked_ns)) {
                let (count, copy) = (delivery.count, &self.copies[delivery.copy]);
                let sentence = format!(
                    "delivery {count} of sequence {} of queue {:#x} was settled by {before:?} and \
                     by {:?}",
                    copy.sequence,
                    copy.queue,
                    (how, asked_ns)
                );
                self.violation(Verdict::Stale, sentence);
            }
        }
    }

    pub(super) fn transfer_asked(&mut self, settled: &Settled, put: usize, at_ns: u64) -> usize {
        self.settle_asked(settled, How::Ack, at_ns);
        let sources = self.all_named(settled);
        let (from, to) = (settled.queue, self.puts[put].queue);
        let spread = [from, to].iter().any(|queue| self.queue(*queue).facts.is_spread());
        let one_shard = QueueId(from).shard() == QueueId(to).shard() && !spread;
        self.transfers.push(Transfer { sources, put, one_shard, known: false });
        self.transfers.len() - 1
    }

    pub(super) fn transfer_refused(&mut self, place: usize) {
        self.transfers[place].known = true;
        for source in self.transfers[place].sources.clone() {
            self.deliveries[source].acks_open -= 1;
        }
    }

    /// A transfer was answered; `all` says whether every message was acknowledged.
    pub(super) fn transferred(
        &mut self,
        settled: &Settled,
        place: usize,
        asked_ns: u64,
        all: bool,
    ) {
        self.transfers[place].known = true;
        if all {
            let sources = self.transfers[place].sources.clone();
            for source in &sources {
                self.deliveries[*source].acks_open -= 1;
            }
            self.end(&sources, Ended::Acked, asked_ns);
        } else if self.transfers[place].one_shard {
            let sentence = format!(
                "a transfer from lease {:#x} put its results and acknowledged only a part",
                settled.lease
            );
            self.violation(Verdict::Stale, sentence);
        }
        // On two shards nobody knows which part it was: the acknowledgements stay open.
    }

    /// Transfers within a shard of which nobody saw the reply did all of their work or none.
    pub(super) fn unseen_transfers(&mut self) {
        let mut violations = Vec::new();
        for transfer in self.transfers.iter().filter(|one| one.one_shard && !one.known) {
            let put = &self.puts[transfer.put];
            if put.outcome != Outcome::Unknown {
                continue;
            }
            let to = &self.queues[&put.queue];
            let there = put.messages.iter().any(|message| {
                to.holdings.get(message).is_some_and(|holding| !holding.copies.is_empty())
            });
            let hidden = to.deletions > 0 || to.groups.values().any(|group| group.gone > 0);
            for source in &transfer.sources {
                let delivery = &self.deliveries[*source];
                let copy = &self.copies[delivery.copy];
                let course = copy.courses.values().find(|course| course.contains(source));
                let course = course.expect("a delivery is in its copy's course");
                let last = course.iter().map(|at| self.deliveries[*at].count).max();
                let again = last > Some(delivery.count);
                let name = format!("sequence {} of queue {:#x}", copy.sequence, copy.queue);
                if there && again {
                    let sentence = format!("{name} was replaced by its result, and came again");
                    violations.push((Verdict::Duplicate, sentence));
                }
                let alone = delivery.acks_open == 1 && delivery.settled.is_none();
                let gone = !again && alone && copy.letters.is_empty();
                if gone && !there && !hidden && self.must_stay(delivery.copy) {
                    let sentence = format!("{name} is gone, and so is the result that replaced it");
                    violations.push((Verdict::Lost, sentence));
                }
            }
        }
        for (verdict, sentence) in violations {
            self.violation(verdict, sentence);
        }
    }

    /// Whether nothing but a consumer can have ended a copy.
    fn must_stay(&self, copy: usize) -> bool {
        let copy = &self.copies[copy];
        let queue = &self.queues[&copy.queue];
        let kept = queue
            .groups
            .values()
            .all(|group| !queue.is_removed(group) && group.gone == 0 && group.expired == 0);
        kept && queue.deletions == 0
            && queue.removals.is_empty()
            && queue.moved_to.is_empty()
            && queue.dead_letters.is_empty()
    }
}
