//! Acknowledge and put together, or neither.
//!
//! First it is made sure that the acknowledgement will settle all that it names; then the put is
//! accepted or refused; then nothing can stop the acknowledgement. So a result is there exactly
//! once, however often a worker that was too slow and its successor bring it.

use ringway_protocol::reply::{RangeVerdict, Settlement};
use ringway_protocol::request::{Put, Settle};
use ringway_protocol::{Code, Rejection};

use crate::path::queue::lease::Found;
use crate::path::queue::{Store, Stored};
use crate::world::Now;

const STALE: Rejection = Rejection::new(
    Code::Stale,
    "a message is settled or its lease has ended: nothing was acknowledged, nothing put",
);

impl Store {
    /// Settles messages of a lease as done and puts their results into a queue of this shard;
    /// `stored` says where they went. If a message is not the lease's any more, or the put is
    /// refused, nothing happens. A put that would have to wait for room is refused.
    pub fn transfer(
        &mut self,
        settle: &Settle<'_>,
        put: &Put<'_>,
        now: Now,
        stored: &mut Stored,
        verdicts: &mut Vec<RangeVerdict>,
    ) -> Result<Settlement, Rejection> {
        self.catalog.get(settle.queue)?;
        self.catalog.get(put.queue)?;
        if !self.are_unsettled(settle) {
            return Err(STALE);
        }
        self.put_at_once(put, now, stored)?;
        let settlement = self.ack(settle, now, verdicts)?;
        assert!(verdicts.is_empty(), "what was unsettled before the put still is");
        Ok(settlement)
    }

    /// Whether the lease lives and each message that is named is in it, not settled, and named
    /// once.
    fn are_unsettled(&mut self, settle: &Settle<'_>) -> bool {
        let Found::Live(slot) = self.leases.find(settle.queue.slot() as u32, settle.lease) else {
            return false;
        };
        let lease = &self.leases[slot];
        self.claimed.clear();
        self.claimed.extend(settle.ranges.iter().map(|range| (range.first, range.count)));
        self.claimed.sort_unstable();
        let apart = self.claimed.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
        apart && self.claimed.iter().all(|(first, count)| lease.has_unsettled(*first, *count))
    }
}
