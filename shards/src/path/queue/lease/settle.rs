//! What becomes of leased messages: acknowledged, given back, run out, released, moved to the dead
//! letters.
//!
//! A settlement that names a whole lease of which nothing is settled yet takes the short way. Every
//! other one claims its ranges in the lease's bits first, which yields the verdicts, and then finds
//! the claimed messages in one walk over the lease's pieces, however the ranges were ordered.

use ringway_protocol::reply::{RangeVerdict, Settlement, Verdict};
use ringway_protocol::request::Settle;
use ringway_protocol::{LeaseId, QueueId, Rejection};

use crate::path::queue::Store;
use crate::path::queue::catalog::Queue;
use crate::path::queue::lease::{Found, Lease};
use crate::path::queue::log::held::Lingering;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::log::segments::Segments;
use crate::world::Now;

/// What to do with messages whose lease, or whose place in it, ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::path::queue) enum End {
    /// They are done.
    Acknowledged,
    /// Ready again at once, this delivery counted; or dead letters.
    GivenBack(Now),
    /// The same, but their consumer said when: see [`Settle::delay_ms`].
    Nacked(u32, Now),
    /// Ready again as if this delivery had never been.
    Undelivered(Now),
    /// Gone with their queue.
    Deleted,
}

impl Store {
    /// Settles messages of a lease as done. `verdicts` is left empty if all of them were settled by
    /// this.
    #[inline]
    pub fn ack(
        &mut self,
        settle: &Settle<'_>,
        now: Now,
        verdicts: &mut Vec<RangeVerdict>,
    ) -> Result<Settlement, Rejection> {
        verdicts.clear();
        let queue = self.catalog.get_mut(settle.queue)?;
        if let Some(slot) = self.leases.whole(settle)
            && let Some((group, piece)) = self.leases[slot].only_piece()
            && let holder = queue.groups.at_mut(group)
            && !holder.single_active
        {
            self.leases.end(slot, &mut holder.leases);
            holder.leased -= u64::from(piece.count);
            self.messages -=
                queue.end(&mut self.segments, &mut self.lingering, group, &piece, true);
            queue.count_acks(group, piece.count, now);
            self.uses.note(queue, now.ns);
            if queue.keys.is_some() {
                self.offer(settle.queue, group);
            }
            return Ok(Settlement { settled: piece.count, stale: 0, unknown: 0 });
        }
        self.ack_any(settle, now, verdicts)
    }

    /// The same for any part of any lease.
    #[inline(never)]
    fn ack_any(
        &mut self,
        settle: &Settle<'_>,
        now: Now,
        verdicts: &mut Vec<RangeVerdict>,
    ) -> Result<Settlement, Rejection> {
        let (settlement, group) = self.settle(settle, verdicts, End::Acknowledged)?;
        if let Some(group) = group {
            let queue = self.catalog.at_mut(settle.queue.slot() as u32);
            queue.count_acks(group, settlement.settled, now);
            if settlement.settled > 0 {
                self.uses.note(queue, now.ns);
            }
            if queue.keys.is_some() {
                self.offer(settle.queue, group);
            }
        }
        Ok(settlement)
    }

    /// Gives messages of a lease back: ready again after the queue's back-off or the delay that is
    /// named, or dead letters. `verdicts` is left empty if all of them were settled by this.
    pub fn nack(
        &mut self,
        settle: &Settle<'_>,
        now: Now,
        verdicts: &mut Vec<RangeVerdict>,
    ) -> Result<Settlement, Rejection> {
        let (settlement, group) =
            self.settle(settle, verdicts, End::Nacked(settle.delay_ms, now))?;
        let queue = self.catalog.get_mut(settle.queue)?;
        if let Some(group) = group {
            queue.groups.at_mut(group).counters.nacks += u64::from(settlement.settled);
            queue.check();
            self.stir(settle.queue, now.ns);
            self.offer(settle.queue, group);
        }
        Ok(settlement)
    }

    /// Takes back a delivery that never reached its asker: its messages are ready again, first in
    /// line, and the delivery does not count. Does nothing if the lease has ended.
    pub fn release(&mut self, queue: QueueId, lease: LeaseId, now: Now) {
        if let Found::Live(lease) = self.leases.find(queue.slot() as u32, lease)
            && self.catalog.get(queue).is_ok()
        {
            let group = usize::from(self.leases[lease].group);
            self.end_lease(lease, End::Undelivered(now));
            self.offer(queue, group);
        }
    }

    /// Also says which group the lease is of, if there is one.
    #[inline]
    fn settle(
        &mut self,
        settle: &Settle<'_>,
        verdicts: &mut Vec<RangeVerdict>,
        end: End,
    ) -> Result<(Settlement, Option<usize>), Rejection> {
        verdicts.clear();
        self.catalog.get(settle.queue)?;
        let slot = match self.leases.find(settle.queue.slot() as u32, settle.lease) {
            Found::Live(slot) => slot,
            Found::Stale => return Ok((refuse_all(settle, verdicts, Verdict::Stale), None)),
            Found::Unknown => {
                return Ok((refuse_all(settle, verdicts, Verdict::Unknown), None));
            }
        };
        let group = Some(usize::from(self.leases[slot].group));
        if self.leases.whole(settle).is_some() {
            let settled = self.leases[slot].messages;
            self.end_lease(slot, end);
            return Ok((Settlement { settled, stale: 0, unknown: 0 }, group));
        }
        Ok((self.settle_ranges(slot, settle, verdicts, end), group))
    }

    /// Settles some messages of a lease, and ends it after the last.
    fn settle_ranges(
        &mut self,
        slot: u32,
        settle: &Settle<'_>,
        verdicts: &mut Vec<RangeVerdict>,
        end: End,
    ) -> Settlement {
        let mut settlement = Settlement::default();
        let lease = &mut self.leases[slot];
        self.claimed.clear();
        for range in settle.ranges.iter() {
            let known = range.count.min(lease.messages.saturating_sub(range.first));
            if known > 0 {
                lease.claim(range.first, known, |first, count, was_settled| {
                    let verdict = if was_settled { Verdict::Stale } else { Verdict::Settled };
                    verdicts.push(RangeVerdict { first, count, verdict });
                    if was_settled {
                        settlement.stale = settlement.stale.saturating_add(count);
                    } else {
                        settlement.settled += count;
                        self.claimed.push((first, count));
                    }
                });
            }
            if known < range.count {
                let (first, count) = (range.first + known, range.count - known);
                verdicts.push(RangeVerdict { first, count, verdict: Verdict::Unknown });
                settlement.unknown = settlement.unknown.saturating_add(count);
            }
        }
        if settlement.stale == 0 && settlement.unknown == 0 {
            verdicts.clear();
        }
        self.claimed.sort_unstable();
        let mut ending = std::mem::take(&mut self.ending);
        find(&self.leases[slot], &self.segments, &self.claimed, &mut ending);
        self.refund(slot, &ending);
        let lease = &self.leases[slot];
        let (holder, over) = ((lease.queue, usize::from(lease.group)), lease.unsettled == 0);
        if over {
            self.close_lease(slot);
        }
        for piece in ending.drain(..) {
            self.end_piece(holder, piece, end);
        }
        self.ending = ending;
        settlement
    }

    /// Ends a lease: what of it is not settled yet meets its end.
    pub(in crate::path::queue) fn end_lease(&mut self, slot: u32, end: End) {
        let lease = &mut self.leases[slot];
        let holder = (lease.queue, usize::from(lease.group));
        if lease.unsettled == lease.messages && lease.pieces_len() == 1 {
            let piece = lease.piece(0);
            self.refund(slot, &[piece]);
            self.close_lease(slot);
            return self.end_piece(holder, piece, end);
        }
        let mut ending = std::mem::take(&mut self.ending);
        if lease.unsettled == lease.messages {
            ending.extend(lease.pieces());
        } else {
            self.claimed.clear();
            lease.claim(0, lease.messages, |first, count, was_settled| {
                if !was_settled {
                    self.claimed.push((first, count));
                }
            });
            find(&self.leases[slot], &self.segments, &self.claimed, &mut ending);
        }
        self.refund(slot, &ending);
        self.close_lease(slot);
        for piece in ending.drain(..) {
            self.end_piece(holder, piece, end);
        }
        self.ending = ending;
    }

    fn close_lease(&mut self, slot: u32) {
        self.detach(slot);
        let lease = &self.leases[slot];
        let (queue, group) = (lease.queue, usize::from(lease.group));
        let holder = self.catalog.at_mut(queue).groups.at_mut(group);
        self.leases.end(slot, &mut holder.leases);
        if holder.single_active && holder.leases == NIL {
            self.leave_activity(queue, group);
        }
    }

    /// Ends messages that a group leased and that are in no lease any more.
    fn end_piece(&mut self, (slot, group): (u32, usize), mut piece: Piece, end: End) {
        let holder = (slot, group);
        self.catalog.at_mut(slot).groups.at_mut(group).leased -= u64::from(piece.count);
        match end {
            End::Acknowledged | End::Deleted => self.finish(holder, &piece, true),
            End::GivenBack(now) => self.come_back(holder, piece, None, now),
            End::Nacked(delay_ms, now) => self.come_back(holder, piece, Some(delay_ms), now),
            End::Undelivered(now) => {
                piece.deliveries -= 1;
                self.make_ready(holder, piece, now);
            }
        }
    }

    /// A group is done with messages that are in no lease and not ready any more. `claimed` says
    /// that their keys are busy for them.
    pub(super) fn finish(&mut self, (slot, group): (u32, usize), piece: &Piece, claimed: bool) {
        let queue = self.catalog.at_mut(slot);
        self.messages -= queue.end(&mut self.segments, &mut self.lingering, group, piece, claimed);
    }
}

impl Queue {
    /// A group is done with messages that are in no lease and not ready any more. `claimed` says
    /// that their keys are busy for them. Says how many of them nobody needs any more.
    #[inline(always)]
    pub fn end(
        &mut self,
        segments: &mut Segments,
        lingering: &mut Lingering,
        group: usize,
        piece: &Piece,
        claimed: bool,
    ) -> u64 {
        let before = self.bands.live();
        self.settle(segments, group, piece, claimed);
        self.linger(lingering);
        before - self.bands.live()
    }

    /// Counts messages that a group has acknowledged.
    #[inline(always)]
    fn count_acks(&mut self, group: usize, settled: u32, now: Now) {
        let acks = &mut self.groups.at_mut(group).counters.acks;
        *acks += u64::from(settled);
        let all = *acks;
        self.acks.add(now.ns, settled);
        self.check_some(all, settled);
    }
}

/// Answers for a lease that has no messages to settle.
fn refuse_all(
    settle: &Settle<'_>,
    verdicts: &mut Vec<RangeVerdict>,
    verdict: Verdict,
) -> Settlement {
    let mut count = 0_u32;
    for range in settle.ranges.iter() {
        count = count.saturating_add(range.count);
        verdicts.push(RangeVerdict { first: range.first, count: range.count, verdict });
    }
    match verdict {
        Verdict::Stale => Settlement { stale: count, ..Settlement::default() },
        _ => Settlement { unknown: count, ..Settlement::default() },
    }
}

/// Finds the messages of ascending, separate ranges of a lease: pieces of their own.
fn find(lease: &Lease, segments: &Segments, claimed: &[(u32, u32)], found: &mut Vec<Piece>) {
    debug_assert!(found.is_empty());
    let mut pieces = lease.pieces();
    let (mut piece, mut base) = (pieces.next().expect("a lease has a piece"), 0);
    let mut known = (piece.sequence, piece.offset);
    for (mut first, mut count) in claimed.iter().copied() {
        while count > 0 {
            if first >= base + piece.count {
                base += piece.count;
                piece = pieces.next().expect("the range was checked against the lease");
                known = (piece.sequence, piece.offset);
                continue;
            }
            let segment = &segments[piece.segment];
            let here = count.min(base + piece.count - first);
            let sequence = piece.sequence + u64::from(first - base);
            let (offset, bytes) = if here == piece.count {
                (piece.offset, piece.bytes)
            } else {
                let offset = segment.seek(known, sequence);
                (offset, segment.span_from((sequence, offset), here))
            };
            found.push(Piece { sequence, offset, bytes, count: here, ..*piece });
            known = (sequence + u64::from(here), offset + bytes);
            (first, count) = (first + here, count - here);
        }
    }
}
