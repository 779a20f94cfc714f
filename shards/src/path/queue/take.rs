//! Taking: ready messages leave as runs of one slice each, under a lease or acknowledged at once.

use ringway_protocol::limits::{FRAME_BYTES_MAX, TAKE_MESSAGES_MAX};
use ringway_protocol::options::LEASE_MS_MAX;
use ringway_protocol::reply::{DELIVERY_BYTES, RUN_BYTES, Run};
use ringway_protocol::request::Take;
use ringway_protocol::{Code, Rejection};

use super::catalog::Queue;
use super::log::Log;
use super::piece::Piece;
use super::segments::Segments;
use super::{Store, Taken, TakenRun, Timer};
use crate::limits::{RUNS_PER_TAKE_MAX, TAKE_BYTES_DEFAULT};

/// Bytes of records that fit a delivery with the most runs.
const RECORD_BYTES_MAX: usize = FRAME_BYTES_MAX - DELIVERY_BYTES - RUNS_PER_TAKE_MAX * RUN_BYTES;
const NS_PER_MS: u64 = 1_000_000;

/// When something ends that lasts some milliseconds from now.
#[inline]
pub(super) fn deadline_ns(now_ns: u64, ms: u32) -> u64 {
    now_ns.saturating_add(u64::from(ms) * NS_PER_MS)
}

impl Store {
    /// Takes ready messages, oldest first; `taken.count` is 0 if there are none. Those that waiting
    /// takes need are left to them.
    #[inline]
    pub fn take(&mut self, take: &Take, now_ns: u64, taken: &mut Taken) -> Result<(), Rejection> {
        taken.clear();
        let queue = self.catalog.get_mut(take.queue)?;
        check(take, queue)?;
        let spare = queue.log.ready().saturating_sub(queue.waits.wanted);
        if spare == 0 {
            return Ok(());
        }
        let messages_max = take.messages_max.min(u32::try_from(spare).unwrap_or(u32::MAX));
        self.deliver(take, messages_max, now_ns, taken)
    }

    /// Delivers messages of a queue that has some ready, on terms that were checked.
    #[inline]
    pub(super) fn deliver(
        &mut self,
        take: &Take,
        messages_max: u32,
        now_ns: u64,
        taken: &mut Taken,
    ) -> Result<(), Rejection> {
        let queue = self.catalog.get_mut(take.queue)?;
        if !take.acknowledged && self.leases.is_full() {
            let sentence = "the shard has as many leases as it may have";
            return Err(Rejection::new(Code::ResourceExhausted, sentence));
        }
        let bytes_max = match take.bytes_max as usize {
            0 => TAKE_BYTES_DEFAULT,
            bytes_max => bytes_max.min(RECORD_BYTES_MAX),
        };
        let limits = (messages_max.min(TAKE_MESSAGES_MAX), bytes_max as u32);
        let (count, redelivered) =
            collect(&mut queue.log, &mut self.segments, limits, &mut self.pieces);
        assert!(count > 0, "a queue with ready messages has one to deliver");
        pin(&self.segments, &self.pieces, taken);
        taken.count = count;
        queue.counters.takes += u64::from(count);
        queue.counters.redeliveries += u64::from(redelivered);
        self.ready -= u64::from(count);
        if take.acknowledged {
            queue.counters.acks += u64::from(count);
            for piece in &self.pieces {
                queue.log.settle(&mut self.segments, piece);
            }
            queue.linger(&mut self.lingering);
        } else {
            queue.leased += u64::from(count);
            self.leased += u64::from(count);
            let slot = take.queue.slot() as u32;
            let lease = self.leases.grant(slot, &mut queue.leases, &self.pieces, count);
            taken.lease_ms =
                if take.lease_ms == 0 { queue.options.lease_ms } else { take.lease_ms };
            taken.lease = lease;
            let deadline_ns = deadline_ns(now_ns, taken.lease_ms);
            let timer = self.wheel.arm(deadline_ns, Timer::Lease(lease.slot()));
            self.leases[lease.slot()].timer = Some(timer);
        }
        queue.check();
        Ok(())
    }
}

/// Refuses a take on terms that the queue does not give.
#[inline]
pub(super) fn check(take: &Take, queue: &Queue) -> Result<(), Rejection> {
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
    Ok(())
}

/// Moves the oldest ready messages into `pieces`; says how many they are and how many were
/// delivered before.
#[inline]
fn collect(
    log: &mut Log,
    segments: &mut Segments,
    (messages_max, bytes_max): (u32, u32),
    pieces: &mut Vec<Piece>,
) -> (u32, u32) {
    pieces.clear();
    let (mut count, mut redelivered, mut bytes) = (0, 0, 0_u32);
    while count < messages_max && pieces.len() < RUNS_PER_TAKE_MAX {
        let left = (messages_max - count, bytes_max.saturating_sub(bytes));
        let Some(mut piece) = log.next_piece(segments, left, count == 0) else { break };
        redelivered += if piece.deliveries > 0 { piece.count } else { 0 };
        piece.deliveries = piece.deliveries.saturating_add(1);
        count += piece.count;
        bytes += piece.bytes;
        if !pieces.last_mut().is_some_and(|last| last.join(&piece)) {
            pieces.push(piece);
        }
    }
    (count, redelivered)
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
