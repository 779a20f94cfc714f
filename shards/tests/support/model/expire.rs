//! Time: leases, waits, delays and lives that are over, and what is due.

use super::queue::{Due, Group, SCHEDULED, band_of};
use super::{Asks, Model};
use crate::support::outcome::Outcome;
use crate::support::words::Words;

/// Something that happens at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A scheduled message is due.
    Due(usize, u64),
    /// A message that was given back with a delay is ready again.
    Back(usize, String, u64),
    /// A message is over its time to live.
    Expires(usize, u64),
    Lease(usize),
    /// An asker has waited long enough.
    Wait(usize),
    /// The rate of a subscription allows a message again.
    Tokens(usize),
    /// A queue that nobody used.
    Idle(usize),
}

impl Model {
    /// Everything that is to happen, and when; what is past its moment is first.
    pub fn events(&self) -> Vec<(u64, Event)> {
        let mut events = Vec::new();
        for (number, queue) in &self.queues {
            for (sequence, message) in &queue.messages {
                if let Some(due) = message.due {
                    let at = match due {
                        Due::Ns(ns) => ns,
                        Due::WallMs(ms) => self.clock.at_wall_ms(ms),
                    };
                    events.push((at, Event::Due(*number, *sequence)));
                }
                let waits = |group: &Group| {
                    group.shares.get(sequence).is_some_and(|share| {
                        share.lease.is_none() && !(share.dies_again && share.back_ns.is_some())
                    })
                };
                if let Some(at) = message.expires_ns
                    && queue.groups.values().any(waits)
                {
                    events.push((at, Event::Expires(*number, *sequence)));
                }
            }
            for (name, group) in &queue.groups {
                for (sequence, share) in &group.shares {
                    if let Some(at) = share.back_ns {
                        events.push((at, Event::Back(*number, name.clone(), *sequence)));
                    }
                }
            }
            if queue.options.idle_ms > 0 && !self.is_used(*number) {
                let at = queue.used_ns + queue.options.idle_ms * 1_000_000;
                events.push((at, Event::Idle(*number)));
            }
        }
        let leases = self.leases.iter().enumerate().filter(|(_, lease)| lease.alive);
        events.extend(leases.map(|(at, lease)| (lease.ends_ns, Event::Lease(at))));
        let askers = self.askers.iter().enumerate().filter(|(_, asker)| !asker.over);
        events.extend(askers.filter_map(|(at, asker)| match &asker.asks {
            Asks::Take { ends_ns, .. } | Asks::Put { ends_ns, .. } => {
                Some((*ends_ns, Event::Wait(at)))
            }
            Asks::Subscription(subscription) => {
                subscription.rested_ns().map(|at_ns| (at_ns, Event::Tokens(at)))
            }
        }));
        events.sort();
        events
    }

    /// How many scheduled messages a step of the wall clock makes due, or nearly.
    pub fn due_by_step(&self, words: &Words<'_>) -> usize {
        let mut after = self.clock;
        after.run(words);
        let messages = self.queues.values().flat_map(|queue| queue.messages.values());
        let by_wall = messages.filter_map(|message| match message.due {
            Some(Due::WallMs(ms)) => Some(ms),
            _ => None,
        });
        by_wall.filter(|ms| *ms <= after.wall_ms + 5).count()
    }

    /// Lets happen what is past its moment: by what it is, then in order.
    pub fn expire(&mut self) {
        loop {
            let past = self.events().into_iter().filter(|(at, _)| *at <= self.clock.ns);
            let past = past.map(|(at, event)| (self.rank(&event), at, self.turn(&event), event));
            let Some((_, at, _, event)) = past.min() else { return };
            let used = self.queues_in_use();
            self.happen(event);
            self.line_up_askers_at(at);
            for number in used {
                if let Some(queue) = self.queues.get_mut(&number) {
                    queue.used_ns = queue.used_ns.max(at);
                }
            }
        }
    }

    /// Where a lease that ends stands among those of the same moment.
    fn turn(&self, event: &Event) -> (usize, usize) {
        let Event::Lease(lease) = event else { return (usize::MAX, 0) };
        let shown = self.burials.get(lease).copied().unwrap_or(usize::MAX);
        (shown, self.leases[*lease].armed)
    }

    /// What the store looks at first when several moments are past.
    fn rank(&self, event: &Event) -> u8 {
        match event {
            Event::Due(number, sequence) => match self.at(*number).messages[sequence].due {
                Some(Due::WallMs(_)) => 0,
                _ => 1,
            },
            Event::Expires(..) => 2,
            _ => 3,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Due(number, sequence) => self.come_due(number, sequence),
            Event::Back(number, group, sequence) => {
                let holder = self.at_mut(number).group_mut(&group);
                let share = holder.shares.get_mut(&sequence).expect("it is the group's");
                (share.back_ns, share.dies_again) = (None, false);
            }
            Event::Expires(number, sequence) => {
                for group in self.at(number).groups.keys().cloned().collect::<Vec<_>>() {
                    let holder = self.at(number).group(&group);
                    let share = holder.shares.get(&sequence);
                    if share.is_some_and(|share| {
                        share.lease.is_none() && !(share.dies_again && share.back_ns.is_some())
                    }) {
                        self.expire_message(number, &group, sequence);
                    }
                }
            }
            Event::Lease(lease) => {
                self.end_lease(lease, true);
                let (number, group) = (self.leases[lease].queue, self.leases[lease].group.clone());
                let holder = self.at_mut(number).group_mut(&group);
                holder.counts.add("expired_leases", 1);
            }
            Event::Wait(asker) => self.wait_is_over(asker),
            Event::Tokens(_) => {}
            Event::Idle(number) => {
                self.delete_queue(number);
            }
        }
    }

    fn come_due(&mut self, number: usize, sequence: u64) {
        assert_eq!(band_of(sequence), SCHEDULED, "only what is scheduled comes due");
        let message = self.at_mut(number).messages.remove(&sequence);
        let message = message.expect("it was scheduled");
        self.line_up(number, &message.spec);
    }

    fn wait_is_over(&mut self, asker: usize) {
        if let Asks::Put { .. } = self.askers[asker].asks {
            self.askers[asker].over = true;
            let number = self.askers[asker].queue;
            let queue = self.at_mut(number);
            queue.held.retain(|other| *other != asker);
            queue.counts.add("refused", 0);
            self.due.push_back((asker, Outcome::refused("QueueFull")));
        } else {
            self.leave(asker);
            self.due.push_back((asker, Outcome::Delivery(Default::default())));
        }
    }

    /// Whether a queue holds anything, or somebody waits at it.
    pub(super) fn is_used(&self, number: usize) -> bool {
        let queue = self.at(number);
        queue.messages.keys().any(|sequence| queue.is_live(*sequence))
            || !queue.held.is_empty()
            || queue.groups.values().any(|group| !group.turn.is_empty())
            || self.leases.iter().any(|lease| lease.alive && lease.queue == number)
    }
}
