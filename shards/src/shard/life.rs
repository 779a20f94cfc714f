//! The end of a shard: it drains, parts with its connections, and has stopped when nothing is under
//! way.

use super::Shard;
use crate::lane::{Command, Lanes};
use crate::path::perform::DRAINING;
use crate::world::World;
use rtrb::Consumer;

/// Nanoseconds that a shard waits at its end for errands: what they have asked of a shard that has
/// ended before is never answered.
const ERRANDS_NS: u64 = 1_000_000_000;

/// How far the end of a shard has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Life {
    /// It serves.
    Serving,
    /// No new connections, no puts; takes and acknowledgements are served.
    Draining,
    /// Its connections are being closed.
    Stopping,
    /// Nothing is under way any more.
    Stopped,
}

impl<W: World> Shard<W> {
    /// Takes lanes and commands from this ring from now on.
    pub fn listen_to(&mut self, commands: Consumer<Command>) {
        self.lanes = Lanes::new(commands);
    }

    /// No new connections and no puts from now on; takes and acknowledgements are served. Peers are
    /// still accepted, so that each hears why it is turned away instead of waiting in the backlog.
    pub fn drain(&mut self) {
        if self.life == Life::Serving {
            self.life = Life::Draining;
            self.performer.draining = true;
            self.performer.refuse_held(DRAINING);
            self.stats().draining.set(1);
        }
    }

    /// The shard parts with its connections in its next turn; it has stopped when the last is
    /// closed.
    pub fn stop(&mut self) {
        self.drain();
        self.life = self.life.max(Life::Stopping);
        self.stop_accepting();
    }

    /// Parts with every connection, once, and with those who wait here for other shards' ones.
    pub(super) fn part_with_all(&mut self) {
        if self.life < Life::Stopping || self.errands_until_ns.is_some() {
            return;
        }
        self.errands_until_ns = Some(self.performer.now.ns + ERRANDS_NS);
        let slots: Vec<u32> = self.connections.slots().collect();
        for slot in slots {
            self.part(slot, Some(DRAINING));
        }
        for (shard, peer) in self.performer.store.askers_of_others(self.config.shard as u8) {
            self.forget_asker(shard.into(), peer);
        }
    }

    /// Whether the shard was told to stop and nothing is under way any more.
    pub(super) fn has_ended(&self) -> bool {
        self.life == Life::Stopping
            && self.connections.is_empty()
            && self.closing.is_empty()
            && !self.listeners.any_armed()
            && !self.handoffs.has_unsent()
            && (self.errands.is_empty() || self.errands_until_ns <= Some(self.performer.now.ns))
    }
}
