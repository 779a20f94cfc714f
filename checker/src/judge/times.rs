//! Nothing comes before it is due, and nothing after its time.

use super::super::event::Due;
use super::super::state::{Copy, SCHEDULED, band};
use super::super::{Checker, Verdict};

/// The server counts ages in whole milliseconds.
const TICK_NS: u64 = 1_000_000;

impl Checker {
    pub(super) fn too_early_or_late(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            // Dead letters and what was moved keep their attributes, but not their time.
            let queue = &self.queues[&copy.queue];
            if !queue.origins.is_empty() || !queue.moved_from.is_empty() {
                continue;
            }
            if let Some(why) = self.early(copy) {
                found.push((Verdict::Early, format!("{} {why}", self.called(index))));
            }
            if let Some(why) = self.late(copy) {
                found.push((Verdict::Expired, format!("{} {why}", self.called(index))));
            }
        }
        for (verdict, sentence) in found {
            self.violation(verdict, sentence);
        }
    }

    fn early(&self, copy: &Copy) -> Option<String> {
        let (put_ns, _) = self.stored_between(copy);
        let seen = copy.courses.values().flatten().map(|at| self.deliveries[*at].seen_ns);
        let first_ns = seen.min()?;
        match self.messages[&copy.message].traits.due {
            Due::Now => None,
            Due::After(delay_ms) => {
                let due_ns = put_ns.saturating_add(delay_ms.saturating_mul(1_000_000));
                let early = first_ns.saturating_add(self.slack_ns) < due_ns;
                early.then(|| format!("came {} ns before its delay was over", due_ns - first_ns))
            }
            Due::At(at_ms) => {
                let latest_ms = self.wall_max_ms(put_ns, first_ns.saturating_add(self.slack_ns))?;
                (latest_ms < at_ms).then(|| format!("came {} ms too early", at_ms - latest_ms))
            }
        }
    }

    /// The latest that the wall clock has read between two moments, if somebody said what it reads.
    fn wall_max_ms(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        let ends = self.clock.iter().skip(1).map(|(at_ns, _)| *at_ns).chain([u64::MAX]);
        let pieces = self.clock.iter().zip(ends);
        let pieces = pieces.filter(|((at_ns, _), end_ns)| *at_ns <= to_ns && *end_ns >= from_ns);
        let read = pieces.map(|((at_ns, wall_ms), end_ns)| {
            wall_ms + (to_ns.min(end_ns) - at_ns).div_ceil(1_000_000)
        });
        read.max()
    }

    fn late(&self, copy: &Copy) -> Option<String> {
        let lifetime_ns = self.lifetime_ms(copy)?.saturating_mul(1_000_000);
        // A message that was scheduled lives from when it was due, and nobody saw that.
        let (_, put_ns) = self.stored_between(copy);
        let over_ns = put_ns?.saturating_add(lifetime_ns).saturating_add(TICK_NS + self.slack_ns);
        let asked = copy.courses.values().flatten().map(|at| self.deliveries[*at].asked_ns);
        let last_ns = asked.max()?;
        (last_ns >= over_ns).then(|| format!("was asked for {} ns too late", last_ns - over_ns))
    }

    /// Whether a copy may have expired by the end of the history.
    pub(super) fn may_expire(&self, message: u64, queue: u64, put_ns: u64) -> bool {
        let own = self.messages[&message].traits.ttl_ms;
        let facts = self.queues[&queue].facts;
        let lifetime_ms = [own, facts.ttl_ms].into_iter().filter(|ms| *ms > 0).min();
        let until_ns = self.last_ns + TICK_NS + self.slack_ns;
        lifetime_ms.is_some_and(|ms| put_ns.saturating_add(ms * 1_000_000) <= until_ns)
    }

    /// Whether a copy's sequences are those of messages that wait to be due.
    pub(super) fn is_scheduled(sequence: u64) -> bool {
        band(sequence) == SCHEDULED
    }
}
