//! Identities: of a queue, a lease, a subscription, a group.

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

/// Declares an id of something that lives in a slot of a shard for a while: a generation, the
/// shard, the slot.
macro_rules! slot_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u64);

        impl $name {
            #[doc = concat!("Stands for no ", $what, ".")]
            pub const NONE: $name = $name(0);

            /// Puts an id together. `generation` must be above 0 and `slot` below 2^24.
            #[inline]
            pub fn new(generation: u32, shard: u8, slot: u32) -> Self {
                debug_assert!(generation > 0 && slot < 1 << 24);
                Self(u64::from(generation) << 32 | u64::from(shard) << 24 | u64::from(slot))
            }

            #[doc = concat!("The shard where the ", $what, " lives.")]
            #[inline]
            pub fn shard(self) -> usize {
                (self.0 >> 24) as u8 as usize
            }

            /// The slot in its shard's table.
            #[inline]
            pub fn slot(self) -> u32 {
                self.0 as u32 & 0xff_ffff
            }

            /// Counts what the slot has held.
            #[inline]
            pub fn generation(self) -> u32 {
                (self.0 >> 32) as u32
            }
        }
    };
}

slot_id! {
    /// Names a lease: 32 bits of generation, 8 of shard, 24 of slot. 0 is no lease: what was
    /// delivered is acknowledged already.
    LeaseId, "lease"
}
slot_id! {
    /// Names a subscription: 32 bits of generation, 8 of shard, 24 of slot. 0 is none.
    SubscriptionId, "subscription"
}

/// Names a group of consumers within its queue: 16 bits of incarnation, 16 of index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group `default`, which is made with its queue.
    pub const DEFAULT: GroupId = GroupId(0);

    /// Puts an id together.
    #[inline]
    pub fn new(incarnation: u16, index: u16) -> Self {
        Self(u32::from(incarnation) << 16 | u32::from(index))
    }

    /// The place in its queue's table of groups.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as u16 as usize
    }

    /// Tells a group from an earlier one at the same index.
    #[inline]
    pub fn incarnation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}
