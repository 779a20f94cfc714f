//! Simulated clients: they speak the real protocol, in pieces of any size, and some of them
//! misbehave.
//!
//! [`peer`] is one connection with its requests; [`worker`] puts, takes and settles; [`vandal`]
//! breaks the protocol; [`glutton`] does not read; [`sweeper`] empties every queue at the end.
//! Everything they see goes to the checker.

pub mod glutton;
pub mod peer;
pub mod queues;
pub mod sweeper;
pub mod vandal;
pub mod worker;

use crate::checker::Checker;
use crate::network::Network;

/// What a client reaches in one step: the network, and the checker that is told what it saw.
pub struct Outside<'a> {
    /// Where its connection is.
    pub network: &'a mut Network,
    /// Who judges.
    pub checker: &'a mut Checker,
    /// Connections so far: each gets a number of its own in the history.
    pub connections: &'a mut u64,
    /// Messages so far: each gets a number of its own.
    pub messages: &'a mut u64,
}
