//! A page of the plane's queues.

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Header, Kind};
use crate::id::QueueId;
use crate::limits::LIST_ENTRIES_MAX;
use crate::name::QueueName;
use crate::request::queue_id;

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
    /// Appends this entry. The name must be a valid one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.queue.0, self.ready, self.leased] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::try_from(self.name.len()).expect("a valid name has at most 255 bytes"));
        out.extend_from_slice(self.name.as_bytes());
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (queue, ready, leased) = (queue_id(reader)?, reader.u64()?, reader.u64()?);
        let length = usize::from(reader.u8()?);
        Ok(Self { queue, ready, leased, name: QueueName::check(reader.bytes(length)?)? })
    }
}

/// Reads where the next page starts, and the entries of this one.
pub(crate) fn decode<'a>(reader: &mut Reader<'a>) -> Result<(u64, Vec<ListEntry<'a>>), Rejection> {
    let (next_cursor, count) = (reader.u64()?, reader.u32()?);
    if count > LIST_ENTRIES_MAX {
        return Err(Rejection::malformed("a page has at most 1,024 entries"));
    }
    // Grows entry by entry: a count that the bytes do not bear out allocates nothing for it.
    let entries = (0..count).map(|_| ListEntry::decode(reader));
    Ok((next_cursor, entries.collect::<Result<_, _>>()?))
}

/// Appends the reply to a list: where the next page starts (0 after the last), then the entries.
pub fn page<'a>(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    next_cursor: u64,
    entries: impl ExactSizeIterator<Item = ListEntry<'a>>,
) {
    frame::write(out, Header::reply(Kind::List, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&next_cursor.to_le_bytes());
        out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        entries.for_each(|entry| entry.encode(out));
    });
}
