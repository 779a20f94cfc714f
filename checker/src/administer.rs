//! Bindings, pauses, removals and browses: what they ask for, and what their replies say.

use super::event::{Answer, Ask};
use super::state::Outstanding;
use super::switch::Switch;
use super::{Checker, Verdict};

impl Checker {
    pub(super) fn administer_asked(&mut self, from: (u64, u64), at_ns: u64, ask: &Ask) {
        match ask {
            Ask::Remove { queue, sequences } => {
                let removals = &mut self.queue(*queue).removals;
                for sequence in sequences {
                    removals.entry(*sequence).or_default();
                }
            }
            _ => self.turned(ask, |switch, on| switch.asked(from, at_ns, on)),
        }
    }

    pub(super) fn administered(
        &mut self,
        connection: u64,
        asked: &Outstanding,
        at_ns: u64,
        answer: Answer,
    ) {
        let order = asked.order;
        match (&asked.ask, answer) {
            (Ask::Remove { queue, sequences }, Answer::Removed { missing: 0, .. }) => {
                let removals = &mut self.queue(*queue).removals;
                for sequence in sequences {
                    removals.insert(*sequence, Some(at_ns));
                }
            }
            (Ask::Remove { .. }, Answer::Removed { .. }) => {}
            (Ask::Browse { queue }, Answer::Shown(messages)) => self.shown(*queue, messages),
            (ask @ Ask::PauseGroup { .. }, Answer::Group(group, _)) => {
                self.turned(ask, |switch, _| switch.known(order, at_ns, group));
            }
            (ask @ (Ask::Bind { .. } | Ask::Unbind { .. } | Ask::Pause { .. }), Answer::Other) => {
                self.turned(ask, |switch, _| switch.known(order, at_ns, 0));
            }
            (ask, answer) => {
                let sentence = format!("connection {connection}: {answer:?} in reply to {ask:?}");
                self.violation(Verdict::Reply, sentence);
            }
        }
    }

    pub(super) fn administration_refused(&mut self, asked: &Outstanding) {
        self.turned(&asked.ask, |switch, _| switch.refused(asked.order));
    }

    /// Every switch that a request turns, and whether it turns it on.
    fn turned(&mut self, ask: &Ask, turn: impl Fn(&mut Switch, bool)) {
        match ask {
            Ask::Bind { queue, topic } | Ask::Unbind { queue, topic } => {
                let bindings = self.topics.entry(*topic).or_default();
                turn(bindings.entry(*queue).or_default(), matches!(ask, Ask::Bind { .. }));
            }
            Ask::Pause { queue, puts, takes } => {
                let queue = self.queue(*queue);
                turn(&mut queue.puts_paused, *puts);
                turn(&mut queue.takes_paused, *takes);
            }
            Ask::PauseGroup { queue, name, paused } => {
                turn(self.queue(*queue).groups_paused.entry(*name).or_default(), *paused);
            }
            _ => {}
        }
    }

    /// A take that waited at a spread queue waited at all of its parts: what others brought than
    /// the one that answered went back, uncounted and first in line.
    pub(super) fn waited_at_parts(&mut self, (queue, group): (u64, u32), during: (u64, u64)) {
        let queue = self.queue(queue);
        if queue.facts.is_spread() {
            let parts = u64::from(queue.facts.spread);
            let group = queue.groups.entry(group).or_default();
            group.takes_unseen = group.takes_unseen.saturating_add(parts);
            group.unseen.push(during);
        }
    }
}
