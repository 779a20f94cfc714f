//! Bytes in: what a receive completed with is fed to the inbox, served, or held while the
//! connection is stalled.

use crate::limits::LARGE_BUFFER_BYTES;
use crate::path::connection::closing::Watch;
use crate::path::connection::{Phase, Receiving, Stall};
use crate::path::decode::Flow;
use crate::path::dispatch::Dispatcher;
use crate::shard::Shard;
use crate::world::{BufferId, Completion, Purpose, World};
use ringway_protocol::Rejection;

/// Bytes that a stalled connection may send us before its receive is cancelled.
const HELD_BYTES_MAX: usize = 2 * LARGE_BUFFER_BYTES;

impl<W: World> Shard<W> {
    /// Acts on receives that completed.
    pub(crate) fn receive(&mut self) {
        for index in 0..self.completions.len() {
            let completion = self.completions[index];
            if completion.token.purpose() == Some(Purpose::Receive) {
                self.received(completion);
            }
        }
    }

    fn received(&mut self, completion: Completion) {
        let slot = completion.token.slot();
        let Some(connection) = self.connections.named(slot, completion.token.generation()) else {
            // Late: the slot has a new owner or none. Only the buffer matters.
            completion.buffer.into_iter().for_each(|buffer| self.world.give_back(buffer));
            return;
        };
        if !completion.more {
            // Whatever the result: the receive has ended and must be armed again exactly once.
            connection.receiving = match connection.receiving {
                Receiving::CancelAsked => Receiving::Paused,
                _ => Receiving::Ended,
            };
            self.rearming.push(slot);
        }
        match (completion.result, completion.buffer) {
            (1.., Some(buffer)) => {
                self.take_in(slot, buffer, completion.result as usize);
                self.world.give_back(buffer);
            }
            (0, buffer) => {
                buffer.into_iter().for_each(|buffer| self.world.give_back(buffer));
                self.end_of_peer(slot);
            }
            (result, buffer) => {
                buffer.into_iter().for_each(|buffer| self.world.give_back(buffer));
                match -result {
                    libc::ENOBUFS => self.performer.stats().receive_buffers_empty.add(1),
                    libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                    _ => self.close(slot),
                }
            }
        }
        self.close_if_quiet(slot);
    }

    /// Serves what arrived, or holds it for later.
    fn take_in(&mut self, slot: u32, buffer: BufferId, length: usize) {
        self.performer.stats().bytes_in.add(length as u64);
        let peer = self.connections.peer(slot);
        let Self { performer, handoffs, errands, config, connections, world, .. } = self;
        let (spare_inboxes, spare_outboxes) = (&mut self.spare_inboxes, &mut self.spare_outboxes);
        let reception = &config.reception;
        let mut dispatcher = Dispatcher { performer, handoffs, errands, reception };
        let connection = connections.at(slot).expect("the caller has found it");
        if connection.phase >= Phase::Parting {
            return;
        }
        let bytes = world.received(buffer, length);
        if connection.stall.is_some() {
            connection.inbox.hold(bytes, spare_inboxes);
            let too_much = connection.inbox.len() > HELD_BYTES_MAX;
            if too_much && connection.receiving == Receiving::Armed {
                self.hold_back(slot);
            }
            return;
        }
        connection.open_outbox(spare_outboxes);
        let mut inbox = std::mem::take(&mut connection.inbox);
        let fed =
            inbox.feed(bytes, spare_inboxes, |frame| dispatcher.dispatch(connection, peer, frame));
        connection.inbox = inbox;
        self.fit_buffers(slot, buffer.size, length);
        self.after_serving(slot, fed);
    }

    /// Serves the frames that a stalled connection had to keep.
    pub(crate) fn serve_kept(&mut self, slot: u32) {
        let peer = self.connections.peer(slot);
        let Self { performer, handoffs, errands, config, connections, spare_inboxes, .. } = self;
        let reception = &config.reception;
        let mut dispatcher = Dispatcher { performer, handoffs, errands, reception };
        let Some(connection) = connections.at(slot) else { return };
        if let Some(why) = connection.must_wait() {
            // Another reason than before, perhaps: whoever lifts it must find it here.
            connection.stall = Some(why);
            return;
        }
        connection.stall = None;
        connection.open_outbox(&mut self.spare_outboxes);
        let mut inbox = std::mem::take(&mut connection.inbox);
        let served =
            inbox.serve_kept(spare_inboxes, |frame| dispatcher.dispatch(connection, peer, frame));
        connection.inbox = inbox;
        if connection.stall.is_none() {
            self.rearming.push(slot);
        }
        self.after_serving(slot, served);
    }

    fn after_serving(&mut self, slot: u32, flow: Result<Flow, Rejection>) {
        match flow {
            Ok(Flow::Close) => {
                // The stage that refused has queued the last words and moved the phase already.
                self.linger(slot);
                self.part(slot, None);
            }
            Err(why) => {
                self.performer.stats().refused.add(1);
                self.part(slot, Some(why));
            }
            Ok(_) => {}
        }
        let frame_ns = self.config.frame_ms * 1_000_000;
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.end_seen && connection.stall.is_none() {
            self.part(slot, None);
        }
        let Some(connection) = self.connections.at(slot) else { return };
        if let Some(Stall::Handoff(_) | Stall::Scattered) = connection.stall {
            self.stalled.push_back(slot);
        } else if !connection.inbox.is_empty() && !connection.frame_watched {
            connection.frame_watched = true;
            let frames = connection.frames;
            self.watch(slot, Watch::Frame(frames), frame_ns);
        }
        self.has_outcome(slot);
    }

    /// Notes that the connection may have something to send.
    pub(crate) fn has_outcome(&mut self, slot: u32) {
        let appended = self.performer.journal.appended();
        let Some(connection) = self.connections.at(slot) else { return };
        if !connection.outbox.is_empty() {
            connection.outbox_position = appended;
        }
        let flushed = connection.outbox.is_empty() && connection.held.is_empty();
        let unused = connection.outbox.is_empty().then(|| std::mem::take(&mut connection.outbox));
        if !connection.listed && (!flushed || connection.phase >= Phase::Parting) {
            connection.listed = true;
            self.replying.push_back(slot);
        }
        // An idle connection keeps no memory for replies.
        unused.into_iter().for_each(|outbox| self.recycle(outbox));
    }
}
