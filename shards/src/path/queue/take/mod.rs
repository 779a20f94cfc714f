//! Taking: ready messages leave as runs of one slice each, under a lease or acknowledged at once.
//!
//! | file | what it knows |
//! |---|---|
//! | `collect` | which messages a take gets |
//! | `hand_out` | they leave, under a lease or for good |
//! | `taken` | what a take returned |

pub(super) mod collect;
mod hand_out;
pub(super) mod taken;

use ringway_protocol::limits::{FRAME_BYTES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::options::LEASE_MS_MAX;
use ringway_protocol::reply::{DELIVERY_BYTES, RUN_BYTES};
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Rejection};

use self::collect::SIFTED_PER_TAKE_MAX;
use super::catalog::Queue;
use super::{Store, Taken};
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
        let (catalog, basket, hands) = self.for_takes();
        let queue = catalog.get_mut(take.queue)?;
        let group = check(take, queue)?;
        queue.used_ns = now.ns;
        let holder = queue.groups.at(group);
        let spare = queue.offered(group).saturating_sub(holder.waits.wanted);
        if spare == 0 {
            return self.take_nothing(take, group, origin);
        }
        let messages_max = take.messages_max.min(u32::try_from(spare).unwrap_or(u32::MAX));
        if holder.single_active {
            return self.take_alone(take, group, messages_max, (origin, now), taken);
        }
        hands.check_leases(take)?;
        let limits = limits(take, messages_max);
        if let Some(piece) = queue.only_run(group, hands.segments, limits, now) {
            queue.hand_out(hands, take, group, &[piece], now, taken);
            return Ok(());
        }
        queue.collect(group, hands.segments, limits, now, basket);
        self.deliver_basket(take, group, limits, now, taken)
    }

    /// A take that finds nothing: who asks may be the single active consumer from now on.
    #[inline(never)]
    fn take_nothing(
        &mut self,
        take: &Take,
        group: usize,
        origin: Option<Origin>,
    ) -> Result<(), Rejection> {
        let slot = take.queue.slot() as u32;
        if self.catalog.at(slot).groups.at(group).single_active
            && let Some(origin) = origin
            && !self.claim((slot, group), origin)
        {
            return Ok(());
        }
        self.catalog.at_mut(slot).rest();
        Ok(())
    }

    /// A take of a group with a single active consumer.
    #[cold]
    fn take_alone(
        &mut self,
        take: &Take,
        group: usize,
        messages_max: u32,
        (origin, now): (Option<Origin>, Now),
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        if let Some(origin) = origin
            && !self.claim((take.queue.slot() as u32, group), origin)
        {
            return Ok(());
        }
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
        let (catalog, basket, hands) = self.for_takes();
        hands.check_leases(take)?;
        let limits = limits(take, messages_max);
        let queue = catalog.get_mut(take.queue)?;
        queue.collect(group, hands.segments, limits, now, basket);
        self.deliver_basket(take, group, limits, now, taken)
    }

    /// Delivers what the basket holds, and ends what a take found expired.
    #[inline(never)]
    fn deliver_basket(
        &mut self,
        take: &Take,
        group: usize,
        limits: (u32, u32),
        now: Now,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
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
}

/// How many messages and bytes a take gets at most, on terms that were checked.
#[inline]
fn limits(take: &Take, messages_max: u32) -> (u32, u32) {
    let bytes_max = match take.bytes_max as usize {
        0 => TAKE_BYTES_DEFAULT,
        bytes_max => bytes_max.min(RECORD_BYTES_MAX),
    };
    (messages_max.min(TAKE_MESSAGES_MAX), bytes_max as u32)
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
