//! What is stored stands in the order of sending, what comes first comes in the order of its queue,
//! and the most urgent comes first.

use std::collections::HashMap;

use super::super::batches::places;
use super::super::event::{Due, Place};
use super::super::state::{Copy, Delivery, Outcome, SCHEDULED, band, line, part};
use super::super::{Checker, Verdict};

/// How long after its client left a connection may still hold messages, until the server knows.
const UNSEEN_NS: u64 = 100_000_000;

impl Checker {
    /// On one connection, what was put into a band of a queue later stands behind what was put
    /// earlier; in each part of it, if it is spread.
    pub(super) fn stored_in_order(&mut self) {
        let mut last: HashMap<(u64, u64, u64), (u64, u64)> = HashMap::new();
        let mut found = Vec::new();
        let mut puts: Vec<_> = self.puts.iter().collect();
        puts.sort_by_key(|put| put.order);
        for put in puts {
            let mut see = |sequence: u64, message: u64| {
                let line = (put.connection, put.queue, line(sequence));
                let before = last.get(&line).copied();
                if let Some((_, other)) = before.filter(|(before, _)| sequence <= *before) {
                    found.push(format!(
                        "connection {} put message {message} into queue {:#x} after message \
                         {other}, which stands behind it",
                        put.connection, put.queue
                    ));
                }
                last.insert(line, (sequence, message));
            };
            match &put.outcome {
                Outcome::Refused => {}
                Outcome::Stored(stretches) => {
                    for ((sequence, place), message) in places(stretches).zip(&put.messages) {
                        if place != Place::Before {
                            see(sequence, *message);
                        }
                    }
                }
                Outcome::Unknown | Outcome::Somewhere => {
                    for message in &put.messages {
                        if let Some(sequence) = self.only_copy(put.queue, *message) {
                            see(sequence, *message);
                        }
                    }
                }
            }
        }
        for sentence in found {
            self.violation(Verdict::Order, sentence);
        }
    }

    /// A put whose place nobody knows shows where it stands by its only copy, if that was seen.
    fn only_copy(&self, queue: u64, message: u64) -> Option<u64> {
        let known = &self.queues[&queue];
        let plain = known.moved_from.is_empty() && known.origins.is_empty();
        let holding = known.holdings.get(&message).filter(|_| plain)?;
        let at_once = self.messages[&message].traits.due == Due::Now;
        match (&holding.puts[..], &holding.copies[..]) {
            ([_], [copy]) if at_once => Some(self.copies[*copy].sequence),
            _ => None,
        }
    }

    /// What a connection saw for the first time it saw in the order of its queue.
    pub(super) fn first_seen_in_order(&mut self) {
        let mut found = Vec::new();
        for (number, connection) in &self.connections {
            for ((queue, group, line), sequences) in &connection.steps_back {
                let unseen = self.queues[queue].groups.get(group);
                if sequences.len() as u64 > unseen.map_or(0, |group| group.takes_unseen) {
                    found.push(format!(
                        "connection {number} first saw {sequences:?} of group {group}, line \
                         {line:#x} of queue {queue:#x} after later ones"
                    ));
                }
            }
        }
        for sentence in found {
            self.violation(Verdict::Order, sentence);
        }
    }

    /// Where bands are strict, a delivery does not begin in a lower band than that of a message of
    /// its part which was surely there, fresh and free of keys. While a take may have held messages
    /// whose reply nobody saw, nothing was surely there: what it held comes back uncounted.
    pub(super) fn urgent_first(&mut self) {
        let mut lines: HashMap<(u64, u32, u64), Line> = HashMap::new();
        for copy in &self.copies {
            let queue = &self.queues[&copy.queue];
            if !queue.facts.strict {
                continue;
            }
            for (group, course) in &copy.courses {
                let of = (copy.queue, *group, part(copy.sequence));
                let line = lines.entry(of).or_default();
                let first = |at: &&usize| self.deliveries[**at].first;
                line.begins.extend(course.iter().filter(first));
                line.waits.extend(self.wait(copy, course));
            }
        }
        let mut found = Vec::new();
        for ((queue, group, _), mut line) in lines {
            let unseen = self.queues[&queue].groups.get(&group).map(|group| &group.unseen[..]);
            let unseen = disjoint(unseen.unwrap_or_default(), UNSEEN_NS + self.slack_ns);
            line.begins.retain(|at| {
                let Delivery { asked_ns, seen_ns, .. } = self.deliveries[*at];
                let next = unseen.partition_point(|(_, end_ns)| *end_ns < asked_ns);
                unseen.get(next).is_none_or(|(from_ns, _)| *from_ns > seen_ns)
            });
            self.passed_over(line, &mut found);
        }
        for sentence in found {
            self.violation(Verdict::Order, sentence);
        }
    }

    /// How long a copy was there for a group, for certain and for any take.
    fn wait(&self, copy: &Copy, course: &[usize]) -> Option<Wait> {
        let traits = self.messages[&copy.message].traits;
        let put_ns = self.puts[copy.put?].answered_ns?;
        let first = &self.deliveries[*course.first()?];
        let plain = traits.key.is_none() && first.count == 1 && first.subscription.is_none();
        let wait = Wait { put_ns, taken_ns: first.asked_ns, band: band(copy.sequence) };
        plain.then_some(wait)
    }

    fn passed_over(&self, line: Line, found: &mut Vec<String>) {
        let Line { mut waits, mut begins } = line;
        waits.sort_by_key(|wait| wait.put_ns);
        begins.sort_by_key(|place| self.deliveries[*place].asked_ns);
        // For each band, when the last of those put so far was taken.
        let mut last_ns = [0_u64; SCHEDULED as usize];
        let mut next = 0;
        for place in begins {
            let delivery = &self.deliveries[place];
            while next < waits.len() && waits[next].put_ns <= delivery.asked_ns {
                let Wait { taken_ns, band, .. } = waits[next];
                let last_ns = &mut last_ns[band as usize];
                *last_ns = taken_ns.max(*last_ns);
                next += 1;
            }
            let lower = band(self.copies[delivery.copy].sequence);
            let higher =
                (lower + 1..SCHEDULED).find(|band| last_ns[*band as usize] >= delivery.seen_ns);
            if let Some(higher) = higher {
                let name = self.called(delivery.copy);
                found.push(format!("{name} came while one of band {higher} was there"));
            }
        }
    }
}

/// Stretches of time, each so much longer, as few that do not touch each other.
fn disjoint(stretches: &[(u64, u64)], longer_ns: u64) -> Vec<(u64, u64)> {
    let mut sorted = stretches.to_vec();
    sorted.sort_unstable();
    let mut disjoint: Vec<(u64, u64)> = Vec::new();
    for (from_ns, until_ns) in sorted {
        let until_ns = until_ns.saturating_add(longer_ns);
        match disjoint.last_mut() {
            Some(last) if last.1 >= from_ns => last.1 = last.1.max(until_ns),
            _ => disjoint.push((from_ns, until_ns)),
        }
    }
    disjoint
}

/// What a group of a queue with strict bands got.
#[derive(Default)]
struct Line {
    waits: Vec<Wait>,
    /// The first message of each delivery.
    begins: Vec<usize>,
}

/// A message that was surely there from `put_ns` to `taken_ns`.
struct Wait {
    put_ns: u64,
    taken_ns: u64,
    band: u64,
}
