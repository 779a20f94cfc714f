//! A lease lasts longer than its deadline said, or shorter.

use ringway_protocol::options::LEASE_MS_MAX;
use ringway_protocol::{Code, LeaseId, QueueId, Rejection};

use crate::path::queue::Store;
use crate::path::queue::lease::Found;
use crate::path::queue::take::deadline_ns;
use crate::world::Now;

const NO_SUCH_LEASE: Rejection =
    Rejection::new(Code::NoSuchLease, "the lease has ended, or never was one of this queue");

impl Store {
    /// Makes a lease last so many milliseconds from now, or as long as the queue says with 0.
    /// Returns how long that is, and how many of its messages are not settled.
    pub fn extend(
        &mut self,
        queue: QueueId,
        lease: LeaseId,
        lease_ms: u32,
        now: Now,
    ) -> Result<(u32, u32), Rejection> {
        let options = &self.catalog.get(queue)?.options;
        if lease_ms > LEASE_MS_MAX {
            let sentence = "a lease lasts at most 43,200,000 ms (12 hours)";
            return Err(Rejection::new(Code::InvalidOption, sentence));
        }
        let lease_ms = if lease_ms == 0 { options.lease_ms } else { lease_ms };
        let Found::Live(slot) = self.leases.find(queue.slot() as u32, lease) else {
            return Err(NO_SUCH_LEASE);
        };
        self.leases.end_at(slot, deadline_ns(now.ns, lease_ms), &mut self.wheel);
        Ok((lease_ms, self.leases[slot].unsettled))
    }
}
