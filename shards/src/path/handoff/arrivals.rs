//! What other shards handed over: their requests are carried out here, their replies go to their
//! connections.

use super::{Entry, Handoff, entry_prefix, first_entry};
use crate::limits::HANDOFFS_PER_TURN_MAX;
use crate::path::origin::Origin;
use crate::path::perform::{Asker, Performed, promised_bytes};
use crate::shard::Shard;
use crate::world::{Outgoing, World};
use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::{
    Code, Kind, LeaseId, QueueId, Rejection, Request, frame::REPLY, reply, request::Take,
};

impl<W: World> Shard<W> {
    /// Takes what has arrived from each shard, a bounded number of batches from each.
    pub(crate) fn take_arrivals(&mut self) {
        for shard in 0..self.handoffs.shards() {
            for _ in 0..HANDOFFS_PER_TURN_MAX {
                let Some(arrival) = self.handoffs.next_arrival(shard) else { break };
                self.worked(1);
                self.take_arrival(shard, arrival);
            }
        }
    }

    fn take_arrival(&mut self, shard: usize, arrival: Handoff<W::Socket>) {
        match arrival {
            Handoff::Requests(batch) => {
                let mut rest = &batch[..];
                while let Some((entry, after)) = first_entry(rest) {
                    self.serve_elsewhere(shard, entry);
                    rest = after;
                }
                self.handoffs.keep(shard, batch);
            }
            Handoff::Replies(batch) => {
                let mut rest = &batch[..];
                while let Some((entry, after)) = first_entry(rest) {
                    self.bring_home(shard, entry);
                    rest = after;
                }
                self.handoffs.keep(shard, batch);
            }
            Handoff::Buffer(buffer) => self.handoffs.keep(shard, buffer),
            Handoff::Connection(socket) => self.take_on(socket),
            Handoff::Gone(peer) => self.performer.store.forget(shard as u8, peer),
            Handoff::Undelivered(queue, lease) => self.performer.store.release(queue, lease),
        }
    }

    /// Carries out a request of another shard's connection.
    fn serve_elsewhere(&mut self, shard: usize, entry: Entry<'_>) {
        let header = entry.frame.header;
        let (stream, request) = (header.stream, header.request);
        let origin = Origin { shard: shard as u8, peer: entry.peer, stream, request };
        // The asking shard has counted the promise; here every wait is within it.
        let asker = Asker { origin, wait_bytes: FRAME_BYTES_MAX, may_pin: false };
        let released = match Request::decode(entry.frame) {
            Ok(Request::Take(take)) if header.kind == Kind::Take as u8 => promised_bytes(&take),
            _ => 0,
        };
        self.reply_elsewhere(asker, released, |performer, out| {
            performer.perform(asker, entry.frame, out)
        });
    }

    /// Writes an entry whose reply `write` appends, or nothing if the request waits.
    pub(crate) fn reply_elsewhere(
        &mut self,
        asker: Asker,
        released: usize,
        write: impl FnOnce(&mut crate::path::perform::Performer, &mut Outgoing) -> Performed,
    ) {
        let Self { performer, handoffs, .. } = self;
        let shard = asker.origin.shard as usize;
        let mut out = Outgoing { bytes: handoffs.begin_replies(shard), ..Outgoing::default() };
        let start = out.bytes.len();
        entry_prefix(&mut out.bytes, asker.origin.peer, 0, released as u32);
        let performed = write(performer, &mut out);
        debug_assert!(out.pins.is_empty(), "what travels between shards is copied");
        let mut batch = out.bytes;
        match performed {
            Performed::Answered => {}
            Performed::Delivered(queue) => {
                batch[start + 8..start + 16].copy_from_slice(&queue.0.to_le_bytes());
            }
            Performed::Waiting(_) => batch.truncate(start),
            Performed::Broken(why) => {
                // The asker's own shard speaks the last words: it sees the code.
                reply::refused(&mut batch, Kind::Goodbye, (0, 0), why);
            }
        }
        handoffs.end_replies(shard, batch, performer.journal.appended());
    }

    /// A reply of another shard goes to its connection, or back if that is gone.
    fn bring_home(&mut self, shard: usize, entry: Entry<'_>) {
        let Self { connections, spare_outboxes, .. } = self;
        let Some((slot, connection)) = connections.of_peer(entry.peer) else {
            self.return_undelivered(shard, &entry);
            return;
        };
        connection.elsewhere -= 1;
        connection.promised -= entry.released as usize;
        if connection.end_sent {
            // Nothing is said after the last words.
            self.return_undelivered(shard, &entry);
            self.has_outcome(slot);
            return;
        }
        if entry.frame.header.kind == Kind::Goodbye as u8 | REPLY {
            let code = Code::from_number(entry.frame.header.code).unwrap_or(Code::Malformed);
            self.part(slot, Some(Rejection::new(code, "the request does not follow the protocol")));
            return;
        }
        connection.open_outbox(spare_outboxes);
        connection.outbox.bytes.extend_from_slice(entry.frame_bytes);
        let behind = connection.is_behind();
        self.has_outcome(slot);
        if behind {
            self.serve_kept(slot);
        }
    }

    /// What was delivered to nobody goes back to its queue.
    fn return_undelivered(&mut self, shard: usize, entry: &Entry<'_>) {
        let lease = entry.frame.body.first_chunk().map_or(0, |lease| u64::from_le_bytes(*lease));
        if entry.queue != 0 {
            let back = Handoff::Undelivered(QueueId(entry.queue), LeaseId(lease));
            self.handoffs.signal(shard, back);
        }
    }

    /// Answers waiting takes that can be served now, or have waited long enough.
    pub(crate) fn answer(&mut self) {
        for _ in 0..crate::limits::ANSWERS_PER_TURN_MAX {
            let Some((origin, take, outcome)) = self.performer.answer() else { break };
            self.worked(1);
            let asker = Asker { origin, wait_bytes: 0, may_pin: true };
            let promised = promised_bytes(&take);
            if origin.shard as usize != self.config.shard {
                self.reply_elsewhere(
                    Asker { may_pin: false, ..asker },
                    promised,
                    |performer, out| {
                        performer.write_answer(asker_copied(asker), &take, outcome, out)
                    },
                );
            } else {
                self.answer_here(asker, &take, outcome);
            }
        }
    }

    fn answer_here(&mut self, asker: Asker, take: &Take, outcome: Result<(), Rejection>) {
        let Self { connections, performer, spare_outboxes, .. } = self;
        let Some((slot, connection)) = connections.of_peer(asker.origin.peer) else {
            performer.give_back_answer(take);
            return;
        };
        connection.waiting -= 1;
        connection.promised -= promised_bytes(take);
        connection.open_outbox(spare_outboxes);
        performer.write_answer(asker, take, outcome, &mut connection.outbox);
        let behind = connection.is_behind();
        self.has_outcome(slot);
        if behind {
            self.serve_kept(slot);
        }
    }
}

/// The same asker, for a reply that travels between shards.
fn asker_copied(asker: Asker) -> Asker {
    Asker { may_pin: false, ..asker }
}
