//! A connection's receive is paused, armed again, and moved between the groups of buffers.

use super::closing::Watch;
use super::{Phase, Receiving};
use crate::limits::{REARMED_PER_TURN_MAX, SMALL_BUFFER_BYTES};
use crate::shard::Shard;
use crate::world::{BufferSize, PeerEnd, Purpose, World};

/// Completions in a row that must speak for the other size of buffers before a connection moves.
const MISFITS_MAX: u8 = 8;

/// Nanoseconds between two looks whether the peer of a paused receive is still there.
const PAUSED_LOOK_NS: u64 = 1_000_000_000;

impl<W: World> Shard<W> {
    /// Pauses the receive of a connection that has sent more than can be held for it.
    pub(super) fn hold_back(&mut self, slot: u32) {
        self.pause(slot);
        self.watch(slot, Watch::Paused, PAUSED_LOOK_NS);
    }

    /// Looks whether the peer of a stalled connection has ended: a paused receive does not say so.
    pub(super) fn look_for_peer(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        let has_waits = connection.waiting + connection.elsewhere > 0
            || connection.asks_elsewhere
            || connection.holds.has_idle();
        match self.world.peer_end(&connection.socket) {
            PeerEnd::Open => self.watch(slot, Watch::Paused, PAUSED_LOOK_NS),
            // Its waits end, which may be what the next frame waits for.
            PeerEnd::Half if has_waits => {
                self.forget_waits(slot);
                self.watch(slot, Watch::Paused, PAUSED_LOOK_NS);
                self.serve_kept(slot);
            }
            PeerEnd::Half => self.watch(slot, Watch::Paused, PAUSED_LOOK_NS),
            PeerEnd::Whole => self.close(slot),
        }
    }

    /// Moves a connection between the groups of buffers by what it is seen to send.
    pub(super) fn fit_buffers(&mut self, slot: u32, size: BufferSize, length: usize) {
        let Some(connection) = self.connections.at(slot) else { return };
        let misfit = match size {
            BufferSize::Small => length == SMALL_BUFFER_BYTES,
            BufferSize::Large => length < SMALL_BUFFER_BYTES,
        };
        connection.misfits = if misfit { connection.misfits + 1 } else { 0 };
        if connection.misfits >= MISFITS_MAX {
            connection.misfits = 0;
            connection.buffer_size = match size {
                BufferSize::Small => BufferSize::Large,
                BufferSize::Large => BufferSize::Small,
            };
            if connection.receiving == Receiving::Armed {
                self.pause(slot);
            }
        }
    }

    /// Asks for the end of a receive; data that was on its way is still taken in.
    pub(super) fn pause(&mut self, slot: u32) {
        if let Some(connection) = self.connections.at(slot) {
            connection.receiving = Receiving::CancelAsked;
            let target = self.connections.token(Purpose::Receive, slot);
            self.world.cancel(target, self.connections.token(Purpose::Cancel, slot));
        }
    }

    /// Arms receives that ended or were paused, of connections that can go on, in turn. Where
    /// thousands have something to read, all but a few would find no buffer and end again.
    pub(crate) fn rearm(&mut self) {
        let count = self.rearming.len().min(REARMED_PER_TURN_MAX);
        for index in 0..count {
            let slot = self.rearming[index];
            let Some(connection) = self.connections.at(slot) else { continue };
            let idle = matches!(connection.receiving, Receiving::Ended | Receiving::Paused);
            let wanted = connection.phase < Phase::Closing && !connection.end_seen;
            if !idle || !wanted || connection.stall.is_some() {
                continue;
            }
            connection.receiving = Receiving::Armed;
            let size = connection.buffer_size;
            let token = self.connections.token(Purpose::Receive, slot);
            let connection = self.connections.at(slot).expect("it was there a moment ago");
            self.world.receive(&connection.socket, token, size);
        }
        self.rearming.drain(..count);
    }
}
