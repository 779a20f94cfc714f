//! What is pushed to a connection stops while its peer does not read, and goes on when it has read.

use super::Connection;
use crate::limits::{OUTBOUND_BYTES_MAX, OUTBOUND_BYTES_RESUME};
use crate::path::handoff::Handoff;
use crate::shard::Shard;
use crate::world::World;

impl<S> Connection<S> {
    /// Whether it owes so much that nothing more is to be pushed to it.
    #[inline]
    pub fn owes_enough(&self) -> bool {
        self.owed + self.outbox.len() >= OUTBOUND_BYTES_MAX
    }
}

impl<W: World> Shard<W> {
    /// Nothing is pushed to a connection from now on, by any shard; what is under way still comes,
    /// as much as the credit of its subscriptions.
    #[cold]
    pub(crate) fn hold_pushes(&mut self, slot: u32) {
        if let Some(connection) = self.connections.at(slot) {
            connection.pushes_held = true;
            self.tell_behind(slot, true);
        }
    }

    /// Pushing goes on to a connection that has read enough.
    #[inline]
    pub(crate) fn resume_pushes(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        let owed = connection.owed + connection.outbox.len();
        if connection.pushes_held && owed < OUTBOUND_BYTES_RESUME {
            connection.pushes_held = false;
            self.tell_behind(slot, false);
        }
    }

    #[cold]
    fn tell_behind(&mut self, slot: u32, is_behind: bool) {
        let peer = self.connections.peer(slot);
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.asks_elsewhere {
            self.handoffs.tell_all(|| Handoff::Behind(peer, is_behind));
        }
        for errand in connection.holds.idle() {
            self.handoffs.tell_all(|| Handoff::Behind(errand, is_behind));
            self.performer.store.set_behind(self.config.shard as u8, errand, is_behind);
        }
        self.performer.store.set_behind(self.config.shard as u8, peer, is_behind);
    }
}
