//! What comes of messages that their consumer did not acknowledge: ready again, now or later, or
//! dead letters.
//!
//! | how they come back | ready again |
//! |---|---|
//! | released, never seen | at once, and this delivery does not count |
//! | the lease ran out, the subscription ended | at once |
//! | given back | after the queue's back-off, or the delay that the consumer named |
//!
//! Whatever is ready again is first in line. What was delivered as often as it may be, or is
//! rejected, becomes a dead letter; what has expired meanwhile ends.

use ringway_protocol::limits::NAME_BYTES_MAX;
use ringway_protocol::name::DEAD_LETTER_SUFFIX;
use ringway_protocol::request::{BACK_OFF, DEAD_LETTER};

use super::backoff::Backoff;
use super::dead_letters::Reason;
use super::settle::End;
use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::take::deadline_ns;
use crate::world::Now;

/// Milliseconds until a message that could not become a dead letter is tried again, at least.
const REFUSED_MS: u32 = 1_000;
/// Milliseconds until dead letters are made that one turn did not get to: a tick of the wheel.
const PUT_OFF_MS: u32 = 1;

impl Queue {
    /// Whether its messages can become dead letters: a dead-letter queue has none of its own.
    pub fn has_dead_letters(&self) -> bool {
        let bytes = self.name.as_str().len() + DEAD_LETTER_SUFFIX.len();
        !self.name.is_dead_letter() && bytes <= NAME_BYTES_MAX
    }

    fn backoff(&self) -> Backoff {
        Backoff { base_ms: self.options.backoff_ms, max_ms: self.options.backoff_max_ms }
    }
}

impl Store {
    /// Messages that a group leased come back, this delivery counted. `delay_ms` is what their
    /// consumer said, if it gave them back itself.
    #[inline]
    pub(super) fn come_back(
        &mut self,
        (slot, group): (u32, usize),
        piece: Piece,
        delay_ms: Option<u32>,
        now: Now,
    ) {
        let queue = self.catalog.at(slot);
        let limit = queue.options.deliveries_max;
        if delay_ms == Some(DEAD_LETTER) && queue.has_dead_letters() {
            return self.bury((slot, group), piece, (Reason::Rejected, true), now);
        }
        if limit > 0 && piece.deliveries >= limit {
            return self.bury((slot, group), piece, (Reason::Deliveries, true), now);
        }
        let delay_ms = match delay_ms {
            None => 0,
            Some(BACK_OFF | DEAD_LETTER) => self.back_off_ms(slot, piece.deliveries),
            Some(delay_ms) => delay_ms,
        };
        if delay_ms == 0 {
            return self.make_ready((slot, group), piece, now);
        }
        let due_ns = deadline_ns(now.ns, delay_ms);
        self.sift_returned((slot, group), piece, now, |store, piece| {
            store.delay((slot, group), piece, due_ns, true);
        });
    }

    /// How long a message of a queue waits that was delivered so often.
    fn back_off_ms(&mut self, slot: u32, deliveries: u32) -> u32 {
        let backoff = self.catalog.at(slot).backoff();
        if backoff.base_ms == 0 {
            return 0;
        }
        backoff.delay_ms(deliveries, self.random.next())
    }

    /// Makes messages ready again, first in line, that are in no lease; those that have expired
    /// meanwhile end.
    #[inline]
    pub(super) fn make_ready(&mut self, (slot, group): (u32, usize), piece: Piece, now: Now) {
        self.sift_returned((slot, group), piece, now, |store, piece| {
            let bands = &mut store.catalog.at_mut(slot).bands;
            bands.of_mut(piece.sequence).lines.at_mut(group).give_back(piece);
        });
    }

    /// Messages that could not become dead letters are tried again later. They are in no lease and
    /// not ready any more; `claimed` says that their keys are busy for them.
    #[cold]
    pub(super) fn try_again(
        &mut self,
        (slot, group): (u32, usize),
        piece: Piece,
        claimed: bool,
        now: Now,
    ) {
        let delay_ms = self.back_off_ms(slot, piece.deliveries).max(REFUSED_MS);
        self.keep_back((slot, group), piece, claimed, deadline_ns(now.ns, delay_ms));
    }

    /// Messages that are to become dead letters are looked at again in a moment: this turn has made
    /// enough of them.
    #[cold]
    pub(super) fn put_burial_off(
        &mut self,
        holder: (u32, usize),
        piece: Piece,
        (reason, claimed): (Reason, bool),
        now: Now,
    ) {
        let due_ns = deadline_ns(now.ns, PUT_OFF_MS);
        if reason == Reason::Expired {
            // It is found expired again.
            return self.keep_back(holder, piece, claimed, due_ns);
        }
        debug_assert!(claimed, "it was leased");
        self.delay_burial(holder, piece, reason, due_ns);
    }

    /// Keeps messages back that are in no lease and not ready any more; they do not expire
    /// meanwhile.
    fn keep_back(&mut self, (slot, group): (u32, usize), piece: Piece, claimed: bool, due_ns: u64) {
        let queue = self.catalog.at_mut(slot);
        if claimed || queue.keys.is_none() {
            return self.delay((slot, group), piece, due_ns, false);
        }
        // Where another message of its key is in flight, that one brings it back.
        let (mut free, states) = (Vec::new(), &mut queue.groups.at_mut(group).keys);
        Queue::claim_keys(states, &self.segments, piece, |piece| free.push(piece));
        for piece in free {
            self.delay((slot, group), piece, due_ns, false);
        }
    }

    /// The timer of a lease's slot has fired. If the lease is over, returns how many messages it
    /// still had.
    pub(in crate::path::queue) fn run_out(&mut self, lease: u32, now: Now) -> u32 {
        if !self.leases.is_over(lease) {
            return 0;
        }
        let over = &self.leases[lease];
        let (slot, group, messages) = (over.queue, usize::from(over.group), over.unsettled);
        self.end_lease(lease, End::GivenBack(now));
        let queue = self.catalog.at_mut(slot);
        queue.groups.at_mut(group).counters.expired_leases += 1;
        let id = queue.id;
        queue.check();
        self.stir(id, now.ns);
        self.offer(id, group);
        messages
    }
}
