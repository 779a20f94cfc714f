//! What other shards handed over: their requests are carried out here, their replies go to their
//! connections.

use super::{Entry, Handoff, Promise, complete_entry, entry_prefix, first_entry, mark_pushed};
use crate::limits::HANDOFFS_PER_TURN_MAX;
use crate::path::connection::Phase;
use crate::path::errand::{among, begins_here, is_errand, is_question};
use crate::path::origin::Origin;
use crate::path::perform::{Asker, Closure, Performed, Performer, UNLIMITED};
use crate::path::queue::{Answer, Asked};
use crate::shard::Shard;
use crate::world::{Outgoing, World};
use ringway_protocol::{Frame, Kind, frame::REPLY};

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
            Handoff::Gone(peer) => self.forget_asker(shard, peer),
            Handoff::Forgotten(peer, requests) => self.forgotten(peer, requests),
            Handoff::Behind(peer, is_behind) => {
                self.performer.store.set_behind(shard as u8, peer, is_behind);
            }
            Handoff::Undelivered(queue, lease) => {
                self.performer.store.release(queue, lease, self.performer.now);
            }
        }
    }

    /// What waits here for a peer of another shard takes nothing any more, and its shard hears how
    /// many requests that leaves without a reply. An errand counts its questions by itself.
    pub(crate) fn forget_asker(&mut self, shard: usize, peer: u64) {
        let requests = self.performer.store.forget(shard as u8, peer, self.performer.now);
        if requests > 0 && !is_errand(peer) {
            self.handoffs.signal(shard, Handoff::Forgotten(peer, requests));
        }
    }

    /// Requests that waited at another shard for a connection whose peer has ended are over.
    fn forgotten(&mut self, peer: u64, requests: u32) {
        let Some((slot, connection)) = self.connections.of_peer(peer) else { return };
        connection.elsewhere -= requests;
        let waits = connection.is_behind();
        self.has_outcome(slot);
        if waits {
            self.serve_kept(slot);
        }
    }

    /// Carries out a request of another shard's connection.
    fn serve_elsewhere(&mut self, shard: usize, entry: Entry<'_>) {
        let header = entry.frame.header;
        let (stream, request) = (header.stream, header.request);
        let origin = Origin { shard: shard as u8, peer: entry.peer, stream, request };
        if !is_question(entry.peer, stream) && begins_here(&self.performer, entry.frame) {
            return self.begin_for_another(origin, entry.frame);
        }
        let promise = Promise { bytes: entry.released as usize, waits: entry.waits };
        // The asking shard has counted the promise; errands promise nothing.
        let wait_bytes = if is_errand(entry.peer) { UNLIMITED } else { promise.bytes };
        let asker = Asker { origin, wait_bytes, may_pin: false };
        self.reply_elsewhere(asker, (promise, false), |performer, out| {
            among::perform(performer, asker, entry.frame, out)
        });
    }

    /// Begins an errand for a request of another shard's connection; its end is the reply.
    fn begin_for_another(&mut self, origin: Origin, frame: Frame<'_>) {
        if let Err(why) = self.errand_runner().begin(origin, frame) {
            let asker = Asker { origin, wait_bytes: 0, may_pin: false };
            let kind = Kind::from_number(frame.header.kind);
            self.reply_elsewhere(asker, (Promise::default(), false), |performer, out| {
                performer.refuse(asker, kind, why, out)
            });
        }
    }

    /// Writes an entry whose reply `write` appends, or nothing if the request waits. The reply
    /// settles a promise; it answers a request, or is `pushed`.
    fn reply_elsewhere(
        &mut self,
        asker: Asker,
        (promise, pushed): (Promise, bool),
        write: impl FnOnce(&mut Performer, &mut Outgoing) -> Performed,
    ) {
        let Self { performer, handoffs, .. } = self;
        let shard = asker.origin.shard as usize;
        let mut out = Outgoing { bytes: handoffs.begin_replies(shard), ..Outgoing::default() };
        let start = out.bytes.len();
        let Promise { bytes, waits } = promise;
        entry_prefix(&mut out.bytes, asker.origin.peer, 0, bytes as u32, waits);
        if pushed {
            mark_pushed(&mut out.bytes, start);
        }
        let performed = write(performer, &mut out);
        debug_assert!(out.pins.is_empty(), "what travels between shards is copied");
        let mut batch = out.bytes;
        complete_entry(&mut batch, start, performed);
        handoffs.end_replies(shard, batch, performer.journal.appended());
    }

    /// A reply of another shard goes to its errand, or to its connection; or back if that is gone.
    pub(crate) fn bring_home(&mut self, shard: usize, entry: Entry<'_>) {
        if is_errand(entry.peer) {
            return self.errand_runner().arrived(shard, &entry);
        }
        let Self { connections, spare_outboxes, .. } = self;
        let Some((slot, connection)) = connections.of_peer(entry.peer) else {
            self.return_undelivered(&entry);
            return;
        };
        connection.elsewhere -= u32::from(!entry.pushed);
        if entry.waits {
            connection.promised -= entry.released as usize;
        } else {
            connection.expected -= entry.released as usize;
        }
        if connection.last_words || connection.end_sent || connection.phase == Phase::Closing {
            // Nothing is said after the last words.
            self.return_undelivered(&entry);
            self.has_outcome(slot);
            return;
        }
        if entry.frame.header.kind == Kind::Goodbye as u8 | REPLY {
            connection.open_outbox(spare_outboxes);
            connection.outbox.bytes.extend_from_slice(entry.frame_bytes);
            (connection.last_words, connection.farewell) = (true, None);
            self.part(slot, None);
            return;
        }
        connection.open_outbox(spare_outboxes);
        connection.outbox.bytes.extend_from_slice(entry.frame_bytes);
        let waits = connection.is_behind();
        let full = entry.pushed && connection.owes_enough();
        self.has_outcome(slot);
        if waits {
            self.serve_kept(slot);
        }
        if full {
            self.hold_pushes(slot);
        }
    }

    /// What was delivered to nobody goes back to its queue.
    fn return_undelivered(&mut self, entry: &Entry<'_>) {
        if let Some((queue, lease)) = entry.delivered() {
            self.errand_runner().give_back(queue, lease);
        }
    }

    /// Answers those who wait and can be served now, or have waited long enough.
    pub(crate) fn answer(&mut self) {
        for _ in 0..crate::limits::ANSWERS_PER_TURN_MAX {
            if self.handoffs.is_crowded() {
                break;
            }
            let Some(answer) = self.performer.answer() else { break };
            self.worked(1);
            let here = answer.origin.shard as usize == self.config.shard;
            // What travels between shards is copied.
            let asker = Asker { origin: answer.origin, wait_bytes: 0, may_pin: here };
            if here {
                self.answer_here(asker, &answer);
            } else {
                let Closure { ends_request, released } = Closure::of(&answer);
                // A put that was held promised nothing.
                let waits = !matches!(answer.asked, Asked::Put);
                let promise = Promise { bytes: released, waits };
                self.reply_elsewhere(asker, (promise, !ends_request), |performer, out| {
                    performer.write_answer(asker, &answer, out)
                });
            }
        }
    }

    fn answer_here(&mut self, asker: Asker, answer: &Answer) {
        if is_errand(asker.origin.peer) {
            let asker = Asker { may_pin: false, ..asker };
            let pushed = !Closure::of(answer).ends_request;
            return self.errand_runner().answered(asker.origin.peer, pushed, |performer, out| {
                performer.write_answer(asker, answer, out)
            });
        }
        let Self { connections, performer, spare_outboxes, .. } = self;
        let Some((slot, connection)) = connections.of_peer(asker.origin.peer) else {
            performer.give_back_answer(answer);
            return;
        };
        let Closure { ends_request, released } = Closure::of(answer);
        connection.waiting -= u32::from(ends_request);
        connection.promised -= released;
        connection.open_outbox(spare_outboxes);
        performer.write_answer(asker, answer, &mut connection.outbox);
        let waits = connection.is_behind();
        let full = !ends_request && connection.owes_enough();
        self.has_outcome(slot);
        if waits {
            self.serve_kept(slot);
        }
        if full {
            self.hold_pushes(slot);
        }
    }
}
