//! Subscriptions: messages are delivered as they come, as many as credit and rate allow.
//!
//! A delivery takes its messages and bytes from the credit. Whatever settles them gives them back:
//! an acknowledgement, a nack, the end of the lease. The leases of a subscription are in a list of
//! its own, so that what it holds comes back with its end.

use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, GroupId, Rejection, SubscriptionId};

use crate::limits::SUBSCRIPTIONS_MAX;
use crate::path::queue::log::segment::NIL;
use crate::path::queue::rate::TokenBucket;

pub(super) const NO_SUCH_SUBSCRIPTION: Rejection = Rejection::new(
    Code::NoSuchLease,
    "this connection has no such subscription: it has ended, or was never there",
);

/// To one who has as many subscriptions as a connection may have.
pub const TOO_MANY_SUBSCRIPTIONS: Rejection = Rejection::new(
    Code::ResourceExhausted,
    "the connection has 4,096 subscriptions: end some, or subscribe on another one",
);

/// One subscription, one that has ended or a free slot (then `wait` is `NIL`).
#[derive(Debug)]
pub(in crate::path::queue) struct Subscription {
    generation: u32,
    /// Its place among those who wait.
    pub wait: u32,
    pub group: GroupId,
    /// How much may be unsettled.
    messages_max: u32,
    pub bytes_max: u32,
    /// How much is.
    messages: u32,
    bytes: u64,
    /// Messages of one delivery.
    batch_max: u32,
    pub lease_ms: u32,
    pub bucket: TokenBucket,
    /// Whether its peer has to read first.
    pub is_behind: bool,
    /// The first of its leases.
    pub leases: u32,
}

impl Subscription {
    /// Messages that its next delivery can have at most, whatever its rate allows by now.
    #[inline]
    pub fn wants(&self) -> u32 {
        if self.is_behind || self.bytes >= u64::from(self.bytes_max) {
            return 0;
        }
        self.messages_max.saturating_sub(self.messages).min(self.batch_max)
    }

    /// Bytes that its next delivery can have, if that is more than one message.
    #[inline]
    pub fn bytes_left(&self) -> u32 {
        u64::from(self.bytes_max).saturating_sub(self.bytes) as u32
    }

    /// A delivery takes credit.
    #[inline]
    pub fn spend(&mut self, messages: u32, bytes: u64) {
        self.messages += messages;
        self.bytes += bytes;
        self.bucket.take(messages);
    }

    /// What is settled gives it back.
    #[inline]
    pub fn refund(&mut self, messages: u32, bytes: u64) {
        self.messages -= messages;
        self.bytes -= bytes;
    }

    /// States its credit anew.
    pub fn grant(&mut self, credit: &Credit) {
        (self.messages_max, self.bytes_max) = (credit.messages, credit.credit_bytes());
    }
}

/// Every subscription of a shard.
#[derive(Debug)]
pub(in crate::path::queue) struct Subscriptions {
    shard: u8,
    slots: Vec<Subscription>,
    free: Vec<u32>,
}

impl Subscriptions {
    pub fn new(shard: u8) -> Self {
        Self { shard, slots: Vec::new(), free: Vec::new() }
    }

    /// Whether there are as many as there may be.
    pub fn is_full(&self) -> bool {
        self.slots.len() - self.free.len() >= SUBSCRIPTIONS_MAX
    }

    /// Makes a subscription, with nothing unsettled; its wait is to be named yet.
    pub fn open(&mut self, subscribe: &Subscribe, now_ns: u64) -> u32 {
        let bucket = TokenBucket::new(subscribe.rate, now_ns);
        let burst = if subscribe.rate == 0 { u32::MAX } else { bucket.burst() };
        let generation = 1;
        let subscription = Subscription {
            generation,
            wait: NIL,
            group: subscribe.group,
            messages_max: subscribe.messages,
            bytes_max: subscribe.credit_bytes(),
            messages: 0,
            bytes: 0,
            batch_max: subscribe.delivery_messages().min(burst),
            lease_ms: subscribe.lease_ms,
            bucket,
            is_behind: false,
            leases: NIL,
        };
        match self.free.pop() {
            Some(slot) => {
                let generation = self[slot].generation + 1;
                self[slot] = Subscription { generation, ..subscription };
                slot
            }
            None => {
                self.slots.push(subscription);
                (self.slots.len() - 1) as u32
            }
        }
    }

    /// Ends a subscription; returns how many messages it holds, and the bytes of its credit.
    pub fn leave(&mut self, slot: u32) -> (u64, u32) {
        let subscription = &mut self[slot];
        subscription.wait = NIL;
        (subscription.messages.into(), subscription.bytes_max)
    }

    /// Gives up the slot of one that has ended and holds nothing any more. A slot that has used up
    /// its generations is retired.
    pub fn free(&mut self, slot: u32) {
        let subscription = &self[slot];
        assert!(subscription.leases == NIL, "what a subscription held came back");
        if subscription.generation < u32::MAX {
            self.free.push(slot);
        }
    }

    pub fn id(&self, slot: u32) -> SubscriptionId {
        SubscriptionId::new(self[slot].generation, self.shard, slot)
    }

    /// The slot of a subscription that lives.
    pub fn find(&self, id: SubscriptionId) -> Option<u32> {
        let subscription = self.slots.get(id.slot() as usize)?;
        let lives = subscription.wait != NIL && subscription.generation == id.generation();
        lives.then_some(id.slot())
    }
}

impl std::ops::Index<u32> for Subscriptions {
    type Output = Subscription;

    #[inline]
    fn index(&self, slot: u32) -> &Subscription {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Subscriptions {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Subscription {
        &mut self.slots[slot as usize]
    }
}
