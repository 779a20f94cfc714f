//! What a take returned: runs of messages, and the lease that they are under.

use ringway_protocol::LeaseId;
use ringway_protocol::reply::Run;

use crate::world::PinnedSlice;

/// What a take returned. Reused from one take to the next.
#[derive(Debug)]
pub struct Taken {
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from now, in milliseconds; 0 without a lease.
    pub lease_ms: u32,
    /// How many messages came.
    pub count: u32,
    /// Messages of the group that were dropped to make room since its last delivery.
    pub dropped: u32,
    /// The messages in the order of the lease's indices.
    pub runs: Vec<TakenRun>,
}

/// Messages that follow each other, and their records in wire format.
#[derive(Debug)]
pub struct TakenRun {
    /// Where they stood, and how often they were delivered.
    pub run: Run,
    /// Their records; the memory stays as it is until this is dropped.
    pub slice: PinnedSlice,
}

impl Taken {
    /// Nothing taken yet.
    pub const fn new() -> Self {
        Self { lease: LeaseId::NONE, lease_ms: 0, count: 0, dropped: 0, runs: Vec::new() }
    }

    /// Forgets what was taken, and lets go of its memory.
    #[inline]
    pub fn clear(&mut self) {
        (self.lease, self.lease_ms) = (LeaseId::NONE, 0);
        (self.count, self.dropped) = (0, 0);
        self.runs.clear();
    }
}

impl Default for Taken {
    fn default() -> Self {
        Self::new()
    }
}
