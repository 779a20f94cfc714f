//! Taking: what is asked for, and the delivery that answers it.
//!
//! ```text
//!  take      | queue u64 | messages_max u32 | bytes_max u32 |
//!            | wait_ms u32 | lease_ms u32 | group u32 | mode u8 | 0 0 0 |
//!  delivery  | lease u64 | lease_ms u32 | count u32 | runs u32 | dropped u32 |
//!            | runs ... | records ... |
//!  run       | first_sequence u64 | count u32 | deliveries u32 |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::id::{GroupId, LeaseId, QueueId};
use crate::limits::TAKE_MESSAGES_MAX;
use crate::options::{LEASE_MS_MAX, WAIT_MS_MAX};
use crate::record::Records;
use crate::request::queue_id;

/// The bytes of a take on the wire.
pub const TAKE_BYTES: usize = 32;
/// The bytes of a run on the wire.
pub const RUN_BYTES: usize = 16;
/// What stands before the runs of a delivery.
pub const DELIVERY_BYTES: usize = 24;

/// A take: up to so many messages or bytes, after a wait of at most so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Take {
    /// The queue to take from.
    pub queue: QueueId,
    /// Most messages to return; 1 to 4,096.
    pub messages_max: u32,
    /// Most bytes of records to return; 0 for 256 KiB. One message is returned whatever its size.
    pub bytes_max: u32,
    /// How long to wait for the first message, in milliseconds; 0 answers at once. At most 1 h.
    pub wait_ms: u32,
    /// How long the lease lasts, in milliseconds; 0 for the queue's own. At most 12 h.
    pub lease_ms: u32,
    /// The group of consumers that takes.
    pub group: GroupId,
    /// Whether the messages are acknowledged as they leave, without a lease.
    pub acknowledged: bool,
}

impl Take {
    #[inline]
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let mut fields = reader.part(TAKE_BYTES)?;
        let queue = queue_id(&mut fields)?;
        let (messages_max, bytes_max) = (fields.u32()?, fields.u32()?);
        let (wait_ms, lease_ms) = (fields.u32()?, fields.u32()?);
        let (group, mode) = (GroupId(fields.u32()?), fields.u8()?);
        fields.reserved(3)?;
        if mode > 1 {
            return Err(Rejection::malformed("the mode of a take is leased (0) or final (1)"));
        }
        let in_range = (1..=TAKE_MESSAGES_MAX).contains(&messages_max)
            && wait_ms <= WAIT_MS_MAX
            && lease_ms <= LEASE_MS_MAX;
        if !in_range {
            return Err(Rejection::new(
                Code::InvalidOption,
                "a take has 1 to 4,096 messages, a wait up to 1 h and a lease up to 12 h",
            ));
        }
        let acknowledged = mode == 1;
        Ok(Self { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged })
    }

    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        let (waiting, group) = ([self.wait_ms, self.lease_ms], self.group.0);
        for number in [self.messages_max, self.bytes_max, waiting[0], waiting[1], group] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[u8::from(self.acknowledged), 0, 0, 0]);
    }
}

/// A run of messages that follow each other in their queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The sequence of the first.
    pub first_sequence: u64,
    /// How many; at least 1.
    pub count: u32,
    /// How often they have been delivered, this time included; at least 1.
    pub deliveries: u32,
}

impl Run {
    #[inline]
    fn from_bytes(bytes: &[u8; RUN_BYTES]) -> Self {
        let word = u128::from_le_bytes(*bytes);
        Self {
            first_sequence: word as u64,
            count: (word >> 64) as u32,
            deliveries: (word >> 96) as u32,
        }
    }

    #[inline]
    fn to_bytes(self) -> [u8; RUN_BYTES] {
        let word = u128::from(self.first_sequence)
            | u128::from(self.count) << 64
            | u128::from(self.deliveries) << 96;
        word.to_le_bytes()
    }

    fn is_valid(self) -> bool {
        self.count > 0
            && self.deliveries > 0
            && self.first_sequence.checked_add(u64::from(self.count)).is_some()
    }
}

/// Messages taken: their lease, where they stood, and their records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery<'a> {
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from now, in milliseconds.
    pub lease_ms: u32,
    /// Messages of the group that were dropped to make room since its last delivery.
    pub dropped: u32,
    runs: &'a [[u8; RUN_BYTES]],
    /// The messages, `None` if the wait ended without one.
    pub records: Option<Records<'a>>,
}

impl<'a> Delivery<'a> {
    /// The runs in the order of the records.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = Run> + use<'a> {
        self.runs.iter().map(Run::from_bytes)
    }

    /// How many messages came.
    #[inline]
    pub fn count(&self) -> u32 {
        self.records.map_or(0, |records| records.count())
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let mut fields = reader.part(DELIVERY_BYTES)?;
        let lease = LeaseId(fields.u64()?);
        let (lease_ms, count, runs) = (fields.u32()?, fields.u32()?, fields.u32()? as usize);
        let dropped = fields.u32()?;
        // Saturated: a length that overflows is longer than any body and is refused as such.
        let (runs, _) = reader.bytes(runs.saturating_mul(RUN_BYTES))?.as_chunks::<RUN_BYTES>();
        let bytes = reader.rest();
        let records =
            if count == 0 && bytes.is_empty() { None } else { Some(Records::parse(bytes, count)?) };
        let delivery = Self { lease, lease_ms, dropped, runs, records };
        if !delivery.runs().all(Run::is_valid)
            || delivery.runs().map(|run| u64::from(run.count)).sum::<u64>() != u64::from(count)
        {
            return Err(Rejection::malformed("the runs of a delivery do not add up"));
        }
        if count == 0 && lease != LeaseId::NONE {
            return Err(Rejection::malformed("a delivery has a lease without messages"));
        }
        Ok(delivery)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let counts = (self.count(), self.dropped);
        delivery_prefix(out, (self.lease, self.lease_ms), counts, self.runs());
        out.extend_from_slice(self.records.map_or(&[], |records| records.as_bytes()));
    }
}

/// Appends what stands before the records of a delivery: the lease, how many messages come and how
/// many were dropped, then the runs.
#[inline]
pub fn delivery_prefix(
    out: &mut Vec<u8>,
    (lease, lease_ms): (LeaseId, u32),
    (count, dropped): (u32, u32),
    runs: impl ExactSizeIterator<Item = Run>,
) {
    let mut prefix = [0; DELIVERY_BYTES];
    prefix[..8].copy_from_slice(&lease.0.to_le_bytes());
    prefix[8..12].copy_from_slice(&lease_ms.to_le_bytes());
    prefix[12..16].copy_from_slice(&count.to_le_bytes());
    prefix[16..20].copy_from_slice(&(runs.len() as u32).to_le_bytes());
    prefix[20..].copy_from_slice(&dropped.to_le_bytes());
    out.extend_from_slice(&prefix);
    runs.for_each(|run| out.extend_from_slice(&run.to_bytes()));
}
