//! Who is served: waiting takes and subscriptions in turn, within their credit.

use super::deliver::Terms;
use super::{Asker, Asks, Model, Result, Subscription};
use crate::support::outcome::Outcome;
use crate::support::words::{Words, back};

/// Credit in bytes of a subscription that names none.
const BYTES_DEFAULT: u64 = 256 << 10;
/// A second, and a message of a subscription's rate.
const WHOLE: u64 = 1_000_000_000;

impl Subscription {
    /// Messages that one delivery may bring now.
    pub fn may_get(&self) -> u64 {
        if self.bytes <= 0 {
            return 0;
        }
        let allowed = if self.rate == 0 { u64::MAX } else { self.tokens / WHOLE };
        allowed.min(self.batch_max).min(self.messages.max(0) as u64)
    }

    /// Lets the tokens of its rate gather, up to the burst.
    pub fn fill(&mut self, now_ns: u64) {
        let burst = (self.rate / 10).max(1) * WHOLE;
        let gathered = (now_ns - self.filled_ns).saturating_mul(self.rate);
        self.tokens = self.tokens.saturating_add(gathered).min(burst);
        self.filled_ns = now_ns;
    }
}

impl Model {
    pub(super) fn subscribe(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let (number, group) = self.place(words)?;
        let options = self.at(number).options;
        let (credit, rate) = (words.number("credit", 100), words.number("rate", 0));
        let batch_max = words.number("batch", 0);
        let lease_ms = words.ms("lease", 0);
        if !(1..=65_536).contains(&credit) || batch_max > 4096 || lease_ms > 12 * 3_600_000 {
            return Err("InvalidOption");
        }
        let who = words.asker();
        self.subscriptions.push(self.askers.len());
        let bytes = match words.number("bytes", 0) {
            0 => BYTES_DEFAULT,
            bytes => bytes,
        };
        let subscription = Subscription {
            number: self.subscriptions.len(),
            messages: credit as i64,
            bytes: bytes as i64,
            batch_max: if batch_max == 0 { 4096 } else { batch_max },
            lease_ms: if lease_ms == 0 { options.lease_ms } else { lease_ms },
            rate,
            tokens: (rate / 10).max(1) * WHOLE,
            filled_ns: self.clock.ns,
        };
        let asks = Asks::Subscription(subscription);
        self.askers.push(Asker { who, queue: number, group: group.clone(), asks, over: false });
        let asker = self.askers.len() - 1;
        self.at_mut(number).group_mut(&group).turn.push_back(asker);
        self.may_take(number, &group, who);
        Ok(Outcome::said(format!("subscription {}", self.subscriptions.len())))
    }

    /// The asker that a word names the subscription of.
    fn subscription(&self, words: &Words<'_>) -> Result<usize> {
        let number = self.there(words.word(0))?;
        let index = back(words.word(1), self.subscriptions.len());
        let asker = index.map(|index| self.subscriptions[index]);
        let live = |asker: &usize| !self.askers[*asker].over && self.askers[*asker].queue == number;
        asker.filter(live).ok_or("NoSuchSubscription")
    }

    pub(super) fn credit(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let asker = self.subscription(words)?;
        if let Asks::Subscription(subscription) = &mut self.askers[asker].asks {
            subscription.messages += words.word(2).parse::<i64>().expect("a number of messages");
            subscription.bytes += words.number("bytes", 0) as i64;
        }
        Ok(Outcome::ok())
    }

    pub(super) fn unsubscribe(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let asker = self.subscription(words)?;
        let came_back = self.end_subscription(asker);
        Ok(Outcome::said(came_back))
    }

    /// Ends a subscription: what it holds comes back at once. Says how many messages did.
    pub(super) fn end_subscription(&mut self, asker: usize) -> usize {
        self.leave(asker);
        let held = |lease: &usize| {
            self.leases[*lease].alive && self.leases[*lease].subscription == Some(asker)
        };
        let leases: Vec<_> = (0..self.leases.len()).filter(held).collect();
        leases.into_iter().map(|lease| self.end_lease(lease, true)).sum()
    }

    /// Takes an asker out of its group's turn. Who was alone active makes room for the next.
    pub(super) fn leave(&mut self, asker: usize) {
        self.askers[asker].over = true;
        let Asker { who, queue, group, .. } = &self.askers[asker];
        let (who, number, group) = (*who, *queue, group.clone());
        let Some(queue) = self.queues.get_mut(&number) else { return };
        let Some(holder) = queue.groups.get_mut(&group) else { return };
        holder.turn.retain(|other| *other != asker);
        let stays = holder.turn.iter().any(|other| self.askers[*other].who == who);
        if matches!(self.askers[asker].asks, Asks::Subscription(_)) && !stays {
            self.step_down(number, &group, who);
        }
    }

    /// Passes the place of the only active consumer on.
    pub(super) fn step_down(&mut self, number: usize, group: &str, who: char) {
        let Some(queue) = self.queues.get_mut(&number) else { return };
        let Some(holder) = queue.groups.get_mut(group) else { return };
        if holder.active == Some(who) {
            let next = holder.turn.iter().map(|asker| self.askers[*asker].who);
            holder.active = next.into_iter().find(|other| *other != who);
        }
    }

    /// An asker whose connection has gone gets nothing any more.
    pub(super) fn forget(&mut self, who: char) -> Outcome {
        self.due.retain(|(asker, _)| self.askers[*asker].who != who);
        for asker in 0..self.askers.len() {
            if self.askers[asker].who != who || self.askers[asker].over {
                continue;
            }
            match self.askers[asker].asks {
                Asks::Subscription(_) => {
                    self.end_subscription(asker);
                }
                Asks::Take { .. } => self.leave(asker),
                Asks::Put { .. } => {
                    self.askers[asker].over = true;
                    let number = self.askers[asker].queue;
                    if let Some(queue) = self.queues.get_mut(&number) {
                        queue.held.retain(|other| *other != asker);
                    }
                }
            }
        }
        for number in self.queues.keys().copied().collect::<Vec<_>>() {
            for group in self.at(number).groups.keys().cloned().collect::<Vec<_>>() {
                self.step_down(number, &group, who);
            }
        }
        Outcome::ok()
    }

    /// Messages that those who wait could still get.
    pub(super) fn wanted(&self, number: usize, group: &str) -> u64 {
        let turn = &self.at(number).group(group).turn;
        turn.iter().map(|asker| Terms::of(&self.askers[*asker].asks, *asker).messages_max).sum()
    }

    /// The first in turn of a group that could be served now.
    fn next_in_turn(&mut self, number: usize, group: &str) -> Option<usize> {
        let now_ns = self.clock.ns;
        let queue = self.at(number);
        let holder = queue.group(group);
        let nothing = queue.choose(group, 1, u64::MAX, None).is_empty();
        if nothing || holder.paused || queue.pauses_takes {
            return None;
        }
        let active = holder.active.filter(|_| holder.single_active);
        let full = self.leases_alive() >= self.limits.leases_max;
        let turn: Vec<_> = holder.turn.iter().copied().collect();
        turn.into_iter().find(|asker| {
            let Asker { who, asks, .. } = &mut self.askers[*asker];
            let able = match asks {
                Asks::Subscription(subscription) => {
                    subscription.fill(now_ns);
                    subscription.may_get() > 0 && !full
                }
                _ => true,
            };
            able && active.is_none_or(|active| active == *who)
        })
    }

    /// Every answer that can be given now: those that are due, then who is served in turn. With the
    /// real outcome the order is followed and checked.
    pub(super) fn answers(&mut self, real: Option<&Outcome>) -> Outcome {
        self.admit_held();
        let real = match real {
            Some(Outcome::Answers(real)) => Some(real),
            _ => None,
        };
        let mut answers = Vec::new();
        loop {
            let answer = match self.due.pop_front() {
                Some((asker, outcome)) => Some((asker, outcome)),
                None => {
                    let follow = real.and_then(|real| real.get(answers.len()));
                    self.serve(follow)
                }
            };
            let Some((asker, outcome)) = answer else { break };
            answers.push((self.called(asker), asker, outcome));
            self.admit_held();
        }
        Outcome::Answers(answers)
    }

    /// Who an answer goes to.
    fn called(&self, asker: usize) -> String {
        let Asker { who, asks, .. } = &self.askers[asker];
        match asks {
            Asks::Subscription(subscription) => format!("{who}/{}", subscription.number),
            _ => who.to_string(),
        }
    }

    /// Serves one asker: the one that really was, if it may be, else one of the group that was
    /// served longest ago.
    fn serve(&mut self, real: Option<&(String, usize, Outcome)>) -> Option<(usize, Outcome)> {
        let places = self.queues.iter().flat_map(|(number, queue)| {
            queue.groups.iter().map(|(name, group)| (group.served_at, *number, name.clone()))
        });
        let mut places: Vec<_> = places.collect();
        places.sort();
        let mut able = places.into_iter().filter_map(|(_, number, group)| {
            Some((self.next_in_turn(number, &group)?, number, group))
        });
        let able: Vec<_> = able.by_ref().collect();
        let really = real.and_then(|(_, asker, _)| able.iter().find(|(a, ..)| a == asker));
        let (asker, number, group) = really.or(able.first())?.clone();
        let terms = Terms::of(&self.askers[asker].asks, asker);
        let is_take = terms.subscription.is_none();
        if is_take && terms.lease_ms.is_some() && self.leases_alive() >= self.limits.leases_max {
            self.leave(asker);
            return Some((asker, Outcome::refused("ResourceExhausted")));
        }
        if is_take {
            self.leave(asker);
        }
        let (delivery, sequences) =
            self.deliver(number, &group, terms, real.map(|(_, _, outcome)| outcome));
        if let Asks::Subscription(subscription) = &mut self.askers[asker].asks {
            let queue = &self.queues[&number];
            let bytes: u64 = sequences.iter().map(|s| queue.messages[s].bytes).sum();
            subscription.messages -= sequences.len() as i64;
            subscription.bytes -= bytes as i64;
            if subscription.rate > 0 {
                subscription.tokens -= sequences.len() as u64 * WHOLE;
            }
            let turn = &mut self.at_mut(number).group_mut(&group).turn;
            turn.retain(|other| *other != asker);
            turn.push_back(asker);
        }
        Some((asker, Outcome::Delivery(delivery)))
    }
}
