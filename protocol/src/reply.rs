//! What the server answers.

use crate::bytes::{Reader, text};
use crate::code::{Code, Level, Rejection};
use crate::frame::{self, Frame, HEADER_BYTES, Header, Kind, REPLY};
use crate::greeting::Welcome;
use crate::id::QueueId;
use crate::listing;
use crate::request::queue_id;

pub use crate::figures::{Figures, QUEUE_COLUMNS, SHARD_COLUMNS, figures};
pub use crate::listing::{ListEntry, page};
pub use crate::settle::{RangeVerdict, Settlement, Verdict, Verdicts, settled};
pub use crate::take::{DELIVERY_BYTES, Delivery, RUN_BYTES, Run, delivery_prefix};

/// The body of the reply to a put.
const PUT_BYTES: usize = 16;

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
        frame::check_flags(frame.header)?;
        if code != 0 {
            let code = Code::from_number(code);
            let code = code.ok_or(Rejection::malformed("the code of a reply is unknown"))?;
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
                let (settlement, verdicts) = Settlement::decode(reader)?;
                Reply::Settled(settlement, verdicts)
            }
            Kind::Greet => Reply::Welcome(Welcome::decode(reader.rest())?),
            Kind::Declare => {
                let (queue, created) = (queue_id(reader)?, reader.u8()?);
                reader.reserved(7)?;
                if created > 1 {
                    return Err(Rejection::malformed("a queue was created (1) or was there (0)"));
                }
                Reply::Declared { queue, created: created == 1 }
            }
            Kind::Open => Reply::Opened { queue: queue_id(reader)? },
            Kind::Stat => Reply::Figures(Figures::decode(reader)?),
            Kind::List => {
                let (next_cursor, entries) = listing::decode(reader)?;
                Reply::Page { next_cursor, entries }
            }
            Kind::Purge | Kind::Delete => Reply::Removed(reader.u64()?),
            Kind::Ping => Reply::Pong,
            Kind::Echo => Reply::Echo(reader.rest()),
            Kind::Goodbye => return Err(Rejection::malformed("a goodbye without a reason")),
        })
    }

    /// Appends this reply to a request of `kind` as one frame. The server's hot paths use the
    /// writers below instead; this is for programs that stand in for one.
    pub fn encode(&self, kind: Kind, (stream, request): (u32, u32), out: &mut Vec<u8>) {
        let ids = (stream, request);
        let body = |out: &mut Vec<u8>, append: &dyn Fn(&mut Vec<u8>)| {
            frame::write(out, Header::reply(kind, Code::Ok, stream, request), append);
        };
        match self {
            Reply::Welcome(welcome) => body(out, &|out| welcome.encode(out)),
            Reply::Declared { queue, created } => declared(out, ids, *queue, *created),
            Reply::Opened { queue } => number(out, kind, ids, queue.0),
            Reply::Put { first_sequence, count, level } => {
                put(out, ids, *first_sequence, *count, *level);
            }
            Reply::Delivery(delivery) => body(out, &|out| delivery.encode(out)),
            Reply::Settled(settlement, verdicts) => {
                settled(out, kind, ids, *settlement, &verdicts.iter().collect::<Vec<_>>());
            }
            Reply::Figures(figures) => body(out, &|out| figures.encode(out)),
            Reply::Page { next_cursor, entries } => {
                page(out, ids, *next_cursor, entries.iter().copied());
            }
            Reply::Removed(messages) => number(out, kind, ids, *messages),
            Reply::Pong => body(out, &|_| {}),
            Reply::Echo(echo) => body(out, &|out| out.extend_from_slice(echo)),
            Reply::Refused { code, sentence } => {
                frame::write(out, Header::reply(kind, *code, stream, request), |out| {
                    out.extend_from_slice(sentence.as_bytes());
                });
            }
        }
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
    header.length = PUT_BYTES as u32;
    let body = u128::from(first_sequence) | u128::from(count) << 64 | (level as u128) << 96;
    let mut frame = [0; HEADER_BYTES + PUT_BYTES];
    frame[..HEADER_BYTES].copy_from_slice(&header.encode());
    frame[HEADER_BYTES..].copy_from_slice(&body.to_le_bytes());
    out.extend_from_slice(&frame);
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
