//! Who is served: waiting takes and subscriptions in turn, within their credit.

use super::deliver::{MESSAGES_MAX, Terms};
use super::{Asker, Asks, Model, Result, Subscription};
use crate::support::outcome::Outcome;
use crate::support::words::{Words, back};

/// Credit in bytes of a subscription that names none.
const BYTES_DEFAULT: u64 = 256 << 10;
/// A second, and a message of a subscription's rate.
const WHOLE: u64 = 1_000_000_000;

impl Subscription {
    /// Messages that one delivery may bring, whatever its rate allows by now.
    pub fn wants(&self) -> u64 {
        if self.bytes >= self.bytes_max {
            return 0;
        }
        self.messages_max.saturating_sub(self.messages).min(self.batch_max)
    }

    /// Whole messages that its rate allows.
    pub fn allowed(&self) -> u64 {
        if self.rate == 0 { u64::MAX } else { self.tokens / WHOLE }
    }

    /// Lets the tokens of its rate gather, up to the burst.
    pub fn fill(&mut self, now_ns: u64) {
        let burst = (self.rate / 10).max(1) * WHOLE;
        let gathered = now_ns.saturating_sub(self.filled_ns).saturating_mul(self.rate);
        self.tokens = self.tokens.saturating_add(gathered).min(burst);
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    /// When its rate allows a message again, if it does not.
    pub fn rested_ns(&self) -> Option<u64> {
        let missing = (self.allowed() == 0).then(|| WHOLE - self.tokens)?;
        Some(self.filled_ns + missing.div_ceil(self.rate))
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
        let bytes_max = match words.number("bytes", 0) {
            0 => BYTES_DEFAULT,
            bytes => bytes,
        };
        let burst = if rate == 0 { u64::MAX } else { (rate / 10).max(1) };
        let batch_max = if batch_max == 0 { MESSAGES_MAX } else { batch_max };
        let subscription = Subscription {
            number: self.subscriptions.len(),
            messages_max: credit,
            bytes_max,
            messages: 0,
            bytes: 0,
            batch_max: batch_max.min(burst),
            lease_ms: if lease_ms == 0 { options.lease_ms } else { lease_ms },
            rate,
            tokens: (rate / 10).max(1) * WHOLE,
            filled_ns: self.clock.ns,
        };
        let asks = Asks::Subscription(subscription);
        let in_turn = false;
        self.askers.push(Asker {
            who,
            queue: number,
            group: group.clone(),
            asks,
            in_turn,
            over: false,
        });
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
        asker.filter(live).ok_or("NoSuchLease")
    }

    pub(super) fn credit(&mut self, words: &Words<'_>) -> Result<Outcome> {
        let asker = self.subscription(words)?;
        if let Asks::Subscription(subscription) = &mut self.askers[asker].asks {
            subscription.messages_max = words.word(2).parse().expect("a number of messages");
            subscription.bytes_max = match words.number("bytes", 0) {
                0 => BYTES_DEFAULT,
                bytes => bytes,
            };
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
        let mut leases: Vec<_> = (0..self.leases.len()).filter(held).collect();
        leases.sort_by_key(|lease| self.burials.get(lease).copied().unwrap_or(usize::MAX));
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
            holder.leaving = holder.active == Some(who);
            self.leave_activity(number, &group);
        }
    }

    /// Who is active and wants nothing any more goes once nothing of the group is leased.
    pub(super) fn leave_activity(&mut self, number: usize, group: &str) {
        let of_group = |lease: &super::Lease| lease.queue == number && lease.group == group;
        if self.leases.iter().any(|lease| lease.alive && of_group(lease)) {
            return;
        }
        let holder = self.queues.get(&number).and_then(|queue| queue.groups.get(group));
        if let Some(who) = holder.filter(|holder| holder.leaving).and_then(|holder| holder.active) {
            self.step_down(number, group, who);
        }
    }

    /// Passes the place of the only active consumer on.
    pub(super) fn step_down(&mut self, number: usize, group: &str, who: char) {
        let Some(queue) = self.queues.get_mut(&number) else { return };
        let Some(holder) = queue.groups.get_mut(group) else { return };
        if holder.active == Some(who) {
            let next = holder.turn.iter().map(|asker| self.askers[*asker].who);
            holder.active = next.into_iter().find(|other| *other != who);
            holder.leaving = false;
        }
    }

    /// An asker whose connection has gone gets nothing any more.
    pub(super) fn forget(&mut self, who: char) -> Outcome {
        self.due.retain(|(asker, _)| self.askers[*asker].who != who);
        // The latest first: dead letters show it.
        for asker in (0..self.askers.len()).rev() {
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

    /// A group has a single active consumer from now on, or none any more: the first in turn, or of
    /// those without credit.
    pub(super) fn change_activity(&mut self, number: usize, group: &str) {
        let askers = &self.askers;
        let holder = self.queues.get_mut(&number).expect("it is there").group_mut(group);
        let (able, idle): (Vec<_>, Vec<_>) =
            holder.turn.iter().partition(|asker| askers[**asker].in_turn);
        holder.turn = able.into_iter().chain(idle).collect();
        if holder.single_active && holder.active.is_none() {
            holder.active = holder.turn.front().map(|asker| askers[*asker].who);
        }
    }

    /// Whoever could be served from now on goes to the end of the turn, and so does who no longer
    /// could.
    pub(super) fn line_up_askers(&mut self) {
        self.line_up_askers_at(self.clock.ns);
    }

    /// The same at a moment that may be past.
    pub(super) fn line_up_askers_at(&mut self, at_ns: u64) {
        let Self { queues, askers, .. } = self;
        for asker in askers.iter_mut() {
            if let Asks::Subscription(subscription) = &mut asker.asks {
                subscription.fill(at_ns);
            }
        }
        for group in queues.values_mut().flat_map(|queue| queue.groups.values_mut()) {
            let (active, single) = (group.active, group.single_active);
            let changes = |asker: &usize| {
                let Asker { who, asks, in_turn, .. } = &askers[*asker];
                let served = !single || active == Some(*who);
                let able = match asks {
                    Asks::Subscription(subscription) => {
                        subscription.wants() > 0 && subscription.allowed() > 0
                    }
                    _ => true,
                };
                (served && able) != *in_turn
            };
            let changed: Vec<_> = group.turn.iter().copied().filter(changes).collect();
            group.turn.retain(|asker| !changed.contains(asker));
            for asker in changed {
                askers[asker].in_turn = !askers[asker].in_turn;
                group.turn.push_back(asker);
            }
        }
    }

    /// Those of a group that could be served if there were messages, in turn.
    fn in_turn(&self, number: usize, group: &str) -> impl Iterator<Item = usize> {
        let turn = self.at(number).group(group).turn.iter().copied();
        turn.filter(|asker| self.askers[*asker].in_turn)
    }

    /// Messages that those in turn could get.
    pub(super) fn wanted(&self, number: usize, group: &str) -> u64 {
        let terms = |asker: usize| Terms::of(&self.askers[asker].asks, asker);
        self.in_turn(number, group).map(|asker| terms(asker).messages_max).sum()
    }

    /// The first in turn of a group that has something for him.
    fn next_in_turn(&self, number: usize, group: &str) -> Option<usize> {
        let queue = self.at(number);
        let holder = queue.group(group);
        let nothing = queue.choose(group, 1, u64::MAX, None).is_empty();
        if nothing || holder.paused || queue.pauses_takes {
            return None;
        }
        let asker = self.in_turn(number, group).next()?;
        let full = self.leases_alive() >= self.limits.leases_max;
        let pushes = matches!(self.askers[asker].asks, Asks::Subscription(_));
        (!full || !pushes).then_some(asker)
    }

    /// What the first in turn may get: its part, and what the others do not want, where there is
    /// not enough for all.
    fn terms_in_turn(&mut self, number: usize, group: &str, asker: usize) -> Terms {
        let mut terms = Terms::of(&self.askers[asker].asks, asker);
        let count = self.in_turn(number, group).count();
        let round = &mut self.at_mut(number).group_mut(group).round;
        if *round == 0 || *round > count {
            *round = count;
        }
        let round = *round as u64;
        let ready = self.at(number).choose(group, u64::MAX, u64::MAX, None).len() as u64;
        let wanted = self.wanted(number, group);
        if ready < wanted {
            let part = ready.div_ceil(round);
            let rest = ready.saturating_sub(wanted - terms.messages_max);
            terms.share = terms.messages_max.min(part.max(rest));
        }
        if let Asks::Subscription(subscription) = &self.askers[asker].asks {
            terms.messages_max = terms.messages_max.min(subscription.allowed());
            terms.share = terms.share.min(subscription.allowed());
        }
        terms
    }

    /// Every answer that can be given now: those that are due, then who is served in turn. With the
    /// real outcome the order is followed and checked.
    pub(super) fn answers(&mut self, real: Option<&Outcome>) -> Outcome {
        self.admit_held();
        self.line_up_askers();
        let real = match real {
            Some(Outcome::Answers(real)) => Some(real),
            _ => None,
        };
        let mut answers = Vec::new();
        loop {
            let follow = real.and_then(|real| real.get(answers.len()));
            let answer = self.next_due(follow).or_else(|| self.serve(follow));
            let Some((asker, outcome)) = answer else { break };
            answers.push((self.called(asker), asker, outcome));
            self.admit_held();
            self.line_up_askers();
        }
        Outcome::Answers(answers)
    }

    /// The next answer that is due: the one that was really given if none of the same queue comes
    /// before it. Those who waited for a queue that is deleted are told in any order.
    fn next_due(&mut self, real: Option<&(String, usize, Outcome)>) -> Option<(usize, Outcome)> {
        let queue = |asker: usize| self.askers[asker].queue;
        let gone = |outcome: &Outcome| {
            ["NoSuchQueue", "NoSuchGroup"].iter().any(|code| *outcome == Outcome::refused(code))
        };
        let really = real.and_then(|(_, asker, _)| {
            let at = self.due.iter().position(|(other, _)| other == asker)?;
            let mut before = self.due.range(..at);
            let first = before.all(|(other, outcome)| {
                queue(*other) != queue(*asker) || gone(outcome) && gone(&self.due[at].1)
            });
            first.then_some(at)
        });
        self.due.remove(really.unwrap_or(0))
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
        let terms = self.terms_in_turn(number, &group, asker);
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
        let exhausted = self.at(number).choose(&group, 1, u64::MAX, None).is_empty();
        let round = &mut self.at_mut(number).group_mut(&group).round;
        *round = if exhausted { 0 } else { round.saturating_sub(1) };
        if let Asks::Subscription(subscription) = &mut self.askers[asker].asks {
            let queue = &self.queues[&number];
            let bytes: u64 = sequences.iter().map(|s| queue.messages[s].bytes).sum();
            subscription.messages += sequences.len() as u64;
            subscription.bytes += bytes;
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
