//! What the checker keeps of a history.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::event::{Ask, Facts, Letter, RequestName, Start, Stretch, Traits};
use super::switch::Switch;

#[derive(Default)]
pub(super) struct Connection {
    pub outstanding: HashMap<RequestName, Outstanding>,
    /// When it ended at the earliest, once it has.
    pub ended_ns: Option<u64>,
    /// The last sequence that this connection saw delivered for the first time, of each queue,
    /// group and band.
    pub last_first: HashMap<Line, u64>,
    /// Sequences of each line that it saw for the first time after later ones.
    pub steps_back: HashMap<Line, Vec<u64>>,
    /// Its subscriptions, and the queues of those whose end it has asked for.
    pub subscriptions: Vec<usize>,
    pub unsubscribed: HashSet<u64>,
    /// When the latest request to each queue was asked that its shard has answered.
    pub heard_ns: HashMap<u64, u64>,
}

/// A queue, a group, and the band and part of a sequence: messages that come one after the other.
pub(super) type Line = (u64, u32, u64);

pub(super) struct Outstanding {
    pub ask: Ask,
    pub at_ns: u64,
    /// Its place among all requests.
    pub order: u64,
    /// Where its puts stand among all puts.
    pub puts: Vec<usize>,
    /// Its place among the subscriptions or the transfers.
    pub place: usize,
}

#[derive(Default)]
pub(super) struct Queue {
    pub facts: Facts,
    /// Copies by their sequence.
    pub copies: HashMap<u64, usize>,
    /// What is known of each message in this queue.
    pub holdings: BTreeMap<u64, Holding>,
    pub groups: BTreeMap<u32, Group>,
    /// When each name of a group was asked for first.
    pub asked_for: HashMap<u64, u64>,
    /// Names of groups whose end was asked for, and nobody saw the reply.
    pub ends_unseen: HashSet<u64>,
    /// The queues that this one's poison goes to: those that have had that name.
    pub dead_letters: Vec<u64>,
    /// The queues whose poison comes here: those that have had one name.
    pub origins: Vec<u64>,
    /// Deletions that were asked for and not refused.
    pub deletions: u32,
    /// Queues from which messages may have been moved here, and to which they may have gone.
    pub moved_from: Vec<u64>,
    pub moved_to: Vec<u64>,
    /// Whether its puts are paused, and its takes, and its groups by their names.
    pub puts_paused: Switch,
    pub takes_paused: Switch,
    pub groups_paused: HashMap<u64, Switch>,
    /// Sequences that were to be removed, each with when they were known to be gone. Scheduled
    /// ones are counted by nobody.
    pub removals: HashMap<u64, Option<u64>>,
}

/// A message in a queue.
#[derive(Default)]
pub(super) struct Holding {
    /// Puts that contain it.
    pub puts: Vec<usize>,
    /// Copies of it that are known.
    pub copies: Vec<usize>,
    /// Copies that were acknowledged without naming the sequence that they are delivered with.
    pub unplaced: u32,
    /// The sequences that name it while it is scheduled.
    pub scheduled: Vec<u64>,
}

#[derive(Default)]
pub(super) struct Group {
    /// When it was asked for first, when it was known to be there, and where it starts; nothing
    /// for a group that came with its queue.
    pub made: Option<(u64, u64, Start)>,
    /// Its name, if it was asked for by that.
    pub name: Option<u64>,
    /// Whether one consumer at a time gets its messages.
    pub single: bool,
    /// Whether it was removed.
    pub removed: bool,
    /// Whether it was there at the end.
    pub counted: bool,
    /// Deliveries whose reply nobody saw, at most.
    pub takes_unseen: u64,
    /// From when until when at least such takes may have held messages.
    pub unseen: Vec<(u64, u64)>,
    /// Messages that such takes may have taken for good, and that were dropped, purged or removed.
    pub gone: u64,
    /// Messages that it says have expired.
    pub expired: u64,
}

impl Queue {
    /// Whether a group was removed, or may have been.
    pub fn is_removed(&self, group: &Group) -> bool {
        let unseen = match group.name {
            Some(name) => self.ends_unseen.contains(&name),
            None => !self.ends_unseen.is_empty(),
        };
        group.removed || unseen && !group.counted
    }
}

#[derive(Default)]
pub(super) struct Message {
    pub traits: Traits,
    /// Whether anybody put it anywhere.
    pub sent: bool,
}

/// One stored message.
pub(super) struct Copy {
    pub queue: u64,
    pub sequence: u64,
    pub message: u64,
    /// Whether a reply named it.
    pub acknowledged: bool,
    /// The put that stored it, if that is known.
    pub put: Option<usize>,
    /// Its deliveries to each group, in the order in which they were seen: places among all.
    pub courses: BTreeMap<u32, Vec<usize>>,
    /// Dead letters that name it.
    pub letters: Vec<Letter>,
}

pub(super) struct Delivery {
    pub copy: usize,
    /// Which delivery of the course this is, counted by the server from 1.
    pub count: u32,
    pub connection: u64,
    pub asked_ns: u64,
    /// The earliest moment at which it can have been delivered.
    pub began_ns: u64,
    pub seen_ns: u64,
    /// Its lease; `None` if it was taken for good.
    pub lease: Option<usize>,
    /// Where it stands in its reply.
    pub first: bool,
    pub subscription: Option<usize>,
    /// When giving it back was first asked for, and the least delay that was asked for.
    pub nack: Option<(u64, u64)>,
    /// Whether it was to become a dead letter.
    pub rejected: bool,
    /// When any settlement of it was first asked for.
    pub end_asked_ns: Option<u64>,
    /// Acks that named it and were not answered.
    pub acks_open: u32,
    /// What settled it, and when that was asked.
    pub settled: Option<(Ended, u64)>,
}

/// How a delivery was settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    Acked,
    Nacked,
}

pub(super) struct Lease {
    /// Its messages in order: deliveries. `None` for what is no message.
    pub messages: Vec<Option<usize>>,
    /// It cannot have ended of itself before this.
    pub until_ns: u64,
    /// What an extension whose reply nobody saw may have cut it to, whenever that arrives.
    pub cut_ns: u64,
}

pub(super) struct Subscription {
    pub queue: u64,
    /// What credit it had, one after the other.
    pub credits: Vec<Credit>,
    /// The server's number for it.
    pub name: Option<u64>,
    /// When its end was first asked for.
    pub ended_ns: Option<u64>,
    /// What it was given, in the order of seeing.
    pub deliveries: Vec<usize>,
}

/// How many messages a subscription may have unsettled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    pub messages_max: u32,
    /// The request that asked for it, by its place among all.
    pub order: u64,
    pub asked_ns: u64,
    /// When it was known to be in force.
    pub known_ns: Option<u64>,
}

pub(super) struct Put {
    pub connection: u64,
    pub queue: u64,
    pub messages: Vec<u64>,
    pub producer: Option<(u64, u64)>,
    pub asked_ns: u64,
    /// Its place among all requests in the order of asking.
    pub order: u64,
    pub answered_ns: Option<u64>,
    pub outcome: Outcome,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It may be stored.
    Unknown,
    /// It is not.
    Refused,
    /// It is, there.
    Stored(Vec<Stretch>),
    /// It is, somewhere.
    Somewhere,
}

/// A publish whose reply nobody saw.
pub(super) struct Unseen {
    pub from: (u64, u64),
    pub topic: u64,
    pub messages: Vec<u64>,
    pub asked_ns: u64,
    pub puts: Vec<usize>,
}

/// An acknowledgement and a put in one.
pub(super) struct Transfer {
    pub sources: Vec<usize>,
    pub put: usize,
    /// Whether both queues are of one shard.
    pub one_shard: bool,
    pub known: bool,
}

/// The band of a sequence: its priority, or [`SCHEDULED`].
pub(super) fn band(sequence: u64) -> u64 {
    sequence >> 60
}

/// The line of a sequence: its band and its part.
pub(super) fn line(sequence: u64) -> u64 {
    sequence >> 52
}

/// The part of a spread queue that a sequence is of.
pub(super) fn part(sequence: u64) -> u64 {
    line(sequence) & 0xff
}

/// The band of what is not due yet.
pub(super) const SCHEDULED: u64 = 8;

impl super::Checker {
    /// When a delivery is over at the earliest, whatever ends it.
    pub(super) fn over_ns(&self, delivery: &Delivery) -> u64 {
        let Some(lease) = delivery.lease else { return delivery.seen_ns };
        let subscription = delivery.subscription.and_then(|at| self.subscriptions[at].ended_ns);
        let ends = [delivery.end_asked_ns, subscription];
        let until_ns = self.leases[lease].until_ns.saturating_sub(self.slack_ns);
        ends.into_iter().flatten().fold(until_ns, u64::min)
    }

    /// The earliest moment at which a copy can have been stored, and the latest if that is known.
    pub(super) fn stored_between(&self, copy: &Copy) -> (u64, Option<u64>) {
        if let Some(put) = copy.put {
            return (self.puts[put].asked_ns, self.puts[put].answered_ns);
        }
        let holding = self.queues[&copy.queue].holdings.get(&copy.message);
        let puts = holding.map_or(&[][..], |holding| &holding.puts[..]);
        (puts.iter().map(|put| self.puts[*put].asked_ns).min().unwrap_or(0), None)
    }

    /// How many groups a queue may have had.
    pub(super) fn groups_max(&self, queue: u64) -> usize {
        let queue = &self.queues[&queue];
        let known = queue.groups.keys().filter(|group| **group != 0).count();
        1 + known.max(queue.asked_for.len())
    }

    /// How long a message lives in a queue, in milliseconds.
    pub(super) fn lifetime_ms(&self, copy: &Copy) -> Option<u64> {
        let own = self.messages[&copy.message].traits.ttl_ms;
        let facts = self.queues[&copy.queue].facts;
        [own, facts.ttl_ms].into_iter().filter(|ms| *ms > 0).min()
    }
}
