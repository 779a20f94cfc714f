//! An outcome becomes bytes on the connection it came from.
//!
//! Most replies are written where they are decided, with the writers of `ringway_protocol::reply`.
//! This file holds the one that needs care: a delivery, whose long runs are sent from their
//! segments and short ones are copied.

use crate::limits::{PIN_BYTES_MIN, SENDS_PER_TURN_MAX, SLICES_PER_SEND_MAX};
use crate::path::connection::Phase;
use crate::path::queue::Taken;
use crate::shard::Shard;
use crate::world::{Completion, Outgoing, Purpose, World};
use ringway_protocol::frame::HEADER_BYTES;
use ringway_protocol::reply::{DELIVERY_BYTES, RUN_BYTES, delivery_prefix};
use ringway_protocol::{Code, Header, Kind};

/// Outboxes that a shard keeps for reuse.
const SPARE_OUTBOXES_MAX: usize = 1024;
/// Bytes of the largest outbox that is kept.
const SPARE_OUTBOX_BYTES_MAX: usize = 256 << 10;

/// Appends the reply to a take; long runs are pinned if `may_pin`. The runs move out of `taken`.
pub fn delivery(
    out: &mut Outgoing,
    (stream, request): (u32, u32),
    taken: &mut Taken,
    may_pin: bool,
) {
    let records: usize = taken.runs.iter().map(|run| run.slice.len()).sum();
    let mut header = Header::reply(Kind::Take, Code::Ok, stream, request);
    header.length = (DELIVERY_BYTES + taken.runs.len() * RUN_BYTES + records) as u32;
    out.bytes.reserve(HEADER_BYTES + DELIVERY_BYTES + taken.runs.len() * RUN_BYTES);
    out.bytes.extend_from_slice(&header.encode());
    let runs = taken.runs.iter().map(|run| run.run);
    delivery_prefix(
        &mut out.bytes,
        (taken.lease, taken.lease_ms),
        (taken.count, taken.dropped),
        runs,
    );
    for run in taken.runs.drain(..) {
        // A pin splits the copied bytes in two: each costs up to two slices of the send.
        let room = 2 * out.pins.len() + 3 < SLICES_PER_SEND_MAX;
        if may_pin && room && run.slice.len() >= PIN_BYTES_MIN {
            out.pin(run.slice);
        } else {
            out.bytes.extend_from_slice(&run.slice);
        }
    }
}

impl<W: World> Shard<W> {
    /// Sends what connections are owed and may be told by now, in turn: one send a connection, and
    /// so many connections a turn.
    pub(crate) fn reply(&mut self) {
        for index in 0..self.completions.len() {
            let completion = self.completions[index];
            if completion.token.purpose() == Some(Purpose::Send) {
                self.sent(completion);
            }
        }
        // Replies that are not committed yet go to the end, to be looked at in the next turn.
        let mut begun = 0;
        let mut left = self.replying.len();
        while left > 0 && begun < SENDS_PER_TURN_MAX {
            let slot = self.replying.pop_front().expect("none goes but here");
            left -= 1;
            begun += usize::from(self.start_send(slot));
        }
        self.replies_left = left > 0;
    }

    /// Begins a connection's next send; says whether there was something to send.
    pub(crate) fn start_send(&mut self, slot: u32) -> bool {
        let committed = self.performer.journal.committed();
        let Some(connection) = self.connections.at(slot) else { return false };
        connection.listed = false;
        if connection.phase == Phase::Closing {
            self.close_if_quiet(slot);
            return false;
        }
        if connection.sending {
            return false;
        }
        if let Some(outgoing) = connection.release(committed) {
            connection.sending = true;
            connection.owed += outgoing.len();
            let token = self.connections.token(Purpose::Send, slot);
            let connection = self.connections.at(slot).expect("it was there a moment ago");
            self.world.send(&connection.socket, token, outgoing);
            return true;
        }
        if !connection.held.is_empty() {
            connection.listed = true;
            self.replying.push_back(slot);
        } else {
            self.part_further(slot);
        }
        false
    }

    /// A send has completed: usually whole, else its remainder follows.
    fn sent(&mut self, completion: Completion) {
        let mut outgoing = self.world.take_back(completion.token);
        let slot = completion.token.slot();
        let Some(connection) = self.connections.named(slot, completion.token.generation()) else {
            unreachable!("a slot is freed only after the terminal completion of its send");
        };
        connection.sending = false;
        if completion.result > 0 {
            self.performer.stats().bytes_out.add(completion.result as u64);
            outgoing.sent += completion.result as usize;
        }
        let again = [-libc::EAGAIN, -libc::EINTR].contains(&completion.result);
        if connection.phase == Phase::Closing || (completion.result <= 0 && !again) {
            self.recycle(outgoing);
            self.close(slot);
            self.close_if_quiet(slot);
            return;
        }
        if outgoing.sent < outgoing.len() {
            connection.sending = true;
            self.world.send(&connection.socket, completion.token, outgoing);
            return;
        }
        connection.owed -= outgoing.len();
        self.recycle(outgoing);
        self.resume_pushes(slot);
        self.after_sending(slot);
    }

    fn after_sending(&mut self, slot: u32) {
        let Some(connection) = self.connections.at(slot) else { return };
        if connection.is_behind() {
            self.serve_kept(slot);
        }
        self.has_outcome(slot);
        self.part_further(slot);
    }

    /// Keeps the memory of replies that were sent.
    pub(crate) fn recycle(&mut self, mut outgoing: Outgoing) {
        outgoing.clear();
        let capacity = outgoing.bytes.capacity();
        if (1..=SPARE_OUTBOX_BYTES_MAX).contains(&capacity)
            && self.spare_outboxes.len() < SPARE_OUTBOXES_MAX
        {
            self.spare_outboxes.push(outgoing);
        }
    }
}
