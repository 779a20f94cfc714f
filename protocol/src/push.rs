//! Pushing: a subscription, its credit, and how it ends.
//!
//! ```text
//!  subscribe    | queue u64 | group u32 | messages u32 | bytes u32 | batch_max u32 |
//!               | lease_ms u32 | rate u32 | 0 u64 |
//!  credit       | queue u64 | subscription u64 | messages u32 | bytes u32 |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::id::{GroupId, QueueId, SubscriptionId};
use crate::limits::{
    CREDIT_BYTES_DEFAULT, CREDIT_BYTES_MAX, CREDIT_MESSAGES_MAX, TAKE_MESSAGES_MAX,
};
use crate::options::LEASE_MS_MAX;
use crate::request::queue_id;

/// The bytes of a subscribe on the wire.
pub const SUBSCRIBE_BYTES: usize = 40;

/// Asks for a group's messages as they come, as many as its credit allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscribe {
    /// The queue.
    pub queue: QueueId,
    /// The group of consumers that it joins.
    pub group: GroupId,
    /// Most messages that it has unsettled at a time; 1 to 65,536.
    pub messages: u32,
    /// Most bytes of records that it has unsettled at a time; 0 for 256 KiB, at most 8 MiB. One
    /// message comes whatever its size.
    pub bytes: u32,
    /// Most messages of one delivery; 0 for 4,096, the most.
    pub batch_max: u32,
    /// How long a delivery's lease lasts, in milliseconds; 0 for the queue's own. At most 12 h.
    pub lease_ms: u32,
    /// Most messages a second; 0 for no limit.
    pub rate: u32,
}

impl Subscribe {
    /// Most bytes unsettled, with the default put in.
    #[inline]
    pub fn credit_bytes(&self) -> u32 {
        credit_bytes(self.bytes)
    }

    /// Most messages of one delivery, with the default put in.
    #[inline]
    pub fn delivery_messages(&self) -> u32 {
        if self.batch_max == 0 { TAKE_MESSAGES_MAX } else { self.batch_max }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let mut fields = reader.part(SUBSCRIBE_BYTES)?;
        let subscribe = Self {
            queue: queue_id(&mut fields)?,
            group: GroupId(fields.u32()?),
            messages: fields.u32()?,
            bytes: fields.u32()?,
            batch_max: fields.u32()?,
            lease_ms: fields.u32()?,
            rate: fields.u32()?,
        };
        fields.reserved(8)?;
        if subscribe.messages == 0 {
            return Err(CREDIT_OUT_OF_RANGE);
        }
        check_credit(subscribe.messages, subscribe.bytes)?;
        if subscribe.batch_max > TAKE_MESSAGES_MAX || subscribe.lease_ms > LEASE_MS_MAX {
            return Err(Rejection::new(
                Code::InvalidOption,
                "a delivery has up to 4,096 messages and a lease up to 12 h",
            ));
        }
        Ok(subscribe)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        let credit = [self.group.0, self.messages, self.bytes];
        for number in credit.into_iter().chain([self.batch_max, self.lease_ms, self.rate, 0, 0]) {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// States anew how much a subscription may have unsettled; what is unsettled now counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    /// The queue.
    pub queue: QueueId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Most messages; 0 to 65,536. 0 stops deliveries until there is credit again.
    pub messages: u32,
    /// Most bytes of records; 0 for 256 KiB, at most 8 MiB.
    pub bytes: u32,
}

impl Credit {
    /// Most bytes unsettled, with the default put in.
    #[inline]
    pub fn credit_bytes(&self) -> u32 {
        credit_bytes(self.bytes)
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let queue = queue_id(reader)?;
        let subscription = subscription_id(reader)?;
        let (messages, bytes) = (reader.u32()?, reader.u32()?);
        check_credit(messages, bytes)?;
        Ok(Self { queue, subscription, messages, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        out.extend_from_slice(&self.subscription.0.to_le_bytes());
        out.extend_from_slice(&self.messages.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
    }
}

const CREDIT_OUT_OF_RANGE: Rejection = Rejection::new(
    Code::InvalidOption,
    "a subscription has a credit of 1 to 65,536 messages and up to 8 MiB",
);

fn check_credit(messages: u32, bytes: u32) -> Result<(), Rejection> {
    if messages > CREDIT_MESSAGES_MAX || bytes > CREDIT_BYTES_MAX {
        return Err(CREDIT_OUT_OF_RANGE);
    }
    Ok(())
}

fn credit_bytes(bytes: u32) -> u32 {
    if bytes == 0 { CREDIT_BYTES_DEFAULT } else { bytes }
}

/// A subscription's id, which is never 0.
pub(crate) fn subscription_id(reader: &mut Reader<'_>) -> Result<SubscriptionId, Rejection> {
    match reader.u64()? {
        0 => Err(Rejection::malformed("a subscription's id is never 0")),
        id => Ok(SubscriptionId(id)),
    }
}
