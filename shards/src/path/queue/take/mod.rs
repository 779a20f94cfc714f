//! Taking: ready messages leave as runs of one slice each, under a lease or acknowledged at once.
//!
//! | file | what it knows |
//! |---|---|
//! | `collect` | which messages a take gets |
//! | `taken` | what a take returned |

pub(super) mod collect;
pub(super) mod taken;

use ringway_protocol::limits::{FRAME_BYTES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::options::LEASE_MS_MAX;
use ringway_protocol::reply::{DELIVERY_BYTES, RUN_BYTES, Run};
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Rejection};

use self::collect::{Basket, SIFTED_PER_TAKE_MAX};
use super::catalog::Queue;
use super::log::piece::Piece;
use super::log::segments::Segments;
use super::{Store, Taken, TakenRun};
use crate::limits::{RUNS_PER_TAKE_MAX, TAKE_BYTES_DEFAULT};
use crate::path::origin::Origin;
use crate::world::Now;

/// Bytes of records that fit a delivery with the most runs.
pub(super) const RECORD_BYTES_MAX: usize =
    FRAME_BYTES_MAX - DELIVERY_BYTES - RUNS_PER_TAKE_MAX * RUN_BYTES;
const NS_PER_MS: u64 = 1_000_000;

/// When something ends that lasts some milliseconds from now.
#[inline]
pub(super) fn deadline_ns(now_ns: u64, ms: u32) -> u64 {
    now_ns.saturating_add(u64::from(ms) * NS_PER_MS)
}

impl Store {
    /// Takes ready messages for an asker, oldest first; `taken.count` is 0 if there are none. Those
    /// that waiting takes and subscriptions can get are left to them. In a group with a single
    /// active consumer somebody else gets nothing.
    #[inline]
    pub fn take_for(
        &mut self,
        take: &Take,
        origin: Origin,
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        self.take_as(take, Some(origin), now, taken)
    }

    /// The same for nobody who consumes: no group asks who it is.
    #[inline]
    pub fn take(&mut self, take: &Take, now: Now, taken: &mut Taken) -> Result<(), Rejection> {
        self.take_as(take, None, now, taken)
    }

    #[inline]
    fn take_as(
        &mut self,
        take: &Take,
        origin: Option<Origin>,
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        taken.clear();
        let queue = self.catalog.get_mut(take.queue)?;
        let group = check(take, queue)?;
        queue.used_ns = now.ns;
        let holder = queue.groups.at(group);
        let spare = queue.offered(group).saturating_sub(holder.waits.wanted);
        if holder.single_active
            && let Some(origin) = origin
            && !self.claim((take.queue.slot() as u32, group), origin)
        {
            return Ok(());
        }
        if spare == 0 {
            self.catalog.at_mut(take.queue.slot() as u32).rest();
            return Ok(());
        }
        let messages_max = take.messages_max.min(u32::try_from(spare).unwrap_or(u32::MAX));
        self.deliver(take, group, messages_max, now, taken)
    }

    /// Delivers messages of a queue to a group that has some ready, on terms that were checked.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        take: &Take,
        group: usize,
        messages_max: u32,
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        self.check_leases(take)?;
        let queue = self.catalog.get_mut(take.queue)?;
        let bytes_max = match take.bytes_max as usize {
            0 => TAKE_BYTES_DEFAULT,
            bytes_max => bytes_max.min(RECORD_BYTES_MAX),
        };
        let limits = (messages_max.min(TAKE_MESSAGES_MAX), bytes_max as u32);
        queue.collect(group, &mut self.segments, limits, now, &mut self.basket);
        if !self.basket.expired.is_empty() {
            self.look_behind_expired(take, group, limits, now)?;
        }
        if self.basket.count == 0 {
            // The keys of all that is ready are busy, or it has expired.
            return Ok(());
        }
        self.hand_out(take, group, now, taken)
    }

    /// Ends what a take found expired. If it found nothing else it looks again, a bounded number of
    /// messages: the next ones of their keys are ready now.
    #[cold]
    fn look_behind_expired(
        &mut self,
        take: &Take,
        group: usize,
        limits: (u32, u32),
        now: Now,
    ) -> Result<(), Rejection> {
        let mut ended = 0;
        loop {
            ended += self.basket.expired.iter().map(|(piece, _)| piece.count).sum::<u32>();
            self.end_culled(take.queue.slot() as u32, group, now);
            if self.basket.count > 0 || ended >= SIFTED_PER_TAKE_MAX {
                return Ok(());
            }
            let queue = self.catalog.get_mut(take.queue)?;
            queue.collect(group, &mut self.segments, limits, now, &mut self.basket);
            if self.basket.expired.is_empty() {
                return Ok(());
            }
        }
    }

    /// Refuses a take for which there is no lease.
    #[inline]
    pub(super) fn check_leases(&self, take: &Take) -> Result<(), Rejection> {
        if !take.acknowledged && self.leases.is_full() {
            let sentence = "the shard has as many leases as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        Ok(())
    }

    /// Delivers what the basket holds.
    #[inline]
    pub(super) fn hand_out(
        &mut self,
        take: &Take,
        group: usize,
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        let Basket { count, redelivered, .. } = self.basket;
        let queue = self.catalog.get_mut(take.queue)?;
        pin(&self.segments, &self.basket.pieces, taken);
        taken.count = count;
        let holder = queue.groups.at_mut(group);
        holder.counters.takes += u64::from(count);
        let takes = holder.counters.takes;
        holder.counters.redeliveries += u64::from(redelivered);
        taken.dropped = std::mem::take(&mut holder.untold_drops);
        if take.acknowledged {
            holder.counters.acks += u64::from(count);
            for piece in &self.basket.pieces {
                self.messages -=
                    queue.end(&mut self.segments, &mut self.lingering, group, piece, true);
            }
        } else {
            holder.leased += u64::from(count);
            let slot = take.queue.slot() as u32;
            let lease =
                self.leases.grant((slot, group), &mut holder.leases, &self.basket.pieces, count);
            taken.lease_ms =
                if take.lease_ms == 0 { queue.options.lease_ms } else { take.lease_ms };
            taken.lease = lease;
            let ends_ns = deadline_ns(now.ns, taken.lease_ms);
            self.leases.end_at(lease.slot(), ends_ns, &mut self.wheel);
        }
        queue.check_some(takes, count);
        self.uses.note(queue, now.ns);
        Ok(())
    }
}

/// Refuses a take on terms that the queue does not give; returns the index of its group.
#[inline]
pub(super) fn check(take: &Take, queue: &Queue) -> Result<usize, Rejection> {
    let invalid = |sentence| Err(Rejection::new(Code::InvalidOption, sentence));
    if take.lease_ms > LEASE_MS_MAX {
        return invalid("a lease lasts at most 43,200,000 ms (12 hours)");
    }
    if take.wait_ms > queue.options.wait_max_ms {
        return invalid("the wait is longer than the queue's wait_max_ms");
    }
    if take.messages_max == 0 {
        return invalid("a take asks for at least one message");
    }
    queue.groups.find(take.group)
}

impl Queue {
    /// Messages that a group may be given now.
    #[inline(always)]
    pub fn offered(&self, group: usize) -> u64 {
        if self.pause.takes || self.groups.at(group).paused { 0 } else { self.bands.ready(group) }
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
