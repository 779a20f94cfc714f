//! A group gets nothing from before its start, and of a queue that keeps everything all from there
//! on.

use super::super::event::Start;
use super::super::state::{Copy, Group, line};
use super::super::{Checker, Verdict};

/// The server counts times in whole milliseconds, by both clocks.
const TICKS_NS: i128 = 2_000_000;

impl Checker {
    pub(super) fn nothing_from_before(&mut self) {
        let mut found = Vec::new();
        for (index, copy) in self.copies.iter().enumerate() {
            for group in copy.courses.keys() {
                let known = self.queues[&copy.queue].groups.get(group);
                if known.is_some_and(|group| self.is_before(copy, group)) {
                    let name = self.called(index);
                    found.push(format!("{name} came to group {group}, which begins after it"));
                }
            }
        }
        for sentence in found {
            self.violation(Verdict::Phantom, sentence);
        }
    }

    /// Whether a copy was surely there before a group, and before where that starts.
    fn is_before(&self, copy: &Copy, group: &Group) -> bool {
        let Some((asked_ns, known_ns, start)) = group.made else { return false };
        let answered_ns = copy.put.and_then(|put| self.puts[put].answered_ns);
        let Some(put_ns) = answered_ns.filter(|put_ns| *put_ns < asked_ns) else { return false };
        match start {
            Start::Anywhere | Start::Earliest => false,
            Start::Latest => true,
            Start::Sequence(first) => line(first) == line(copy.sequence) && copy.sequence < first,
            Start::Time(wall_ms) => self
                .since(wall_ms, (asked_ns, known_ns))
                .is_some_and(|(from_ns, _)| i128::from(put_ns) + TICKS_NS < from_ns),
        }
    }

    /// Whether a group that was made after a copy was put gets it all the same, if its queue keeps
    /// everything.
    pub(super) fn is_replayed(&self, copy: &Copy, group: &Group, put_ns: u64) -> bool {
        let Some((asked_ns, known_ns, start)) = group.made else { return false };
        let keeps = self.queues[&copy.queue].facts.keeps;
        keeps
            && match start {
                Start::Anywhere | Start::Latest => false,
                Start::Earliest => true,
                Start::Sequence(first) => {
                    line(first) == line(copy.sequence) && copy.sequence >= first
                }
                Start::Time(wall_ms) => self
                    .since(wall_ms, (asked_ns, known_ns))
                    .is_some_and(|(_, to_ns)| i128::from(put_ns) > to_ns + TICKS_NS),
            }
    }

    /// Between which moments the wall clock read so, seen from whenever a group was made; not
    /// later than that. Nothing if nobody said what the clock reads.
    fn since(&self, wall_ms: u64, (asked_ns, known_ns): (u64, u64)) -> Option<(i128, i128)> {
        let ends = self.clock.iter().skip(1).map(|(at_ns, _)| *at_ns).chain([u64::MAX]);
        let pieces = self.clock.iter().zip(ends);
        let pieces =
            pieces.filter(|((at_ns, _), end_ns)| *at_ns <= known_ns && *end_ns >= asked_ns);
        let moments = pieces.map(|((at_ns, read_ms), end_ns)| {
            let ago_ns = (i128::from(*read_ms) - i128::from(wall_ms)) * 1_000_000;
            let then_ns = i128::from(*at_ns) - ago_ns;
            let (first_ns, last_ns) = (asked_ns.max(*at_ns), known_ns.min(end_ns));
            (then_ns.min(first_ns.into()), then_ns.min(last_ns.into()))
        });
        let slack_ns = i128::from(self.slack_ns);
        let all = moments.reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
        all.map(|(from_ns, to_ns)| (from_ns - slack_ns, to_ns + slack_ns))
    }
}
