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

use crate::{Checker, Event, Facts};

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

    /// The dead-letter queue of a plan was found: that of every queue that the plan has had.
    pub fn dead_found(&mut self, index: usize, dead: u64) {
        if self.found.dead.entry(index).or_default().insert(dead) {
            for queue in self.found.queues.entry(index).or_default().iter() {
                self.checker.record(Event::DeadLetters { queue: *queue, dead });
            }
        }
    }
}
