//! What a client asks for.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, CREDIT, Frame, Header, Kind, REPLY};
use crate::greeting::Greet;
use crate::id::QueueId;
use crate::limits::LIST_ENTRIES_MAX;
use crate::name::QueueName;
use crate::options::{OPTIONS_BYTES, QueueOptions};
use crate::record::Records;

pub use crate::settle::{Range, Ranges, Settle, encode_settle, settle_prefix};
pub use crate::take::Take;

/// What stands before the records of a put.
pub const PUT_PREFIX_BYTES: usize = 16;

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
        frame::check_flags(frame.header)?;
        let mut reader = Reader::new(frame.body);
        let request = match Kind::from_number(kind) {
            Some(Kind::Put) => put(&mut reader)?,
            Some(Kind::Take) => Request::Take(Take::decode(&mut reader)?),
            Some(Kind::Ack) => Request::Ack(Settle::decode(Kind::Ack, &mut reader)?),
            Some(Kind::Nack) => Request::Nack(Settle::decode(Kind::Nack, &mut reader)?),
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
            Some(Kind::Goodbye) | None => return Err(unknown_kind(kind)),
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
                // A length that does not fit is written as 0, which every server refuses.
                out.push(u8::try_from(name.len()).unwrap_or(0));
                out.extend_from_slice(&[0; 2]);
                match options {
                    Some(options) => options.encode(out),
                    None => out.extend_from_slice(&[0; OPTIONS_BYTES]),
                }
                out.extend_from_slice(name.as_bytes());
            }
            Request::Open { name } => out.extend_from_slice(name.as_bytes()),
            Request::Put { queue, records } => {
                put_prefix(out, *queue, records.count());
                out.extend_from_slice(records.as_bytes());
            }
            Request::Take(take) => take.encode(out),
            Request::Ack(settle) | Request::Nack(settle) => settle.encode(out),
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

/// Appends what stands before the records of a put, for writers that append records themselves.
#[inline]
pub fn put_prefix(out: &mut Vec<u8>, queue: QueueId, count: u32) {
    let prefix = u128::from(queue.0) | u128::from(count) << 64;
    out.extend_from_slice(&prefix.to_le_bytes());
}

/// A queue's id, which is never 0.
#[inline]
pub(crate) fn queue_id(reader: &mut Reader<'_>) -> Result<QueueId, Rejection> {
    match reader.u64()? {
        0 => Err(Rejection::malformed("a queue's id is never 0")),
        id => Ok(QueueId(id)),
    }
}

#[inline]
fn put<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let mut fields = reader.part(PUT_PREFIX_BYTES)?;
    let (queue, count) = (queue_id(&mut fields)?, fields.u32()?);
    fields.reserved(4)?;
    let records = Records::parse(reader.rest(), count)?;
    records.check_put()?;
    Ok(Request::Put { queue, records })
}

fn declare<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let with_options = reader.u8()?;
    let name_length = usize::from(reader.u8()?);
    reader.reserved(2)?;
    let mut fields = reader.part(OPTIONS_BYTES)?;
    let options = match with_options {
        0 => {
            fields.reserved(OPTIONS_BYTES)?;
            None
        }
        1 => Some(QueueOptions::decode(&mut fields)?),
        _ => return Err(Rejection::malformed("a declaration has options (1) or none (0)")),
    };
    Ok(Request::Declare { name: QueueName::check(reader.bytes(name_length)?)?, options })
}

fn list<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, Rejection> {
    let (cursor, limit) = (reader.u64()?, reader.u32()?);
    if limit == 0 || limit > LIST_ENTRIES_MAX {
        return Err(Rejection::new(Code::InvalidOption, "a page has 1 to 1,024 entries"));
    }
    let prefix = match reader.rest() {
        [] => "",
        prefix => QueueName::check(prefix)?,
    };
    Ok(Request::List { cursor, limit, prefix })
}

#[cold]
fn unknown_kind(kind: u8) -> Rejection {
    if kind == CREDIT {
        return Rejection::new(Code::Unsupported, "credit is not supported yet");
    }
    if kind & REPLY != 0 {
        return Rejection::new(Code::UnknownKind, "a client sends requests, this is a reply");
    }
    Rejection::new(Code::UnknownKind, "the kind of frame is unknown")
}
