//! What a client asks for.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Frame, Header, Kind, REPLY};
use crate::greeting::Greet;
use crate::id::{LeaseId, QueueId};
use crate::limits::{LIST_ENTRIES_MAX, RANGES_MAX};
use crate::name::QueueName;
use crate::options::QueueOptions;
use crate::record::Records;

/// A take: up to so many messages or bytes, after a wait of at most so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Take {
    /// The queue to take from.
    pub queue: QueueId,
    /// Most messages to return; 1 to 4,096.
    pub messages_max: u32,
    /// Most bytes of records to return; 0 for 256 KiB. One message is returned whatever its size.
    pub bytes_max: u32,
    /// How long to wait for the first message, in milliseconds; 0 answers at once.
    pub wait_ms: u32,
    /// How long the lease lasts, in milliseconds; 0 for the queue's own.
    pub lease_ms: u32,
    /// Whether the messages are acknowledged as they leave, without a lease.
    pub acknowledged: bool,
}

/// A run of messages within a lease's batch, counted from 0 in the order of delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Index of the first message.
    pub first: u32,
    /// How many messages; at least 1.
    pub count: u32,
}

/// One or more ranges, still in the frame that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ranges<'a> {
    bytes: &'a [u8],
}

impl<'a> Ranges<'a> {
    /// The ranges in the order in which they were named.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Range> + use<'a> {
        self.bytes.chunks_exact(8).map(|chunk| {
            let word = u64::from_le_bytes(chunk.try_into().expect("a chunk has 8 bytes"));
            Range { first: word as u32, count: (word >> 32) as u32 }
        })
    }

    /// How many ranges; 1 to 2,048.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / 8
    }

    /// Never true for decoded ranges.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Checks bytes that are ranges: each with at least one message, none past the last index.
    fn check(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let ranges = Self { bytes };
        let valid =
            |range: Range| range.count > 0 && range.first.checked_add(range.count).is_some();
        if ranges.iter().all(valid) {
            Ok(ranges)
        } else {
            Err(Rejection::malformed("a range is empty or ends past the last index"))
        }
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
}

/// Every request of version 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// Agree on a version; always first.
    Greet(Greet<'a>),
    /// Make a queue, or find that it is there with the same options.
    Declare {
        /// A valid name.
        name: &'a str,
        /// Its options; `None` for the server's defaults.
        options: Option<QueueOptions>,
    },
    /// Turn a name into an id.
    Open {
        /// A valid name.
        name: &'a str,
    },
    /// Add a batch: all of it or nothing.
    Put {
        /// The queue.
        queue: QueueId,
        /// The messages.
        records: Records<'a>,
    },
    /// Get messages.
    Take(Take),
    /// Messages are done.
    Ack(Settle<'a>),
    /// Messages are given back and become ready at once.
    Nack(Settle<'a>),
    /// Counters of a queue, or of the plane's shards.
    Stat {
        /// `None` for the plane.
        queue: Option<QueueId>,
    },
    /// A page of the plane's queues.
    List {
        /// 0 for the first page, then what the last page returned.
        cursor: u64,
        /// Most entries; 1 to 1,024.
        limit: u32,
        /// Only names that start so; empty for all.
        prefix: &'a str,
    },
    /// Drop every ready message.
    Purge {
        /// The queue.
        queue: QueueId,
    },
    /// Remove a queue and all its messages.
    Delete {
        /// The queue.
        queue: QueueId,
    },
    /// Is anybody there?
    Ping,
    /// The body comes back.
    Echo(&'a [u8]),
}

impl<'a> Request<'a> {
    /// Gives a frame its meaning. Everything that the wire can check is checked here.
    #[inline]
    pub fn decode(frame: Frame<'a>) -> Result<Self, Rejection> {
        let Header { kind, code, .. } = frame.header;
        if code != 0 {
            return Err(Rejection::malformed("the code of a request is not zero"));
        }
        let mut reader = Reader::new(frame.body);
        let request = match Kind::from_number(kind) {
            Some(Kind::Put) => {
                let queue = queue_id(&mut reader)?;
                let count = reader.u32()?;
                reader.reserved(4)?;
                Request::Put { queue, records: Records::parse(reader.rest(), count)? }
            }
            Some(Kind::Take) => Request::Take(take(&mut reader)?),
            Some(Kind::Ack) => Request::Ack(settle(&mut reader)?),
            Some(Kind::Nack) => Request::Nack(settle(&mut reader)?),
            Some(Kind::Greet) => Request::Greet(Greet::decode(reader.rest())?),
            Some(Kind::Declare) => declare(&mut reader)?,
            Some(Kind::Open) => Request::Open { name: QueueName::check(reader.rest())? },
            Some(Kind::Stat) => {
                let id = reader.u64()?;
                Request::Stat { queue: (id != 0).then_some(QueueId(id)) }
            }
            Some(Kind::List) => list(&mut reader)?,
            Some(Kind::Purge) => Request::Purge { queue: queue_id(&mut reader)? },
            Some(Kind::Delete) => Request::Delete { queue: queue_id(&mut reader)? },
            Some(Kind::Ping) => Request::Ping,
            Some(Kind::Echo) => Request::Echo(reader.rest()),
            Some(Kind::Goodbye) | None => {
                return Err(Rejection::new(Code::UnknownKind, unknown_kind(kind)));
            }
        };
        reader.end()?;
        Ok(request)
    }

    /// The kind of frame that carries this request.
    pub fn kind(&self) -> Kind {
        match self {
            Request::Greet(_) => Kind::Greet,
            Request::Declare { .. } => Kind::Declare,
            Request::Open { .. } => Kind::Open,
            Request::Put { .. } => Kind::Put,
            Request::Take(_) => Kind::Take,
            Request::Ack(_) => Kind::Ack,
            Request::Nack(_) => Kind::Nack,
            Request::Stat { .. } => Kind::Stat,
            Request::List { .. } => Kind::List,
            Request::Purge { .. } => Kind::Purge,
            Request::Delete { .. } => Kind::Delete,
            Request::Ping => Kind::Ping,
            Request::Echo(_) => Kind::Echo,
        }
    }

    /// Appends this request as one frame.
    pub fn encode(&self, stream: u32, request: u32, out: &mut Vec<u8>) {
        frame::write(out, Header::request(self.kind(), stream, request), |out| match self {
            Request::Greet(greet) => greet.encode(out),
            Request::Declare { name, options } => {
                out.push(u8::from(options.is_some()));
                out.push(name.len() as u8);
                out.extend_from_slice(&[0; 2]);
                options.unwrap_or_default().encode(out);
                out.extend_from_slice(name.as_bytes());
            }
            Request::Open { name } => out.extend_from_slice(name.as_bytes()),
            Request::Put { queue, records } => {
                put_prefix(out, *queue, records.count());
                out.extend_from_slice(records.as_bytes());
            }
            Request::Take(take) => take.encode(out),
            Request::Ack(settle) | Request::Nack(settle) => {
                settle_prefix(out, settle.queue, settle.lease, settle.ranges.len() as u32);
                out.extend_from_slice(settle.ranges.bytes);
            }
            Request::Stat { queue } => {
                out.extend_from_slice(&queue.map_or(0, |queue| queue.0).to_le_bytes());
            }
            Request::List { cursor, limit, prefix } => {
                out.extend_from_slice(&cursor.to_le_bytes());
                out.extend_from_slice(&limit.to_le_bytes());
                out.extend_from_slice(prefix.as_bytes());
            }
            Request::Purge { queue } | Request::Delete { queue } => {
                out.extend_from_slice(&queue.0.to_le_bytes());
            }
            Request::Ping => {}
            Request::Echo(body) => out.extend_from_slice(body),
        });
    }
}

impl Take {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        for number in [self.messages_max, self.bytes_max, self.wait_ms, self.lease_ms, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[u8::from(self.acknowledged), 0, 0, 0]);
    }
}

/// Appends what stands before the records of a put, for writers that append records themselves.
#[inline]
pub fn put_prefix(out: &mut Vec<u8>, queue: QueueId, count: u32) {
    out.extend_from_slice(&queue.0.to_le_bytes());
    out.extend_from_slice(&u64::from(count).to_le_bytes());
}

/// Appends what stands before the ranges of an acknowledgement; a range is two u32.
#[inline]
pub fn settle_prefix(out: &mut Vec<u8>, queue: QueueId, lease: LeaseId, ranges: u32) {
    out.extend_from_slice(&queue.0.to_le_bytes());
    out.extend_from_slice(&lease.0.to_le_bytes());
    out.extend_from_slice(&u64::from(ranges).to_le_bytes());
}

/// Appends an acknowledgement (or, with [`Kind::Nack`], its opposite) of some ranges as one frame.
pub fn encode_settle(
    kind: Kind,
    (queue, lease): (QueueId, LeaseId),
    ranges: &[Range],
    (stream, request): (u32, u32),
    out: &mut Vec<u8>,
) {
    debug_assert!(matches!(kind, Kind::Ack | Kind::Nack) && !ranges.is_empty());
    frame::write(out, Header::request(kind, stream, request), |out| {
        settle_prefix(out, queue, lease, ranges.len() as u32);
        for range in ranges {
            out.extend_from_slice(&range.first.to_le_bytes());
            out.extend_from_slice(&range.count.to_le_bytes());
        }
    });
}

fn queue_id(reader: &mut Reader<'_>) -> Result<QueueId, Rejection> {
    match reader.u64()? {
        0 => Err(Rejection::malformed("a queue's id is never 0")),
        id => Ok(QueueId(id)),
    }
}

fn take(reader: &mut Reader<'_>) -> Result<Take, Rejection> {
    let queue = queue_id(reader)?;
    let (messages_max, bytes_max) = (reader.u32()?, reader.u32()?);
    let (wait_ms, lease_ms) = (reader.u32()?, reader.u32()?);
    reader.reserved(4)?; // the group: 0 is the default one
    let mode = reader.u8()?;
    reader.reserved(3)?;
    if messages_max == 0 || mode > 1 {
        return Err(Rejection::malformed("a take of no messages, or with an unknown mode"));
    }
    Ok(Take { queue, messages_max, bytes_max, wait_ms, lease_ms, acknowledged: mode == 1 })
}

#[inline]
fn settle<'a>(reader: &mut Reader<'a>) -> Result<Settle<'a>, Rejection> {
    let queue = queue_id(reader)?;
    let lease = LeaseId(reader.u64()?);
    let ranges = reader.u32()?;
    reader.reserved(4)?; // the delay of a nack
    if ranges == 0 || ranges > RANGES_MAX {
        return Err(Rejection::malformed("an acknowledgement names 1 to 2,048 ranges"));
    }
    Ok(Settle { queue, lease, ranges: Ranges::check(reader.bytes(ranges as usize * 8)?)? })
}

fn declare<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let with_options = reader.u8()?;
    let name_length = usize::from(reader.u8()?);
    reader.reserved(2)?;
    let mut fields = Reader::new(reader.bytes(crate::options::OPTIONS_BYTES)?);
    let options = match with_options {
        0 => None,
        1 => Some(QueueOptions::decode(&mut fields)?),
        _ => return Err(Rejection::malformed("a declaration has options (1) or none (0)")),
    };
    Ok(Request::Declare { name: QueueName::check(reader.bytes(name_length)?)?, options })
}

fn list<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let (cursor, limit) = (reader.u64()?, reader.u32()?);
    if limit == 0 || limit > LIST_ENTRIES_MAX {
        return Err(Rejection::malformed("a page of a listing has 1 to 1,024 entries"));
    }
    Ok(Request::List { cursor, limit, prefix: crate::bytes::text(reader.rest())? })
}

fn unknown_kind(kind: u8) -> &'static str {
    if kind & REPLY != 0 {
        "a client sends requests, this is the kind of a reply"
    } else {
        "the kind of frame is unknown"
    }
}
