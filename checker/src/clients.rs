//! Clients whose history is judged: they speak the real protocol, in pieces of any size, and some
//! of them misbehave. They run over any [`ClientSide`] of a network, simulated or of real sockets.
//!
//! [`peer`] is one connection with its requests; [`worker`] puts, takes and settles; [`vandal`]
//! breaks the protocol; [`glutton`] does not read; [`sweeper`] empties every queue at the end.
//! Everything they see goes to the checker.

pub mod glutton;
pub mod peer;
pub mod queues;
mod side;
pub mod sweeper;
pub mod vandal;
pub mod worker;

use std::collections::{BTreeMap, BTreeSet};

use ringway_protocol::GroupId;
use ringway_protocol::reply::Delivery;

use crate::{Checker, Event, Facts, parcel};

pub use side::{ClientSide, Read};

/// What a client reaches in one step: the network, and the checker that is told what it saw.
pub struct Outside<'a> {
    /// Where its connection is.
    pub network: &'a mut dyn ClientSide,
    /// Who judges.
    pub checker: &'a mut Checker,
    /// Connections so far: each gets a number of its own in the history.
    pub connections: &'a mut u64,
    /// Messages so far: each gets a number of its own.
    pub messages: &'a mut u64,
    /// Queues that were found so far.
    pub found: &'a mut Found,
}

/// The queues that each plan has had, one after the other, and their dead-letter queue.
#[derive(Debug, Default)]
pub struct Found {
    queues: BTreeMap<usize, BTreeSet<u64>>,
    dead: BTreeMap<usize, BTreeSet<u64>>,
    /// Who pauses each queue, and binds it: others do that rarely, so that it stays a while.
    keepers: BTreeMap<u64, u64>,
    /// Groups of queues that keep what is done: how many messages had been made before them.
    replays: BTreeMap<(u64, GroupId), u64>,
    /// The consumers that groups with a single active one had last; 0 for none yet.
    active: BTreeMap<(u64, GroupId), u64>,
}

impl Outside<'_> {
    /// The queue of a plan was found.
    pub fn queue_found(&mut self, index: usize, queue: u64, facts: Facts) {
        if self.found.queues.entry(index).or_default().insert(queue) {
            self.checker.record(Event::Queue { queue, facts });
            for dead in self.found.dead.entry(index).or_default().iter() {
                self.checker.record(Event::DeadLetters { queue, dead: *dead });
            }
        }
    }

    /// Whether a client is the one that keeps a queue: the first that asks.
    pub fn keeps(&mut self, client: u64, queue: u64) -> bool {
        *self.found.keepers.entry(queue).or_insert(client) == client
    }

    /// A group was made that gets what is kept; so many messages had been made before.
    pub fn replay_begins(&mut self, of: (u64, GroupId), messages: u64) {
        self.found.replays.insert(of, messages);
    }

    /// A group got messages: whether they had been there before it is counted.
    pub fn replayed(&mut self, of: (u64, GroupId), delivery: &Delivery<'_>) {
        let Some(messages) = self.found.replays.get(&of) else { return };
        let records = delivery.records.iter().flat_map(|records| records.iter());
        let numbers = records.filter_map(|record| parcel::read(record.payload));
        let before = numbers.filter(|number| number < messages).count() as u64;
        self.network.count_many("messages replayed", before);
    }

    /// A group with a single active consumer was found.
    pub fn single_active(&mut self, of: (u64, GroupId)) {
        self.found.active.entry(of).or_default();
    }

    /// A group gave messages to a consumer: whether it is another one than before is counted, where
    /// one is active at a time.
    pub fn consumed(&mut self, of: (u64, GroupId), connection: u64) {
        let Some(active) = self.found.active.get_mut(&of) else { return };
        let before = std::mem::replace(active, connection);
        if before != 0 && before != connection {
            self.network.count("single active groups that failed over");
        }
    }

    /// The dead-letter queue of a plan was found: that of every queue that the plan has had.
    pub fn dead_found(&mut self, index: usize, dead: u64) {
        if self.found.dead.entry(index).or_default().insert(dead) {
            for queue in self.found.queues.entry(index).or_default().iter() {
                self.checker.record(Event::DeadLetters { queue: *queue, dead });
            }
        }
    }
}
