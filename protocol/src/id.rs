//! Identities: of a queue, of a lease.

/// Names a queue and where it lives: 32 bits of incarnation, 8 of shard, 24 of slot.
///
/// The incarnation tells a queue from an earlier one in the same slot; it is never 0, so neither is
/// an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

impl QueueId {
    /// Puts an id together. `slot` must be below 2^24 and `incarnation` above 0.
    pub fn new(incarnation: u32, shard: u8, slot: u32) -> Self {
        assert!(slot < 1 << 24 && incarnation > 0, "a queue's id has room for its parts");
        Self(u64::from(incarnation) << 32 | u64::from(shard) << 24 | u64::from(slot))
    }

    /// The shard that owns the queue.
    #[inline]
    pub fn shard(self) -> usize {
        (self.0 >> 24) as u8 as usize
    }

    /// The slot in its shard.
    #[inline]
    pub fn slot(self) -> usize {
        self.0 as usize & 0xff_ffff
    }

    /// Counts the queues that the slot has held.
    #[inline]
    pub fn incarnation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl std::fmt::Debug for QueueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "queue {}/{}/{}", self.shard(), self.slot(), self.incarnation())
    }
}

/// Names a lease on its queue's shard: 32 bits of generation, 32 of slot. 0 is no lease.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct LeaseId(pub u64);

impl LeaseId {
    /// Stands for "acknowledged at once".
    pub const NONE: LeaseId = LeaseId(0);

    /// Puts an id together. `generation` must be above 0.
    #[inline]
    pub fn new(generation: u32, slot: u32) -> Self {
        debug_assert!(generation > 0);
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The slot in its shard's table of leases.
    #[inline]
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Counts the leases that the slot has held.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
