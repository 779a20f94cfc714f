//! What shards ask each other beside what clients ask: frames of kinds that no client may send.
//!
//! ```text
//!  tell     | change u64 | number u64 | queue u64 | pattern or ids of parts ... |
//!           reply: empty
//!  scatter  | queues u32 | count u32 | queues x u64 | records ... |
//!           reply: | stored u32 | refused u32 | missing u32 | 0 u32 |
//!  give     | the body of a move |
//!           reply: | the body of a delivery | more u64 | base u64 |
//!  each     | queue u64 | count u32 | 0 u32 | records ... |
//!           reply: | stored (1) or refused (0) u8 for each record |
//!  put now  | the body of a put |
//!           reply: that of a put, which never waits for room
//!  part     | number u8 | 3 x 0 | length of traits u32 | options | traits ... | name ... |
//!           reply: | queue u64 | made u64 |
//!  letters  | queue u64 |
//!           reply: empty
//! ```

use super::spread::spread_of;
use crate::path::perform::{Asker, Performed, Performer};
use crate::world::Outgoing;
use ringway_protocol::bytes::{Reader, text};
use ringway_protocol::options::OPTIONS_BYTES;
use ringway_protocol::record::record_bytes;
use ringway_protocol::reply::Delivery;
use ringway_protocol::{
    Code, Frame, Header, Kind, QueueId, QueueOptions, Records, Rejection, Reply, SpreadOrder, frame,
};

/// A change of the tables that every shard keeps.
pub const TELL: u8 = 0x70;
/// Records for several queues of one shard.
pub const SCATTER: u8 = 0x71;

/// Messages of a queue of this shard, to be moved to another.
pub const GIVE: u8 = 0x72;

/// Records for one queue of this shard, each of which may be refused for itself.
pub const EACH: u8 = 0x74;

/// A part of a spread queue is declared.
pub const PART: u8 = 0x73;

/// A put that is refused where a client's would be held: what is held counts against its
/// connection and ends with it, and an errand does neither.
pub const PUT_NOW: u8 = 0x75;
/// A part has made dead letters for itself: its queue's own shard makes one queue of them all.
pub const LETTERS: u8 = 0x76;

/// A change of the tables that every shard keeps, as the shard that owns the queue tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change<'a> {
    /// A queue is bound to a pattern.
    Bind {
        /// The binding's place in listings.
        number: u64,
        /// The queue.
        queue: QueueId,
        /// The pattern.
        pattern: &'a str,
    },
    /// It no longer is.
    Unbind {
        /// The queue.
        queue: QueueId,
        /// The pattern.
        pattern: &'a str,
    },
    /// A queue is gone, with its bindings and its parts.
    Forget {
        /// The queue.
        queue: QueueId,
    },
    /// A queue is spread.
    Spread {
        /// What order it keeps.
        order: SpreadOrder,
        /// The ids of its parts, eight bytes each.
        parts: &'a [u8],
    },
}

impl<'a> Change<'a> {
    /// Appends the body of a [`TELL`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (change, number, queue, rest) = match *self {
            Change::Bind { number, queue, pattern } => (1, number, queue, pattern.as_bytes()),
            Change::Unbind { queue, pattern } => (2, 0, queue, pattern.as_bytes()),
            Change::Forget { queue } => (3, 0, queue, &[][..]),
            Change::Spread { order, parts } => (4, order as u64, QueueId(0), parts),
        };
        for word in [change, number, queue.0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(rest);
    }

    /// Reads what [`Change::encode`] wrote.
    fn decode(body: &'a [u8]) -> Result<Self, Rejection> {
        let mut reader = Reader::new(body);
        let (change, number, queue) = (reader.u64()?, reader.u64()?, QueueId(reader.u64()?));
        let rest = reader.rest();
        match change {
            1 => Ok(Change::Bind { number, queue, pattern: text(rest)? }),
            2 => Ok(Change::Unbind { queue, pattern: text(rest)? }),
            3 => Ok(Change::Forget { queue }),
            4 if number == 0 => Ok(Change::Spread { order: SpreadOrder::Relaxed, parts: rest }),
            4 => Ok(Change::Spread { order: SpreadOrder::PerKey, parts: rest }),
            _ => Err(Rejection::malformed("a shard tells of an unknown change")),
        }
    }

    /// Notes the change in this shard's tables.
    pub fn apply(&self, performer: &mut Performer) {
        match *self {
            Change::Bind { number, queue, pattern } => {
                performer.bindings.insert(number, queue, pattern);
            }
            Change::Unbind { queue, pattern } => {
                performer.bindings.remove(queue, pattern);
            }
            Change::Forget { queue } => {
                performer.bindings.forget(queue);
                performer.spreads.remove(queue);
            }
            Change::Spread { order, parts } => performer.spreads.insert(spread_of(order, parts)),
        }
    }
}

/// Appends the body of a [`SCATTER`].
pub fn scatter(out: &mut Vec<u8>, queues: &[QueueId], records: Records<'_>) {
    out.extend_from_slice(&(queues.len() as u32).to_le_bytes());
    out.extend_from_slice(&records.count().to_le_bytes());
    queues.iter().for_each(|queue| out.extend_from_slice(&queue.0.to_le_bytes()));
    out.extend_from_slice(records.as_bytes());
}

/// What became of records that were scattered, in queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scattered {
    /// Queues that hold them.
    pub stored: u32,
    /// Queues that refused them.
    pub refused: u32,
    /// Queues that are gone.
    pub missing: u32,
}

impl Scattered {
    /// Reads the reply to a [`SCATTER`].
    pub fn decode(body: &[u8]) -> Result<Self, Rejection> {
        let mut reader = Reader::new(body);
        Ok(Self { stored: reader.u32()?, refused: reader.u32()?, missing: reader.u32()? })
    }
}

/// Appends the body of a [`PART`]; the traits are those of another part.
pub fn part(out: &mut Vec<u8>, what: (u8, &QueueOptions, &[u8]), name: &str) {
    let (number, options, traits) = what;
    out.extend_from_slice(&[number, 0, 0, 0]);
    out.extend_from_slice(&(traits.len() as u32).to_le_bytes());
    options.encode(out);
    out.extend_from_slice(traits);
    out.extend_from_slice(name.as_bytes());
}

/// Declares a part of a spread queue on this shard, like the first one.
fn declare_part(
    performer: &mut Performer,
    asker: Asker,
    frame: Frame<'_>,
    out: &mut Outgoing,
) -> Result<Performed, Rejection> {
    let mut reader = Reader::new(frame.body);
    let number = reader.u8()?;
    reader.reserved(3)?;
    let traits_bytes = reader.u32()? as usize;
    let options = QueueOptions::decode(&mut reader.part(OPTIONS_BYTES)?)?;
    let traits = reader.bytes(traits_bytes)?;
    let name = text(reader.rest())?;
    let declared = performer.declare_part(name, None, number).and_then(|(queue, made)| {
        // One that is there and that nobody knows is dead letters of a part that needed them.
        // One that is known hears of every change itself, and may know more than this says.
        if made || performer.spreads.whole(queue).is_none() {
            performer.store.alter(queue, options, performer.now)?;
            performer.store.take_on_traits(queue, traits, performer.now)?;
        }
        Ok((queue, made))
    });
    match declared {
        Ok((queue, made)) => {
            answer(out, frame.header, |out| {
                let words = [queue.0, u64::from(made)];
                words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            });
            Ok(Performed::Answered)
        }
        Err(why) => Ok(performer.refuse(asker, Some(Kind::Declare), why, out)),
    }
}

/// Carries out what an errand of this or another shard asks of this one.
pub fn perform(
    performer: &mut Performer,
    asker: Asker,
    frame: Frame<'_>,
    out: &mut Outgoing,
) -> Performed {
    let done = match frame.header.kind {
        TELL => Change::decode(frame.body).map(|change| {
            change.apply(performer);
            answer(out, frame.header, |_| ());
        }),
        SCATTER => gather(performer, frame.body).map(|Scattered { stored, refused, missing }| {
            answer(out, frame.header, |out| {
                let counts = [stored, refused, missing, 0];
                counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
            });
        }),
        EACH => put_each(performer, frame.body).map(|stored| {
            answer(out, frame.header, |out| out.extend_from_slice(&stored));
        }),
        GIVE => return performer.give(asker, frame, out),
        PUT_NOW => return performer.put_now(asker, frame, out),
        PART => {
            return declare_part(performer, asker, frame, out).unwrap_or_else(Performed::Broken);
        }
        _ => return performer.perform(asker, frame, out),
    };
    done.map_or_else(Performed::Broken, |()| Performed::Answered)
}

/// Puts records into several queues of this shard; each of them stores all of them or none.
fn gather(performer: &mut Performer, body: &[u8]) -> Result<Scattered, Rejection> {
    let mut reader = Reader::new(body);
    let (queues, count) = (reader.u32()?, reader.u32()?);
    let mut queues = reader.part(queues as usize * 8)?;
    let records = Records::parse(reader.rest(), count)?;
    let mut scattered = Scattered::default();
    while !queues.is_empty() {
        match performer.enqueue(QueueId(queues.u64()?), records) {
            Ok(_) => scattered.stored += 1,
            Err(why) if why.code == Code::NoSuchQueue => scattered.missing += 1,
            Err(_) => scattered.refused += 1,
        }
    }
    performer.stats().requests.add(1);
    performer.stats().refused.add(u64::from(scattered.refused));
    Ok(scattered)
}

/// What a [`GIVE`] was answered.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The messages.
    pub delivery: Delivery<'a>,
    /// Whether there may be more of them.
    pub more: bool,
    /// The queue whose dead letters they are.
    pub base: Option<QueueId>,
}

/// Reads the reply to a [`GIVE`].
pub fn given(frame: Frame<'_>) -> Result<Given<'_>, Rejection> {
    let malformed = Rejection::malformed("a shard gives less than a delivery");
    let (rest, base) = frame.body.split_last_chunk::<8>().ok_or(malformed)?;
    let (body, more) = rest.split_last_chunk::<8>().ok_or(malformed)?;
    let (more, base) = (*more != [0; 8], QueueId(u64::from_le_bytes(*base)));
    let header = Header { kind: Kind::Take as u8 | frame::REPLY, ..frame.header };
    let header = Header { length: body.len() as u32, ..header };
    match Reply::decode(Frame { header, body })? {
        Reply::Delivery(delivery) => {
            Ok(Given { delivery, more, base: Some(base).filter(|base| base.0 != 0) })
        }
        _ => Err(malformed),
    }
}

/// Appends the body of an [`EACH`] before its records.
pub fn each(out: &mut Vec<u8>, queue: QueueId, records: Records<'_>) {
    out.extend_from_slice(&queue.0.to_le_bytes());
    out.extend_from_slice(&u64::from(records.count()).to_le_bytes());
    out.extend_from_slice(records.as_bytes());
}

/// Puts records one by one; says of each whether it is stored.
fn put_each(performer: &mut Performer, body: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut reader = Reader::new(body);
    let (queue, count) = (QueueId(reader.u64()?), reader.u64()?);
    let mut stored = Vec::new();
    for _ in 0..count {
        let mut rest = reader;
        let records = Records::parse(reader.bytes(record_bytes(rest.rest()))?, 1)?;
        stored.push(u8::from(performer.enqueue(queue, records).is_ok()));
    }
    performer.stats().requests.add(1);
    Ok(stored)
}

fn answer(out: &mut Outgoing, asked: Header, body: impl FnOnce(&mut Vec<u8>)) {
    let mut header = asked;
    header.kind |= frame::REPLY;
    frame::write(&mut out.bytes, header, body);
}
