//! Every copy was seen and settled by every group that it is for, or is a dead letter, or may be
//! gone for a reason that has a name.

use super::super::state::{Copy, Delivery, Ended, Group, Holding, Outcome, Queue};
use super::super::{Checker, Verdict};

/// What a group misses: how it is called, and whether it may have expired.
type Missing = (String, bool);

impl Checker {
    pub(super) fn lost(&mut self) {
        let mut found = Vec::new();
        for (number, queue) in &self.queues {
            if queue.deletions > 0 {
                continue;
            }
            let nobody = Group::default();
            let groups = queue.groups.iter().map(|(group, known)| (*group, known));
            let first = (!queue.groups.contains_key(&0)).then_some((0, &nobody));
            for (group, known) in first.into_iter().chain(groups) {
                if queue.is_removed(known) {
                    continue;
                }
                let missing = self.missing(*number, queue, group, known);
                self.unexcused(queue, known, &missing, &mut found);
            }
        }
        for sentence in found {
            self.violation(Verdict::Lost, sentence);
        }
    }

    /// What a group should have got, or got again.
    fn missing(&self, number: u64, queue: &Queue, group: u32, known: &Group) -> Vec<Missing> {
        let mut missing = Vec::new();
        for (message, holding) in &queue.holdings {
            for index in &holding.copies {
                let copy = &self.copies[*index];
                let (put_ns, _) = self.stored_between(copy);
                if self.misses(copy, group, known, put_ns) && !self.moved_on(queue, *message) {
                    let sentence = format!("group {group} misses {}", self.called(*index));
                    missing.push((sentence, self.may_expire(*message, number, put_ns)));
                }
            }
            let (short, put_ns) = self.short(queue, holding, known);
            for _ in 0..short {
                let sentence = format!(
                    "group {group} misses message {message}, acknowledged by queue {number:#x}"
                );
                missing.push((sentence, self.may_expire(*message, number, put_ns)));
            }
        }
        missing
    }

    /// Whether a copy should have come to a group, or come again.
    fn misses(&self, copy: &Copy, group: u32, known: &Group, put_ns: u64) -> bool {
        let course = copy.courses.get(&group).map_or(&[][..], |course| &course[..]);
        let open = match course.last() {
            Some(last) => self.deliveries[*last].is_open(),
            None => {
                let there = copy.acknowledged || !copy.courses.is_empty();
                let later = known.made.is_none_or(|(_, known_ns, _)| known_ns <= put_ns);
                there && (later || self.is_replayed(copy, known, put_ns))
            }
        };
        // With several groups a dead letter does not say whose it is.
        open && copy.letters.is_empty()
    }

    /// Copies of a message that were acknowledged and that no sequence belongs to, and when the
    /// first can have been put. Those that were to be removed while scheduled may be gone.
    fn short(&self, queue: &Queue, holding: &Holding, known: &Group) -> (u64, u64) {
        let somewhere = |put: &usize| self.copies_of_put(*put) == 0;
        let asked = holding.puts.iter().filter(|put| somewhere(put));
        let put_ns = asked.map(|put| self.puts[*put].asked_ns).min().unwrap_or(0);
        if known.made.is_some_and(|(_, known_ns, _)| known_ns > put_ns) {
            return (0, put_ns);
        }
        let unlinked = holding.copies.iter().filter(|copy| self.copies[**copy].put.is_none());
        let scheduled = holding.scheduled.iter();
        let removed = scheduled.filter(|sequence| queue.removals.contains_key(sequence));
        let excused = (unlinked.count() + removed.count()) as u64;
        (u64::from(holding.unplaced).saturating_sub(excused), put_ns)
    }

    /// Whether the reply of a put named sequences that messages are delivered with.
    fn copies_of_put(&self, put: usize) -> usize {
        match &self.puts[put].outcome {
            Outcome::Stored(stretches) => stretches
                .iter()
                .filter(|stretch| !Self::is_scheduled(stretch.first_sequence))
                .count(),
            _ => 0,
        }
    }

    /// Whether a message may have gone to another queue, or died and gone from there.
    fn moved_on(&self, queue: &Queue, message: u64) -> bool {
        let dead = queue.dead_letters.iter().filter_map(|dead| self.queues.get(dead));
        let moved_to = dead.chain([queue]).flat_map(|queue| &queue.moved_to);
        let mut reached = moved_to.filter_map(|to| self.queues.get(to));
        reached.any(|to| {
            let gone = to.groups.values().any(|group| group.gone > 0);
            // A copy that no put is known to have stored.
            let unlinked = |copy: &usize| self.copies[*copy].put.is_none();
            let holding = to.holdings.get(&message);
            gone || holding.is_some_and(|holding| holding.copies.iter().any(unlinked))
        })
    }

    /// What nothing excuses of what a group misses.
    fn unexcused(
        &self,
        queue: &Queue,
        known: &Group,
        missing: &[Missing],
        found: &mut Vec<String>,
    ) {
        let dead = queue.dead_letters.iter().filter_map(|dead| self.queues[dead].groups.get(&0));
        let sum = |sum: (u64, u64), group: &Group| {
            (sum.0.saturating_add(group.gone), sum.1.saturating_add(group.expired))
        };
        let (gone, expired) = dead.chain([known]).fold((0, 0), sum);
        let immortal = missing.iter().filter(|(_, mortal)| !mortal);
        let all = missing.len() as u64;
        if all > gone.saturating_add(expired) {
            let known =
                format!(", as {all} of which {gone} may be gone and {expired} have expired");
            found.extend(missing.iter().map(|(sentence, _)| sentence.clone() + &known));
        } else if immortal.clone().count() as u64 > gone {
            found.extend(immortal.map(|(sentence, _)| sentence.clone()));
        }
    }
}

impl Delivery {
    /// Whether an acknowledgement settled it.
    pub(super) fn is_acked(&self) -> bool {
        matches!(self.settled, Some((Ended::Acked, _)))
    }

    /// Whether the message must come again if this was its last delivery: leased, and surely not
    /// acknowledged.
    fn is_open(&self) -> bool {
        self.lease.is_some() && self.acks_open == 0 && !self.is_acked()
    }
}
