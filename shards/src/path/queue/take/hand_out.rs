//! Messages leave: described to the asker, and under a lease or acknowledged at once.

use ringway_protocol::reply::Run;
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Rejection};

use super::collect::Basket;
use super::{Taken, deadline_ns};
use crate::path::queue::admin::idle::Uses;
use crate::path::queue::catalog::{Catalog, Queue};
use crate::path::queue::lease::Leases;
use crate::path::queue::log::held::Lingering;
use crate::path::queue::log::piece::Piece;
use crate::path::queue::log::segments::Segments;
use crate::path::queue::{Store, TakenRun, Timer};
use crate::world::{Now, Wheel};

/// What a queue needs of its store to hand messages out.
pub(super) struct Hands<'a> {
    pub segments: &'a mut Segments,
    leases: &'a mut Leases,
    wheel: &'a mut Wheel<Timer>,
    lingering: &'a mut Lingering,
    uses: &'a mut Uses,
    messages: &'a mut u64,
}

impl Hands<'_> {
    /// Refuses a take for which there is no lease.
    #[inline]
    pub fn check_leases(&self, take: &Take) -> Result<(), Rejection> {
        if !take.acknowledged && self.leases.is_full() {
            let sentence = "the shard has as many leases as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        Ok(())
    }
}

impl Store {
    /// The parts of a store that takes need, so that they look their queue up once.
    #[inline]
    pub(super) fn for_takes(&mut self) -> (&mut Catalog, &mut Basket, Hands<'_>) {
        let Self { catalog, basket, segments, leases, wheel, lingering, uses, messages, .. } = self;
        (catalog, basket, Hands { segments, leases, wheel, lingering, uses, messages })
    }

    /// Refuses a take for which there is no lease.
    pub(in crate::path::queue) fn check_leases(&mut self, take: &Take) -> Result<(), Rejection> {
        self.for_takes().2.check_leases(take)
    }

    /// Delivers what the basket holds.
    pub(in crate::path::queue) fn hand_out(
        &mut self,
        take: &Take,
        group: usize,
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        let (catalog, basket, hands) = self.for_takes();
        let queue = catalog.get_mut(take.queue)?;
        let redelivered = basket.redelivered;
        queue.groups.at_mut(group).counters.redeliveries += u64::from(redelivered);
        queue.hand_out(hands, take, group, &basket.pieces, now, taken);
        Ok(())
    }
}

impl Queue {
    /// Delivers messages of a group that are ready no more.
    #[inline(always)]
    pub(super) fn hand_out(
        &mut self,
        hands: Hands<'_>,
        take: &Take,
        group: usize,
        pieces: &[Piece],
        now: Now,
        taken: &mut Taken,
    ) {
        let count = pieces.iter().map(|piece| piece.count).sum();
        pin(hands.segments, pieces, taken);
        taken.count = count;
        let holder = self.groups.at_mut(group);
        holder.counters.takes += u64::from(count);
        let takes = holder.counters.takes;
        taken.dropped = std::mem::take(&mut holder.untold_drops);
        if take.acknowledged {
            holder.counters.acks += u64::from(count);
            for piece in pieces {
                *hands.messages -= self.end(hands.segments, hands.lingering, group, piece, true);
            }
        } else {
            holder.leased += u64::from(count);
            let place = (take.queue.slot() as u32, group);
            let lease = hands.leases.grant(place, &mut holder.leases, pieces, count);
            taken.lease_ms = if take.lease_ms == 0 { self.options.lease_ms } else { take.lease_ms };
            taken.lease = lease;
            let ends_ns = deadline_ns(now.ns, taken.lease_ms);
            hands.leases.end_at(lease.slot(), ends_ns, hands.wheel);
        }
        self.check_some(takes, count);
        hands.uses.note(self, now.ns);
    }
}

/// Describes the pieces to the asker, each with a slice that stays as it is until it is dropped.
#[inline]
fn pin(segments: &Segments, pieces: &[Piece], taken: &mut Taken) {
    for piece in pieces {
        let Piece { sequence: first_sequence, count, deliveries, .. } = *piece;
        let slice = segments[piece.segment].pin(piece.offset, piece.bytes);
        taken.runs.push(TakenRun { run: Run { first_sequence, count, deliveries }, slice });
    }
}
