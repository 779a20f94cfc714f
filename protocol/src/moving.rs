//! Messages from queue to queue: moved as they are, or replaced by their results.
//!
//! ```text
//!  move      | from u64 | to u64 | group u32 | limit u32 | redrive u8 | name_length u8 |
//!            | value_length u16 | name | value |
//!  transfer  | settle_length u32 | 0 u32 | an ack's body | a put's body |
//! ```

use crate::bytes::{Reader, text};
use crate::code::{Code, Rejection};
use crate::frame::{self, Header, Kind};
use crate::id::{GroupId, LeaseId, QueueId};
use crate::limits::{ATTRIBUTE_VALUE_BYTES_MAX, MOVE_MESSAGES_MAX};
use crate::put::{Put, Receipt};
use crate::request::queue_id;
use crate::settle::{BACK_OFF, Range, Settle, Settlement, settle_body};

/// Lets those messages through that carry a header of this name with this value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderFilter<'a> {
    /// The header's name: 1 to 255 bytes.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

/// Moves messages of a group that are ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move<'a> {
    /// The queue that loses them.
    pub from: QueueId,
    /// The queue that gets them; `None` for the one that each names in its header `ringway-queue`.
    pub to: Option<QueueId>,
    /// The group of `from` whose messages are moved.
    pub group: GroupId,
    /// Most messages; 1 to 1,024.
    pub limit: u32,
    /// Whether the headers of dead letters are taken off.
    pub redrive: bool,
    /// Which messages; `None` for all.
    pub filter: Option<HeaderFilter<'a>>,
}

impl<'a> Move<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (from, to) = (queue_id(reader)?, reader.u64()?);
        let (group, limit, redrive) = (GroupId(reader.u32()?), reader.u32()?, reader.u8()?);
        let (name, value) = (usize::from(reader.u8()?), usize::from(reader.u16()?));
        if redrive > 1 {
            return Err(Rejection::malformed("headers are taken off (1) or stay (0)"));
        }
        if limit == 0 || limit > MOVE_MESSAGES_MAX {
            return Err(Rejection::new(Code::InvalidOption, "a move has 1 to 1,024 messages"));
        }
        if from.0 == to {
            return Err(Rejection::new(Code::InvalidOption, "a queue is not moved to itself"));
        }
        if 1 + name + value > ATTRIBUTE_VALUE_BYTES_MAX || name == 0 && value > 0 {
            return Err(Rejection::malformed("no header has such a name and value"));
        }
        let (name, value) = (text(reader.bytes(name)?)?, reader.bytes(value)?);
        let filter = (!name.is_empty()).then_some(HeaderFilter { name, value });
        let to = (to != 0).then_some(QueueId(to));
        Ok(Self { from, to, group, limit, redrive: redrive == 1, filter })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let HeaderFilter { name, value } =
            self.filter.unwrap_or(HeaderFilter { name: "", value: &[] });
        out.extend_from_slice(&self.from.0.to_le_bytes());
        out.extend_from_slice(&self.to.map_or(0, |to| to.0).to_le_bytes());
        out.extend_from_slice(&self.group.0.to_le_bytes());
        out.extend_from_slice(&self.limit.to_le_bytes());
        // A length that does not fit is written as one that every server refuses.
        out.push(u8::from(self.redrive));
        out.push(u8::try_from(name.len()).unwrap_or(0));
        out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value);
    }
}

/// What became of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// Messages that are in their new queue now.
    pub moved: u32,
    /// Messages that stayed: their new queue refused them or does not exist.
    pub refused: u32,
    /// Whether another request may find more.
    pub more: bool,
}

impl Moved {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let (moved, refused, more) = (reader.u32()?, reader.u32()?, reader.u8()?);
        reader.reserved(7)?;
        if more > 1 {
            return Err(Rejection::malformed("there may be more to move (1) or not (0)"));
        }
        Ok(Self { moved, refused, more: more == 1 })
    }
}

/// Appends the reply to a move.
pub fn moved(out: &mut Vec<u8>, (stream, request): (u32, u32), moved: Moved) {
    frame::write(out, Header::reply(Kind::Move, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&moved.moved.to_le_bytes());
        out.extend_from_slice(&moved.refused.to_le_bytes());
        out.extend_from_slice(&[u8::from(moved.more), 0, 0, 0, 0, 0, 0, 0]);
    });
}

/// Acknowledges messages and puts their results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer<'a> {
    /// What is acknowledged.
    pub settle: Settle<'a>,
    /// What is put.
    pub put: Put<'a>,
}

impl<'a> Transfer<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let length = reader.u32()? as usize;
        reader.reserved(4)?;
        let mut body = reader.part(length)?;
        let settle = Settle::decode(Kind::Ack, &mut body)?;
        body.end()?;
        Ok(Self { settle, put: Put::decode(Reader::new(reader.rest()))? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        with_length(out, |out| self.settle.encode(out));
        self.put.encode(out);
    }
}

/// Appends a length, four zeros, and what `body` appends.
fn with_length(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    body(out);
    let length = (out.len() - start - 8) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends the acknowledgement of some ranges together with a put as one frame.
pub fn encode_transfer(
    lease: (QueueId, LeaseId),
    ranges: &[Range],
    put: &Put<'_>,
    (stream, request): (u32, u32),
    out: &mut Vec<u8>,
) {
    frame::write(out, Header::request(Kind::Transfer, stream, request), |out| {
        with_length(out, |out| settle_body(out, lease, ranges, BACK_OFF));
        put.encode(out);
    });
}

/// Reads the reply to a transfer.
pub(crate) fn decode_transferred<'a>(
    reader: &mut Reader<'a>,
) -> Result<(Settlement, Receipt<'a>), Rejection> {
    let (settled, stale, unknown) = (reader.u32()?, reader.u32()?, reader.u32()?);
    reader.reserved(4)?;
    Ok((Settlement { settled, stale, unknown }, Receipt::decode(reader)?))
}

/// Appends the reply to a transfer.
pub fn transferred(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    settlement: Settlement,
    receipt: &Receipt<'_>,
) {
    let Settlement { settled, stale, unknown } = settlement;
    frame::write(out, Header::reply(Kind::Transfer, Code::Ok, stream, request), |out| {
        for number in [settled, stale, unknown, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        receipt.encode(out);
    });
}
