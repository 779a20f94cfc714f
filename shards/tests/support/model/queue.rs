//! What the model knows of a queue, its messages and its groups: plain collections.

use std::collections::{BTreeMap, VecDeque};

use crate::support::options::Options;
use crate::support::spec::Spec;

/// The band of messages that are scheduled.
pub const SCHEDULED: usize = 8;

/// The band that a sequence belongs to.
pub fn band_of(sequence: u64) -> usize {
    (sequence >> 60) as usize
}

/// When a scheduled message is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Due {
    /// By the clock that only goes forward.
    Ns(u64),
    /// By the wall clock.
    WallMs(u64),
}

/// A message that a queue holds: some group is not done with it, or it is scheduled, or kept.
#[derive(Clone, Debug)]
pub struct Message {
    pub spec: Spec,
    /// Bytes of its record.
    pub bytes: u64,
    /// When it got its place in line.
    pub put_ns: u64,
    pub expires_ns: Option<u64>,
    pub due: Option<Due>,
    /// Whether a replay brought it back: it is in no bound on messages.
    pub revived: bool,
}

/// What a group has to do with a message that it is not done with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    pub deliveries: u32,
    /// When it was delivered first, if it was.
    pub first_ns: u64,
    /// Given back with a delay: not before this.
    pub back_ns: Option<u64>,
    /// The earliest and the latest that may be, until the store says where its dice fell.
    pub diced_ns: Option<(u64, u64)>,
    pub lease: Option<usize>,
    /// Its dead-letter queue refused it: tried again when it is back.
    pub dies_again: bool,
}

/// Figures by the name of their column.
#[derive(Default, Debug)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub fn add(&mut self, column: &'static str, count: u64) {
        *self.0.entry(column).or_default() += count;
    }

    pub fn take_away(&mut self, column: &'static str, count: u64) {
        *self.0.entry(column).or_default() -= count;
    }

    /// Those of a group that is deleted stay its queue's.
    pub fn join(&mut self, other: &Counts) {
        other.0.iter().for_each(|(column, count)| self.add(column, *count));
    }

    pub fn get(&self, column: &str) -> u64 {
        self.0.get(column).copied().unwrap_or(0)
    }
}

/// A consumer group.
#[derive(Default, Debug)]
pub struct Group {
    /// The messages that it is not done with.
    pub shares: BTreeMap<u64, Share>,
    pub paused: bool,
    pub single_active: bool,
    /// Who alone gets messages of a group with a single active consumer.
    pub active: Option<char>,
    /// Whether that one goes with the last lease of the group.
    pub leaving: bool,
    /// Waiting takes and subscriptions, in turn, and how many of them are still to be served in
    /// this round.
    pub turn: VecDeque<usize>,
    pub round: usize,
    pub counts: Counts,
    /// Messages dropped that no delivery has told of.
    pub untold_drops: u64,
    /// Messages taken of each band, for weighted priorities.
    pub served: [u64; SCHEDULED],
    /// When it was served last, for taking turns between groups.
    pub served_at: u64,
}

/// A batch that its producer numbered.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The number of its first message.
    pub first: u64,
    /// The sequences that the messages got.
    pub answer: Vec<u64>,
    pub at_ns: u64,
}

impl Batch {
    pub fn end(&self) -> u64 {
        self.first + self.answer.len() as u64
    }
}

/// A producer that numbers its messages: its batches by number.
#[derive(Clone, Default, Debug)]
pub struct Producer {
    pub batches: Vec<Batch>,
    pub last_ns: u64,
}

/// One queue.
#[derive(Debug)]
pub struct Queue {
    pub name: String,
    pub options: Options,
    /// The next count of each band.
    pub next: [u64; SCHEDULED + 1],
    pub messages: BTreeMap<u64, Message>,
    pub groups: BTreeMap<String, Group>,
    /// Ids for deduplication in the order in which they came, with the answer and the time.
    pub ids: Vec<(String, u64, u64)>,
    pub producers: BTreeMap<u64, Producer>,
    /// Puts that wait for room, in order.
    pub held: VecDeque<usize>,
    /// What has expired and the store need not have noticed yet: group, sequence, bytes.
    pub overdue: Vec<(String, u64, u64)>,
    /// How many of them it has not noticed, by group.
    pub unnoticed: BTreeMap<String, u64>,
    pub pauses_puts: bool,
    pub pauses_takes: bool,
    /// Where the last move stopped that left something behind: of which group and filter, and how
    /// long that is remembered.
    pub moves: Option<((String, Option<String>), u64, u64)>,
    /// When somebody last did something with it.
    pub used_ns: u64,
    pub counts: Counts,
}

impl Queue {
    pub fn new(name: &str, options: Options, now_ns: u64) -> Self {
        Self {
            name: name.into(),
            options,
            next: [0; SCHEDULED + 1],
            messages: BTreeMap::new(),
            groups: BTreeMap::from([("default".into(), Group::default())]),
            ids: Vec::new(),
            producers: BTreeMap::new(),
            held: VecDeque::new(),
            overdue: Vec::new(),
            unnoticed: BTreeMap::new(),
            pauses_puts: false,
            pauses_takes: false,
            moves: None,
            used_ns: now_ns,
            counts: Counts::default(),
        }
    }

    pub fn group(&self, name: &str) -> &Group {
        &self.groups[name]
    }

    pub fn group_mut(&mut self, name: &str) -> &mut Group {
        self.groups.get_mut(name).expect("the group was looked up before")
    }

    /// Whether somebody still needs the message.
    pub fn is_live(&self, sequence: u64) -> bool {
        self.messages.contains_key(&sequence)
            && (band_of(sequence) == SCHEDULED
                || self.groups.values().any(|group| group.shares.contains_key(&sequence)))
    }

    pub fn live(&self) -> Vec<u64> {
        self.messages.keys().copied().filter(|sequence| self.is_live(*sequence)).collect()
    }

    /// Messages that only those who have not noticed their end still hold, and their bytes.
    pub fn overdue(&self) -> (u64, u64) {
        let only: BTreeMap<u64, u64> = self
            .overdue
            .iter()
            .filter(|(_, sequence, _)| !self.is_live(*sequence))
            .map(|(_, sequence, bytes)| (*sequence, *bytes))
            .collect();
        (only.len() as u64, only.values().sum())
    }

    /// Whether a group holds the message under a lease.
    pub fn is_leased(&self, sequence: u64) -> bool {
        let leased = |group: &Group| group.shares.get(&sequence).is_some_and(|s| s.lease.is_some());
        self.groups.values().any(leased)
    }

    /// Ends what a group has to do with a message, which goes if that was the last.
    pub fn done(&mut self, group: &str, sequence: u64) {
        let share = self.group_mut(group).shares.remove(&sequence);
        assert!(share.is_some(), "a group is done with a message once");
        self.forget_if_done(sequence);
    }

    /// The time to live is another one: it holds from the put on, whenever that was.
    pub fn live_by_options(&mut self) {
        let ttl_ms = self.options.ttl_ms;
        for message in self.messages.values_mut().filter(|message| message.due.is_none()) {
            let own = [message.spec.ttl_ms.unwrap_or(0), ttl_ms];
            let ttl_ms = own.into_iter().filter(|ttl| *ttl > 0).min();
            message.expires_ns = ttl_ms.map(|ttl| message.put_ns + ttl * 1_000_000);
        }
    }

    pub fn forget_if_done(&mut self, sequence: u64) {
        if !self.is_live(sequence) {
            match self.messages.get_mut(&sequence).filter(|_| self.options.keeps()) {
                Some(message) => message.revived = false,
                None => drop(self.messages.remove(&sequence)),
            }
        }
    }

    /// Takes a message out of the queue, for every group; returns the groups that needed it.
    pub fn remove(&mut self, sequence: u64) -> Vec<String> {
        let mut needed = Vec::new();
        for (name, group) in &mut self.groups {
            if group.shares.remove(&sequence).is_some() {
                needed.push(name.clone());
            }
        }
        self.messages.remove(&sequence);
        needed
    }

    /// Whether a waiting message could be delivered to a group now, if these were picked before.
    pub fn is_ready(&self, group: &Group, sequence: u64, picked: &[u64]) -> bool {
        let share = &group.shares[&sequence];
        share.lease.is_none()
            && share.back_ns.is_none()
            && !self.is_blocked(group, sequence, picked)
    }

    /// Whether the message's key keeps it back: another one of the key is in flight or given back
    /// with a delay, or an earlier one of its band is still to come.
    pub fn is_blocked(&self, group: &Group, sequence: u64, picked: &[u64]) -> bool {
        let key = &self.messages[&sequence].spec.key;
        key.is_some()
            && group.shares.iter().any(|(other, share)| {
                let same = *other != sequence && self.messages[other].spec.key == *key;
                let away = share.lease.is_some() || share.back_ns.is_some();
                let in_flight = away || picked.contains(other);
                let before = *other < sequence && band_of(*other) == band_of(sequence);
                same && (in_flight || before)
            })
    }
}
