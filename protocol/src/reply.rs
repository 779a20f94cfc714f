//! What the server answers.

use crate::bytes::{Reader, text};
use crate::code::{Code, Level, Rejection};
use crate::frame::{self, Frame, Header, Kind, REPLY};
use crate::greeting::Welcome;
use crate::id::{LeaseId, QueueId};
use crate::limits::{FRAME_BYTES_MAX, LIST_ENTRIES_MAX, NAME_BYTES_MAX};
use crate::name::QueueName;
use crate::record::Records;

/// The figures of a queue, in the order of the columns of its statistics.
pub const QUEUE_COLUMNS: [&str; 15] = [
    "ready",
    "leased",
    "held_bytes",
    "live_bytes",
    "puts",
    "takes",
    "acks",
    "nacks",
    "expired_leases",
    "redeliveries",
    "dead_lettered",
    "dropped",
    "refused",
    "purged",
    "waiting_takes",
];

/// The figures of a shard, in the order of the columns of the plane's statistics.
pub const SHARD_COLUMNS: [&str; 20] = [
    "shard",
    "cpu",
    "connections",
    "connections_accepted",
    "queues",
    "requests",
    "puts",
    "takes",
    "acks",
    "refused",
    "bytes_in",
    "bytes_out",
    "handoffs_out",
    "handoffs_full",
    "turns",
    "parks",
    "cpu_ns",
    "longest_turn_ns",
    "accept_errors",
    "receive_buffers_empty",
];

/// A run of messages that follow each other in their queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The sequence of the first.
    pub first_sequence: u64,
    /// How many.
    pub count: u32,
    /// How often they have been delivered, this time included.
    pub deliveries: u32,
}

/// The bytes of a run on the wire.
pub const RUN_BYTES: usize = 16;
/// What stands before the runs of a delivery.
pub const DELIVERY_BYTES: usize = 24;

/// Messages taken: their lease, where they stood, and their records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery<'a> {
    /// The lease; [`LeaseId::NONE`] if nothing came or it was acknowledged at once.
    pub lease: LeaseId,
    /// How long the lease lasts from now, in milliseconds.
    pub lease_ms: u32,
    runs: &'a [u8],
    /// The messages, `None` if the wait ended without one.
    pub records: Option<Records<'a>>,
}

impl<'a> Delivery<'a> {
    /// The runs in the order of the records.
    pub fn runs(&self) -> impl Iterator<Item = Run> + use<'a> {
        self.runs.chunks_exact(RUN_BYTES).map(|chunk| {
            let word = u128::from_le_bytes(chunk.try_into().expect("a chunk has 16 bytes"));
            Run {
                first_sequence: word as u64,
                count: (word >> 64) as u32,
                deliveries: (word >> 96) as u32,
            }
        })
    }

    /// How many messages came.
    #[inline]
    pub fn count(&self) -> u32 {
        self.records.map_or(0, |records| records.count())
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let lease = LeaseId(reader.u64()?);
        let (lease_ms, count, runs) = (reader.u32()?, reader.u32()?, reader.u32()?);
        reader.reserved(4)?;
        if runs as usize > FRAME_BYTES_MAX / RUN_BYTES {
            return Err(Rejection::malformed("a delivery has more runs than fit a frame"));
        }
        let runs = reader.bytes(runs as usize * RUN_BYTES)?;
        let bytes = reader.rest();
        let records =
            if count == 0 && bytes.is_empty() { None } else { Some(Records::parse(bytes, count)?) };
        let delivery = Self { lease, lease_ms, runs, records };
        if delivery.runs().map(|run| u64::from(run.count)).sum::<u64>() != u64::from(count) {
            return Err(Rejection::malformed("the runs of a delivery do not add up"));
        }
        Ok(delivery)
    }
}

/// Appends what stands before the records of a delivery: counts, then the runs.
#[inline]
pub fn delivery_prefix(
    out: &mut Vec<u8>,
    (lease, lease_ms): (LeaseId, u32),
    count: u32,
    runs: impl ExactSizeIterator<Item = Run>,
) {
    out.extend_from_slice(&lease.0.to_le_bytes());
    for number in [lease_ms, count, runs.len() as u32, 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for run in runs {
        out.extend_from_slice(&run.first_sequence.to_le_bytes());
        out.extend_from_slice(&run.count.to_le_bytes());
        out.extend_from_slice(&run.deliveries.to_le_bytes());
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
            Some(RangeVerdict {
                first: reader.u32().ok()?,
                count: reader.u32().ok()?,
                verdict: match reader.u32().ok()? {
                    1 => Verdict::Settled,
                    2 => Verdict::Stale,
                    _ => Verdict::Unknown,
                },
            })
        })
    }
}

/// A queue in a listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListEntry<'a> {
    /// Its id.
    pub queue: QueueId,
    /// Messages ready.
    pub ready: u64,
    /// Messages leased.
    pub leased: u64,
    /// Its name.
    pub name: &'a str,
}

impl<'a> ListEntry<'a> {
    /// Appends this entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.queue.0, self.ready, self.leased] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(self.name.len() as u8);
        out.extend_from_slice(self.name.as_bytes());
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (queue, ready, leased) = (QueueId(reader.u64()?), reader.u64()?, reader.u64()?);
        let length = usize::from(reader.u8()?);
        debug_assert!(length <= NAME_BYTES_MAX);
        Ok(Self { queue, ready, leased, name: QueueName::check(reader.bytes(length)?)? })
    }
}

/// A table of figures: rows of as many numbers as there are columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures<'a> {
    columns: u32,
    bytes: &'a [u8],
}

impl<'a> Figures<'a> {
    /// The rows; later versions add columns at the end.
    pub fn rows(&self) -> impl Iterator<Item = Vec<u64>> + use<'a> {
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        let row = self.columns.max(1) as usize * 8;
        self.bytes.chunks_exact(row).map(move |row| row.chunks_exact(8).map(number).collect())
    }
}

/// Appends a table of figures: rows, columns, then the numbers row by row.
pub fn figures(out: &mut Vec<u8>, columns: usize, rows: impl ExactSizeIterator<Item = Vec<u64>>) {
    out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    out.extend_from_slice(&(columns as u32).to_le_bytes());
    rows.flatten().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Every reply of version 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// To a greeting.
    Welcome(Welcome),
    /// To a declaration.
    Declared {
        /// The queue.
        queue: QueueId,
        /// Whether this request made it.
        created: bool,
    },
    /// To an open.
    Opened {
        /// The queue.
        queue: QueueId,
    },
    /// To a put: the batch is held at `level`.
    Put {
        /// The sequence of the batch's first message.
        first_sequence: u64,
        /// How many messages were put.
        count: u32,
        /// What this acknowledgement means.
        level: Level,
    },
    /// To a take.
    Delivery(Delivery<'a>),
    /// To an ack or a nack.
    Settled(Settlement, Verdicts<'a>),
    /// To a stat.
    Figures(Figures<'a>),
    /// To a list.
    Page {
        /// Where the next page starts; 0 after the last.
        next_cursor: u64,
        /// The queues of this page.
        entries: Vec<ListEntry<'a>>,
    },
    /// To a purge or a delete: how many messages went.
    Removed(u64),
    /// To a ping.
    Pong,
    /// To an echo.
    Echo(&'a [u8]),
    /// To any request that was refused, and as the server's last words.
    Refused {
        /// The stable code.
        code: Code,
        /// What was wrong.
        sentence: &'a str,
    },
}

impl<'a> Reply<'a> {
    /// Gives a reply's frame its meaning.
    pub fn decode(frame: Frame<'a>) -> Result<Self, Rejection> {
        let Header { kind, code, .. } = frame.header;
        let kind = Kind::from_number(kind & !REPLY).filter(|_| kind & REPLY != 0);
        let kind =
            kind.ok_or(Rejection::new(Code::UnknownKind, "the kind of a reply is unknown"))?;
        if code != 0 || kind == Kind::Goodbye {
            let code = Code::from_number(code)
                .ok_or(Rejection::malformed("a reply has a code that this version lacks"))?;
            return Ok(Reply::Refused { code, sentence: text(frame.body)? });
        }
        let mut reader = Reader::new(frame.body);
        let reply = Self::decode_body(kind, &mut reader)?;
        reader.end()?;
        Ok(reply)
    }

    fn decode_body(kind: Kind, reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        Ok(match kind {
            Kind::Put => {
                let (first_sequence, count) = (reader.u64()?, reader.u32()?);
                let level = Level::from_number(reader.u8()?);
                reader.reserved(3)?;
                let level = level.ok_or(Rejection::malformed("an unknown level"))?;
                Reply::Put { first_sequence, count, level }
            }
            Kind::Take => Reply::Delivery(Delivery::decode(reader)?),
            Kind::Ack | Kind::Nack => {
                let (settled, stale, unknown) = (reader.u32()?, reader.u32()?, reader.u32()?);
                let verdicts = reader.u32()? as usize;
                let bytes = reader.rest();
                if verdicts.checked_mul(12) != Some(bytes.len()) {
                    return Err(Rejection::malformed("the verdicts do not match their bytes"));
                }
                Reply::Settled(Settlement { settled, stale, unknown }, Verdicts { bytes })
            }
            Kind::Greet => Reply::Welcome(Welcome::decode(reader.rest())?),
            Kind::Declare => {
                let (queue, created) = (QueueId(reader.u64()?), reader.u8()?);
                reader.reserved(7)?;
                Reply::Declared { queue, created: created != 0 }
            }
            Kind::Open => Reply::Opened { queue: QueueId(reader.u64()?) },
            Kind::Stat => {
                let (rows, columns) = (reader.u32()?, reader.u32()?);
                let bytes = reader.rest();
                let numbers = u64::from(rows) * u64::from(columns);
                if numbers.checked_mul(8) != Some(bytes.len() as u64) || columns == 0 {
                    return Err(Rejection::malformed("the figures do not match their bytes"));
                }
                Reply::Figures(Figures { columns, bytes })
            }
            Kind::List => {
                let (next_cursor, count) = (reader.u64()?, reader.u32()?);
                if count > LIST_ENTRIES_MAX {
                    return Err(Rejection::malformed("a page has at most 1,024 entries"));
                }
                let entries = (0..count).map(|_| ListEntry::decode(reader));
                Reply::Page { next_cursor, entries: entries.collect::<Result<_, _>>()? }
            }
            Kind::Purge | Kind::Delete => Reply::Removed(reader.u64()?),
            Kind::Ping => Reply::Pong,
            Kind::Echo => Reply::Echo(reader.rest()),
            Kind::Goodbye => return Err(Rejection::malformed("a goodbye without a reason")),
        })
    }
}

/// Appends the reply to a put: 32 bytes, the shortest way for the commonest reply.
#[inline]
pub fn put(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    first_sequence: u64,
    count: u32,
    level: Level,
) {
    let mut header = Header::reply(Kind::Put, Code::Ok, stream, request);
    header.length = 16;
    let body = u128::from(first_sequence) | u128::from(count) << 64 | (level as u128) << 96;
    let mut frame = [0; 32];
    frame[..16].copy_from_slice(&header.encode());
    frame[16..].copy_from_slice(&body.to_le_bytes());
    out.extend_from_slice(&frame);
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
    frame::write(out, Header::reply(kind, Code::Ok, stream, request), |out| {
        let Settlement { settled, stale, unknown } = settlement;
        for number in [settled, stale, unknown, verdicts.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for RangeVerdict { first, count, verdict } in verdicts {
            for number in [*first, *count, *verdict as u32] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    });
}

/// Appends a refusal: the code in the header, the sentence as the body.
#[cold]
pub fn refused(out: &mut Vec<u8>, kind: Kind, (stream, request): (u32, u32), why: Rejection) {
    frame::write(out, Header::reply(kind, why.code, stream, request), |out| {
        out.extend_from_slice(why.sentence.as_bytes());
    });
}

/// Appends a reply whose body is one number: an id, or how many messages were removed.
pub fn number(out: &mut Vec<u8>, kind: Kind, (stream, request): (u32, u32), number: u64) {
    frame::write(out, Header::reply(kind, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&number.to_le_bytes());
    });
}

/// Appends the reply to a declaration.
pub fn declared(out: &mut Vec<u8>, (stream, request): (u32, u32), queue: QueueId, created: bool) {
    frame::write(out, Header::reply(Kind::Declare, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&queue.0.to_le_bytes());
        out.extend_from_slice(&[u8::from(created), 0, 0, 0, 0, 0, 0, 0]);
    });
}
