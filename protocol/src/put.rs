//! Putting: a batch with or without its producer's number, and the receipt that answers it.
//!
//! ```text
//!  put      | queue u64 | count u32 | producer u32 | [ id u64 | sequence u64 ] | records ... |
//!  receipt  | first_sequence u64 | count u32 | level u8 | duplicate u8 | runs u16 | runs ... |
//!  run      | first_sequence u64 | count u32 | outcome u32 |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Level, Rejection};
use crate::frame::{self, HEADER_BYTES, Header, Kind};
use crate::id::QueueId;
use crate::limits::PUT_STRETCHES_MAX;
use crate::record::Records;
use crate::request::queue_id;

/// What stands before the records of a put without a producer.
pub const PUT_PREFIX_BYTES: usize = 16;
/// What stands before the runs of a receipt.
pub const RECEIPT_BYTES: usize = 16;
/// The bytes of a run of a receipt.
pub const PUT_RUN_BYTES: usize = 16;

/// Who puts, so that a repeat is known: the producer numbers its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Producer {
    /// The producer's own number; chosen at random where nothing better names it.
    pub id: u64,
    /// The number of the batch's first message; the others follow it.
    pub sequence: u64,
}

/// A batch for a queue: all of it or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Put<'a> {
    /// The queue.
    pub queue: QueueId,
    /// Who puts, if repeats shall be known by it.
    pub producer: Option<Producer>,
    /// The messages.
    pub records: Records<'a>,
}

impl<'a> Put<'a> {
    /// A put that does not say who puts.
    pub fn new(queue: QueueId, records: Records<'a>) -> Self {
        Self { queue, producer: None, records }
    }

    /// Reads the rest of a body: a put is the last that a body holds.
    #[inline]
    pub(crate) fn decode(mut reader: Reader<'a>) -> Result<Self, Rejection> {
        let mut fields = reader.part(PUT_PREFIX_BYTES)?;
        let (queue, count, with) = (queue_id(&mut fields)?, fields.u32()?, fields.u32()?);
        // The usual put is made here from nothing but registers; all others are made elsewhere.
        if with == 0
            && let Ok(records) = Records::parse_plain(reader.peek(), count)
        {
            return Ok(Self { queue, producer: None, records });
        }
        Self::decode_further((queue, count), with, reader)
    }

    #[inline(never)]
    fn decode_further(
        (queue, count): (QueueId, u32),
        with: u32,
        mut reader: Reader<'a>,
    ) -> Result<Self, Rejection> {
        let producer = match with {
            0 => None,
            1 => Some(Producer { id: reader.u64()?, sequence: reader.u64()? }),
            _ => return Err(Rejection::malformed("a put has a producer (1) or none (0)")),
        };
        let last = producer.map(|producer| producer.sequence.checked_add(count.into()));
        if last == Some(None) {
            return Err(Rejection::malformed("a producer's sequence ends past the last number"));
        }
        let records = Records::parse(reader.rest(), count)?;
        records.check_put()?;
        Ok(Self { queue, producer, records })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_prefix(out, self.queue, self.records.count());
        if let Some(Producer { id, sequence }) = self.producer {
            let flag = out.len() - 4;
            out[flag] = 1;
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&sequence.to_le_bytes());
        }
        out.extend_from_slice(self.records.as_bytes());
    }
}

/// Appends what stands before the records of a put without a producer, for writers that append
/// records themselves.
#[inline]
pub fn put_prefix(out: &mut Vec<u8>, queue: QueueId, count: u32) {
    let prefix = u128::from(queue.0) | u128::from(count) << 64;
    out.extend_from_slice(&prefix.to_le_bytes());
}

/// What became of a stretch of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u32)]
pub enum PutOutcome {
    /// Stored now.
    Stored = 0,
    /// It was there: the sequences are those of the first time.
    Duplicate = 1,
    /// Scheduled: the sequences name the messages until they are due, and others after that.
    Scheduled = 2,
}

impl PutOutcome {
    fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(PutOutcome::Stored),
            1 => Some(PutOutcome::Duplicate),
            2 => Some(PutOutcome::Scheduled),
            _ => None,
        }
    }
}

/// A stretch of a put's messages whose sequences follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PutRun {
    /// The sequence of the first.
    pub first_sequence: u64,
    /// How many; at least 1.
    pub count: u32,
    /// What became of them.
    pub outcome: PutOutcome,
}

impl PutRun {
    fn from_bytes(bytes: &[u8; PUT_RUN_BYTES]) -> Option<Self> {
        let word = u128::from_le_bytes(*bytes);
        let (first_sequence, count) = (word as u64, (word >> 64) as u32);
        let outcome = PutOutcome::from_number((word >> 96) as u32)?;
        let valid = count > 0 && first_sequence.checked_add(u64::from(count)).is_some();
        valid.then_some(Self { first_sequence, count, outcome })
    }

    /// The run as it stands in a receipt.
    pub fn to_bytes(self) -> [u8; PUT_RUN_BYTES] {
        let word = u128::from(self.first_sequence)
            | u128::from(self.count) << 64
            | (self.outcome as u128) << 96;
        word.to_le_bytes()
    }
}

/// What a put came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt<'a> {
    /// The sequence of the first message.
    pub first_sequence: u64,
    /// How many messages were put.
    pub count: u32,
    /// What this acknowledgement means.
    pub level: Level,
    /// Whether all of it was there already.
    pub duplicate: bool,
    runs: &'a [[u8; PUT_RUN_BYTES]],
}

impl<'a> Receipt<'a> {
    /// The receipt of a batch whose sequences follow each other.
    #[inline]
    pub fn plain(first_sequence: u64, count: u32, level: Level, duplicate: bool) -> Self {
        Self { first_sequence, count, level, duplicate, runs: &[] }
    }

    /// The receipt of a batch in several stretches, in the order of its records: at least one, each
    /// from [`PutRun::to_bytes`].
    pub fn of_runs(level: Level, runs: &'a [[u8; PUT_RUN_BYTES]]) -> Self {
        let mut receipt = Self { first_sequence: 0, count: 0, level, duplicate: true, runs };
        for (index, run) in receipt.runs().enumerate() {
            if index == 0 {
                receipt.first_sequence = run.first_sequence;
            }
            receipt.count += run.count;
            receipt.duplicate &= run.outcome == PutOutcome::Duplicate;
        }
        receipt
    }

    /// The stretches of the batch in the order of its records; at least one.
    pub fn runs(&self) -> impl Iterator<Item = PutRun> + use<'a> {
        let outcome = if self.duplicate { PutOutcome::Duplicate } else { PutOutcome::Stored };
        let (first_sequence, count) = (self.first_sequence, self.count);
        let whole = self.runs.is_empty().then_some(PutRun { first_sequence, count, outcome });
        whole.into_iter().chain(self.runs.iter().map_while(PutRun::from_bytes))
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let mut fields = reader.part(RECEIPT_BYTES)?;
        let (first_sequence, count) = (fields.u64()?, fields.u32()?);
        let level = Level::from_number(fields.u8()?);
        let level = level.ok_or(Rejection::malformed("an unknown level"))?;
        let duplicate = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Rejection::malformed("a put was stored (0) or was there (1)")),
        };
        let runs = usize::from(fields.u16()?);
        let (runs, _) = reader.bytes(runs * PUT_RUN_BYTES)?.as_chunks::<PUT_RUN_BYTES>();
        let receipt = Self { first_sequence, count, level, duplicate, runs };
        // Summed up before it is believed: a count that overflows is not the one that was stated.
        let stretches = runs.iter().filter_map(PutRun::from_bytes);
        let total: u64 = stretches.map(|run| u64::from(run.count)).sum();
        let agrees = runs.is_empty()
            || total == u64::from(count)
                && runs.iter().all(|run| PutRun::from_bytes(run).is_some())
                && Self::of_runs(level, runs) == receipt;
        if !agrees {
            return Err(Rejection::malformed("the runs of a put do not add up"));
        }
        Ok(receipt)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.runs.len() <= PUT_STRETCHES_MAX as usize);
        let body = u128::from(self.first_sequence)
            | u128::from(self.count) << 64
            | (self.level as u128) << 96
            | u128::from(self.duplicate) << 104
            | (self.runs.len() as u128) << 112;
        out.extend_from_slice(&body.to_le_bytes());
        out.extend_from_slice(self.runs.as_flattened());
    }
}

/// Appends the reply to a put that was stored as one stretch: 32 bytes, the shortest way for the
/// commonest reply.
#[inline]
pub fn put(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    first_sequence: u64,
    count: u32,
    level: Level,
) {
    let mut header = Header::reply(Kind::Put, Code::Ok, stream, request);
    header.length = RECEIPT_BYTES as u32;
    let body = u128::from(first_sequence) | u128::from(count) << 64 | (level as u128) << 96;
    let mut frame = [0; HEADER_BYTES + RECEIPT_BYTES];
    frame[..HEADER_BYTES].copy_from_slice(&header.encode());
    frame[HEADER_BYTES..].copy_from_slice(&body.to_le_bytes());
    out.extend_from_slice(&frame);
}

/// Appends the reply to a put, whatever became of it.
pub fn receipt(out: &mut Vec<u8>, (stream, request): (u32, u32), receipt: &Receipt<'_>) {
    let header = Header::reply(Kind::Put, Code::Ok, stream, request);
    frame::write(out, header, |out| receipt.encode(out));
}
