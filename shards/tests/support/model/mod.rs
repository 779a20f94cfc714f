//! A naive store of queues made of plain collections: what the real one must agree with.
//!
//! It looks at every message for every question. It does not know segments, so it does not decide
//! what a bound on bytes refuses or drops, nor which done messages are kept for how long; nor
//! does it roll dice or have a say in who of several is served first. Where the real outcome is
//! given to it, it checks that the outcome is allowed and follows it; alone it takes a way of its
//! own.

mod administer;
mod admit;
mod deliver;
mod expire;
mod groups;
mod look;
mod put;
mod queue;
mod settle;
mod transfer;
mod turns;

use std::collections::{BTreeMap, VecDeque};

pub use self::expire::Event;
pub use self::queue::Queue;
pub use self::settle::text as settlement_text;
use super::clock::Clock;
use super::options::Options;
use super::outcome::Outcome;
use super::words::Words;

/// What a store is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub defaults: Options,
    pub queues_max: usize,
    pub leases_max: usize,
    pub waits_max: usize,
}

/// A delivery that is to be settled.
#[derive(Debug)]
pub struct Lease {
    pub queue: usize,
    pub group: String,
    /// Sequence and whether it is settled, in the order of delivery.
    pub messages: Vec<(u64, bool)>,
    pub alive: bool,
    pub ends_ns: u64,
    /// When it got that end, among all that were given one.
    pub armed: usize,
    /// The subscription that it was pushed to.
    pub subscription: Option<usize>,
}

/// Somebody who gets an answer later.
#[derive(Debug)]
pub struct Asker {
    pub who: char,
    pub queue: usize,
    pub group: String,
    pub asks: Asks,
    /// Whether it is in turn: one that could be served, if there were messages.
    pub in_turn: bool,
    pub over: bool,
}

/// What an asker waits for.
#[derive(Debug)]
pub enum Asks {
    Take { messages_max: u64, bytes_max: u64, lease_ms: u64, acknowledged: bool, ends_ns: u64 },
    Subscription(Subscription),
    Put { specs: Vec<super::spec::Spec>, producer: Option<(u64, u64)>, ends_ns: u64 },
}

/// Deliveries without asking, within a credit.
#[derive(Debug)]
pub struct Subscription {
    pub number: usize,
    /// What it may have unsettled, and what it has.
    pub messages_max: u64,
    pub bytes_max: u64,
    pub messages: u64,
    pub bytes: u64,
    /// Messages of one delivery, of which there are no more than its rate lets come at once.
    pub batch_max: u64,
    pub lease_ms: u64,
    /// Messages a second, 0 for no limit, and what may go now, in messages times 10^9.
    pub rate: u64,
    pub tokens: u64,
    pub filled_ns: u64,
}

/// The model. Queues go by the number in which they were made.
pub struct Model {
    pub limits: Limits,
    pub clock: Clock,
    pub queues: BTreeMap<usize, Queue>,
    made: usize,
    /// Every name that a queue had, the newest last.
    known: Vec<(String, usize)>,
    pub leases: Vec<Lease>,
    /// Which leases that end now end first, as far as it shows: where their dead letters are.
    pub burials: BTreeMap<usize, usize>,
    pub askers: Vec<Asker>,
    subscriptions: Vec<usize>,
    /// Answers that are due, in order.
    due: VecDeque<(usize, Outcome)>,
    /// How many ends leases were given.
    arms: usize,
    /// Payloads that were numbered.
    numbers: u64,
    servings: u64,
}

/// The outcome of a command, or the name of the code that refuses it.
type Result<T> = std::result::Result<T, &'static str>;

impl Model {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: Clock::new(),
            queues: BTreeMap::new(),
            made: 0,
            known: Vec::new(),
            leases: Vec::new(),
            burials: BTreeMap::new(),
            askers: Vec::new(),
            subscriptions: Vec::new(),
            due: VecDeque::new(),
            arms: 0,
            numbers: 0,
            servings: 0,
        }
    }

    /// Carries one command out. With the real outcome it follows that where it may.
    pub fn run(&mut self, command: &str, real: Option<&Outcome>) -> Outcome {
        let words = Words::of(command);
        // Alone, the model does not know what a tight bound on bytes does.
        let defaults = self.limits.defaults;
        let tight = |queue: &Queue| queue.options.bytes_max < defaults.bytes_max;
        if real.is_none() && self.queues.values().any(tight) {
            return Outcome::Beyond;
        }
        if self.clock.run(&words) {
            // What a step of the wall clock makes due is due at the next tick.
            if words.verb != "wall" {
                self.expire();
                self.line_up_askers();
            }
            return Outcome::ok();
        }
        let used = self.queues_in_use();
        let outcome = self.carry_out(&words, real).unwrap_or_else(Outcome::refused);
        self.line_up_askers();
        self.note_use(&words, &used, matches!(outcome, Outcome::Refused(_)));
        outcome
    }

    fn carry_out(&mut self, words: &Words<'_>, real: Option<&Outcome>) -> Result<Outcome> {
        match words.verb {
            "declare" => self.declare(words),
            "alter" => self.alter(words),
            "open" => self.open(words.word(0)),
            "put" => self.put_words(words, real),
            "take" => self.take(words, real),
            "ack" | "nack" => self.settle(words),
            "release" => self.release(words),
            "extend" => self.extend(words),
            "transfer" => self.transfer(words),
            "subscribe" => self.subscribe(words),
            "credit" => self.credit(words),
            "unsubscribe" => self.unsubscribe(words),
            "answers" => Ok(self.answers(real)),
            "forget" => Ok(self.forget(words.word(0).chars().next().expect("a letter"))),
            "group" => self.change_group(words),
            "groups" => self.list_groups(words),
            "browse" => self.browse(words),
            "remove" => self.remove(words),
            "move" => self.move_messages(words, real),
            "purge" => self.purge(words, real),
            "delete" => self.delete(words, real),
            "pause" => self.pause(words),
            "rename" => self.rename(words),
            "stat" => self.stat(words),
            "share" => self.share(words),
            "list" | "next" | "unpin" => Ok(Outcome::Beyond),
            other => panic!("no command is called {other}"),
        }
    }

    fn queues_in_use(&self) -> Vec<usize> {
        self.queues.keys().copied().filter(|number| self.is_used(*number)).collect()
    }

    /// Notes which queues were used: put to, taken from, subscribed to, or holding anything. What
    /// is refused is no use.
    fn note_use(&mut self, words: &Words<'_>, used: &[usize], is_refused: bool) {
        let uses = ["put", "take", "subscribe"].contains(&words.verb) && !is_refused;
        let named = uses.then(|| self.find(words.word(0))).flatten();
        let now_ns = self.clock.ns;
        for number in self.queues_in_use().iter().chain(used).chain(&named) {
            if let Some(queue) = self.queues.get_mut(number) {
                queue.used_ns = now_ns;
            }
        }
    }

    fn open(&self, name: &str) -> Result<Outcome> {
        admit::check_name(name)?;
        self.there(name).map(|_| Outcome::ok())
    }

    /// The number of the queue of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.queues.iter().find(|(_, queue)| queue.name == name).map(|(number, _)| *number)
    }

    /// The number that a name stands for, of a queue that may be gone.
    fn number(&self, name: &str) -> Option<usize> {
        let known = || self.known.iter().rev().find(|(known, _)| known == name);
        self.find(name).or_else(|| known().map(|(_, number)| *number))
    }

    /// The number of a queue that is there, as a request by id finds it.
    fn there(&self, name: &str) -> Result<usize> {
        self.find(name).ok_or("NoSuchQueue")
    }

    fn at(&self, number: usize) -> &Queue {
        &self.queues[&number]
    }

    fn at_mut(&mut self, number: usize) -> &mut Queue {
        self.queues.get_mut(&number).expect("the queue was looked up before")
    }

    /// The queue and the group that a command names.
    fn place(&self, words: &Words<'_>) -> Result<(usize, String)> {
        let number = self.there(words.word(0))?;
        let group = words.group();
        if !self.at(number).groups.contains_key(group) {
            return Err("NoSuchGroup");
        }
        Ok((number, group.into()))
    }

    /// The number of the lease that a word names, from 1, and the name of its queue.
    pub fn lease_place(&self, word: &str) -> (Option<usize>, Option<String>) {
        let lease = self.lease(word);
        let queue = lease.and_then(|lease| self.queues.get(&self.leases[lease].queue));
        (lease.map(|lease| lease + 1), queue.map(|queue| queue.name.clone()))
    }

    /// The same for a subscription.
    pub fn subscription_place(&self, word: &str) -> (Option<usize>, Option<String>) {
        let index = super::words::back(word, self.subscriptions.len());
        let asker = index.map(|index| &self.askers[self.subscriptions[index]]);
        let queue = asker.and_then(|asker| self.queues.get(&asker.queue));
        (index.map(|index| index + 1), queue.map(|queue| queue.name.clone()))
    }

    /// Notes how much of what has expired the store has noticed; says how much it has not.
    pub fn notice(&mut self, number: usize, group: &str, really_expired: u64) -> u64 {
        let queue = self.at_mut(number);
        let expired = queue.group(group).counts.get("expired");
        let unnoticed = expired.checked_sub(really_expired).expect("nothing expires too early");
        let overdue = queue.overdue.iter().filter(|(of, ..)| of == group).count() as u64;
        assert!(unnoticed <= overdue, "it counts what has expired once");
        if unnoticed == 0 {
            queue.overdue.retain(|(of, ..)| of != group);
        }
        queue.unnoticed.insert(group.into(), unnoticed);
        unnoticed
    }

    /// Forgets done messages, the oldest first, until no more are kept than really are.
    pub fn trim_kept(&mut self, number: usize, kept: usize) {
        let queue = self.at_mut(number);
        let done: Vec<u64> =
            queue.messages.keys().copied().filter(|s| !queue.is_live(*s)).collect();
        let gone = done.len().checked_sub(kept).expect("no more are kept than were done");
        for sequence in &done[..gone] {
            queue.messages.remove(sequence);
        }
    }

    fn leases_alive(&self) -> usize {
        self.leases.iter().filter(|lease| lease.alive).count()
    }

    fn add_queue(&mut self, name: &str, options: Options) -> Result<usize> {
        if self.queues.len() >= self.limits.queues_max {
            return Err("ResourceExhausted");
        }
        self.made += 1;
        self.queues.insert(self.made, Queue::new(name, options, self.clock.ns));
        self.known.push((name.into(), self.made));
        Ok(self.made)
    }

    /// The lease that a word names: a number, `last`, `last-2`; `None` for one that never was.
    fn lease(&self, word: &str) -> Option<usize> {
        super::words::back(word, self.leases.len())
    }
}
