//! Settling: the ranges of an ack or a nack, and the verdicts that answer them.
//!
//! ```text
//!  settle      | queue u64 | lease u64 | ranges u32 | delay u32 | ranges ... |
//!  range       | first u32 | count u32 |
//!  settlement  | settled u32 | stale u32 | unknown u32 | verdicts u32 | verdicts ... |
//!  verdict     | first u32 | count u32 | verdict u32 |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::id::{LeaseId, QueueId};
use crate::limits::{RANGES_MAX, TAKE_MESSAGES_MAX};
use crate::request::queue_id;

/// What stands before the ranges of an ack or a nack.
pub const SETTLE_BYTES: usize = 24;
/// The bytes of a range on the wire.
pub const RANGE_BYTES: usize = 8;
/// What stands before the verdicts of a settlement.
pub const SETTLEMENT_BYTES: usize = 16;
/// The bytes of a verdict on the wire.
pub const VERDICT_BYTES: usize = 12;

/// A run of messages within a lease's batch, counted from 0 in the order of delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Index of the first message.
    pub first: u32,
    /// How many messages; at least 1.
    pub count: u32,
}

impl Range {
    #[inline]
    fn from_bytes(bytes: &[u8; RANGE_BYTES]) -> Self {
        let word = u64::from_le_bytes(*bytes);
        Self { first: word as u32, count: (word >> 32) as u32 }
    }
}

/// One or more ranges, still in the frame that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ranges<'a> {
    ranges: &'a [[u8; RANGE_BYTES]],
}

impl<'a> Ranges<'a> {
    /// The ranges in the order in which they were named.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range> + use<'a> {
        self.ranges.iter().map(Range::from_bytes)
    }

    /// How many ranges; 1 to 2,048.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Never true for decoded ranges.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Checks that each range has a message and none is past the last index, and bounds the work
    /// that an acknowledgement asks for: it names no more messages than a take returns.
    #[inline]
    fn check(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let (ranges, _) = bytes.as_chunks::<RANGE_BYTES>();
        let mut named = 0_u64;
        for Range { first, count } in ranges.iter().map(Range::from_bytes) {
            if count == 0 || first.checked_add(count).is_none() {
                return Err(Rejection::malformed("a range is empty or ends past the last index"));
            }
            named += u64::from(count);
        }
        if named > u64::from(TAKE_MESSAGES_MAX) {
            return Err(Rejection::new(Code::TooLarge, "no lease has more than 4,096 messages"));
        }
        Ok(Self { ranges })
    }
}

/// An acknowledgement, or its opposite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settle<'a> {
    /// The queue that the lease belongs to.
    pub queue: QueueId,
    /// The lease.
    pub lease: LeaseId,
    /// Which of its messages.
    pub ranges: Ranges<'a>,
    /// When a nack's messages come back: [`BACK_OFF`], [`DEAD_LETTER`], else after so many
    /// milliseconds. 0 in an ack.
    pub delay_ms: u32,
}

/// The delay of a nack that leaves it to the queue's back-off, which may be none.
pub const BACK_OFF: u32 = 0;
/// The delay of a nack that makes its messages dead letters at once.
pub const DEAD_LETTER: u32 = u32::MAX;

impl<'a> Settle<'a> {
    #[inline]
    pub(crate) fn decode(kind: Kind, reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let mut fields = reader.part(SETTLE_BYTES)?;
        let queue = queue_id(&mut fields)?;
        let lease = LeaseId(fields.u64()?);
        let (ranges, delay_ms) = (fields.u32()?, fields.u32()?);
        if delay_ms != 0 && kind == Kind::Ack {
            return Err(Rejection::malformed("a reserved field is not zero"));
        }
        if ranges == 0 || ranges > RANGES_MAX {
            return Err(Rejection::malformed("an acknowledgement names 1 to 2,048 ranges"));
        }
        let ranges = Ranges::check(reader.bytes(ranges as usize * RANGE_BYTES)?)?;
        Ok(Self { queue, lease, ranges, delay_ms })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        settle_prefix(out, (self.queue, self.lease), self.ranges.len() as u32, self.delay_ms);
        out.extend_from_slice(self.ranges.ranges.as_flattened());
    }
}

/// Appends what stands before the ranges of an acknowledgement; a range is two u32.
#[inline]
fn settle_prefix(
    out: &mut Vec<u8>,
    (queue, lease): (QueueId, LeaseId),
    ranges: u32,
    delay_ms: u32,
) {
    let mut prefix = [0; SETTLE_BYTES];
    prefix[..8].copy_from_slice(&queue.0.to_le_bytes());
    prefix[8..16].copy_from_slice(&lease.0.to_le_bytes());
    prefix[16..20].copy_from_slice(&ranges.to_le_bytes());
    prefix[20..].copy_from_slice(&delay_ms.to_le_bytes());
    out.extend_from_slice(&prefix);
}

/// Appends an acknowledgement (or, with [`Kind::Nack`], its opposite) of some ranges as one frame.
/// A nack leaves it to the queue's back-off when the messages come back.
pub fn encode_settle(
    kind: Kind,
    lease: (QueueId, LeaseId),
    ranges: &[Range],
    (stream, request): (u32, u32),
    out: &mut Vec<u8>,
) {
    debug_assert!(matches!(kind, Kind::Ack | Kind::Nack) && !ranges.is_empty());
    frame::write(out, Header::request(kind, stream, request), |out| {
        settle_body(out, lease, ranges, BACK_OFF);
    });
}

/// Appends a nack as one frame: its messages come back after `delay_ms`, or as [`BACK_OFF`] and
/// [`DEAD_LETTER`] say.
pub fn encode_nack(
    lease: (QueueId, LeaseId),
    ranges: &[Range],
    delay_ms: u32,
    (stream, request): (u32, u32),
    out: &mut Vec<u8>,
) {
    frame::write(out, Header::request(Kind::Nack, stream, request), |out| {
        settle_body(out, lease, ranges, delay_ms);
    });
}

/// Appends the body of an ack or a nack.
pub(crate) fn settle_body(
    out: &mut Vec<u8>,
    lease: (QueueId, LeaseId),
    ranges: &[Range],
    delay_ms: u32,
) {
    settle_prefix(out, lease, ranges.len() as u32, delay_ms);
    for range in ranges {
        out.extend_from_slice(&range.first.to_le_bytes());
        out.extend_from_slice(&range.count.to_le_bytes());
    }
}

/// What became of a range of an acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Verdict {
    /// Settled by this request.
    Settled = 1,
    /// Settled before, or the lease has ended: this request changed nothing.
    Stale = 2,
    /// The lease or the index never existed.
    Unknown = 3,
}

impl Verdict {
    fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Verdict::Settled),
            2 => Some(Verdict::Stale),
            3 => Some(Verdict::Unknown),
            _ => None,
        }
    }
}

/// What became of an acknowledgement, in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settlement {
    /// Messages settled by this request.
    pub settled: u32,
    /// Messages settled before, or whose lease has ended.
    pub stale: u32,
    /// Messages that the lease never had, or of a lease that never was.
    pub unknown: u32,
}

impl Settlement {
    /// Reads the counts and the verdicts, which must agree where there are verdicts.
    pub(crate) fn decode<'a>(reader: &mut Reader<'a>) -> Result<(Self, Verdicts<'a>), Rejection> {
        let mut fields = reader.part(SETTLEMENT_BYTES)?;
        let (settled, stale, unknown) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let settlement = Self { settled, stale, unknown };
        let count = fields.u32()? as usize;
        let verdicts = Verdicts { bytes: reader.rest() };
        if count.checked_mul(VERDICT_BYTES) != Some(verdicts.bytes.len())
            || verdicts.iter().count() != count
        {
            return Err(Rejection::malformed("the verdicts do not match their bytes"));
        }
        let total = |wanted: Verdict| -> u64 {
            let of_it = verdicts.iter().filter(|range| range.verdict == wanted);
            of_it.map(|range| u64::from(range.count)).sum()
        };
        let agrees = total(Verdict::Settled) == u64::from(settled)
            && total(Verdict::Stale) == u64::from(stale)
            && total(Verdict::Unknown) == u64::from(unknown);
        if count > 0 && !agrees {
            return Err(Rejection::malformed("the verdicts do not add up to the counts"));
        }
        Ok((settlement, verdicts))
    }
}

/// One range of a settlement; the server lists them unless all was settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeVerdict {
    /// Index of the first message in the lease's batch.
    pub first: u32,
    /// How many messages.
    pub count: u32,
    /// What became of them.
    pub verdict: Verdict,
}

/// Verdicts still in the frame that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdicts<'a> {
    bytes: &'a [u8],
}

impl<'a> Verdicts<'a> {
    /// The ranges with their verdicts; empty when everything named was settled.
    pub fn iter(&self) -> impl Iterator<Item = RangeVerdict> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || {
            let (first, count) = (reader.u32().ok()?, reader.u32().ok()?);
            let verdict = Verdict::from_number(reader.u32().ok()?)?;
            let valid = count > 0 && first.checked_add(count).is_some();
            valid.then_some(RangeVerdict { first, count, verdict })
        })
    }
}

/// Appends the reply to an ack or a nack; the verdicts may be left out when all was settled.
#[inline]
pub fn settled(
    out: &mut Vec<u8>,
    kind: Kind,
    (stream, request): (u32, u32),
    settlement: Settlement,
    verdicts: &[RangeVerdict],
) {
    const START: usize = HEADER_BYTES + SETTLEMENT_BYTES;
    let Settlement { settled, stale, unknown } = settlement;
    let mut header = Header::reply(kind, Code::Ok, stream, request);
    let length = SETTLEMENT_BYTES + verdicts.len() * VERDICT_BYTES;
    header.length = u32::try_from(length).expect("verdicts name messages of one lease: 4,096");
    let counts = u128::from(settled)
        | u128::from(stale) << 32
        | u128::from(unknown) << 64
        | (verdicts.len() as u128) << 96;
    let mut start = [0; START];
    start[..HEADER_BYTES].copy_from_slice(&header.encode());
    start[HEADER_BYTES..].copy_from_slice(&counts.to_le_bytes());
    out.extend_from_slice(&start);
    for RangeVerdict { first, count, verdict } in verdicts {
        for number in [*first, *count, *verdict as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
}
