//! Bindings of queues to patterns, and what is published under a name.
//!
//! ```text
//!  binding  | queue u64 | pattern_length u8 | pattern |
//!  publish  | name_length u8 | 0 0 0 | count u32 | name | records ... |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Level, Rejection};
use crate::frame::{self, Header, Kind};
use crate::id::QueueId;
use crate::limits::LIST_ENTRIES_MAX;
use crate::name::QueueName;
use crate::pattern::Pattern;
use crate::record::Records;
use crate::request::queue_id;

/// A queue and a pattern of names whose messages it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding<'a> {
    /// The queue.
    pub queue: QueueId,
    /// The pattern.
    pub pattern: Pattern<'a>,
}

impl<'a> Binding<'a> {
    /// Reads the body of a bind or an unbind.
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        Ok(Self { queue: queue_id(reader)?, pattern: Pattern::check(reader.rest())? })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        out.extend_from_slice(self.pattern.as_str().as_bytes());
    }

    fn decode_entry(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (queue, length) = (queue_id(reader)?, usize::from(reader.u8()?));
        Ok(Self { queue, pattern: Pattern::check(reader.bytes(length)?)? })
    }
}

/// A page of bindings, still in the frame that it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BindingsPage<'a> {
    /// Where the next page starts; 0 after the last.
    pub next_cursor: u64,
    count: u32,
    bytes: &'a [u8],
}

impl<'a> BindingsPage<'a> {
    /// The bindings one by one.
    pub fn iter(&self) -> impl Iterator<Item = Binding<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| Binding::decode_entry(&mut reader).ok())
    }

    /// How many they are; 0 to 1,024.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (next_cursor, count) = (reader.u64()?, reader.u32()?);
        if count > LIST_ENTRIES_MAX {
            return Err(Rejection::malformed("a page has at most 1,024 bindings"));
        }
        let bytes = reader.rest();
        let mut entries = Reader::new(bytes);
        for _ in 0..count {
            Binding::decode_entry(&mut entries)?;
        }
        entries.end()?;
        Ok(Self { next_cursor, count, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.next_cursor.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(self.bytes);
    }
}

/// Appends the reply to bindings: where the next page starts (0 after the last), then the entries.
pub fn bindings<'a>(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    next_cursor: u64,
    entries: impl ExactSizeIterator<Item = Binding<'a>>,
) {
    frame::write(out, Header::reply(Kind::Bindings, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&next_cursor.to_le_bytes());
        out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
        for Binding { queue, pattern } in entries {
            let pattern = pattern.as_str();
            out.extend_from_slice(&queue.0.to_le_bytes());
            out.push(u8::try_from(pattern.len()).expect("a pattern has at most 255 bytes"));
            out.extend_from_slice(pattern.as_bytes());
        }
    });
}

/// A batch for every queue with a binding that matches a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Publish<'a> {
    /// The name; a queue of that name need not exist.
    pub name: &'a str,
    /// The messages.
    pub records: Records<'a>,
}

impl<'a> Publish<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let name_length = usize::from(reader.u8()?);
        reader.reserved(3)?;
        let count = reader.u32()?;
        let name = QueueName::check(reader.bytes(name_length)?)?;
        let records = Records::parse(reader.rest(), count)?;
        records.check_put()?;
        Ok(Self { name, records })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        publish_prefix(out, self.name, self.records.count());
        out.extend_from_slice(self.records.as_bytes());
    }
}

/// Appends what stands before the records of a publish, for writers that append records themselves.
pub fn publish_prefix(out: &mut Vec<u8>, name: &str, count: u32) {
    // A length that does not fit is written as 0, which every server refuses.
    out.extend_from_slice(&[u8::try_from(name.len()).unwrap_or(0), 0, 0, 0]);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
}

/// What became of a publish, in queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Published {
    /// Queues with a binding that matched.
    pub matched: u32,
    /// Of these, queues that hold the batch now.
    pub stored: u32,
    /// Of these, queues that refused it.
    pub refused: u32,
    /// What this acknowledgement means, for the queues that hold the batch.
    pub level: Level,
}

impl Published {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let (matched, stored, refused) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let level = Level::from_number(reader.u8()?);
        reader.reserved(3)?;
        let level = level.ok_or(Rejection::malformed("an unknown level"))?;
        if u64::from(stored) + u64::from(refused) != u64::from(matched) {
            return Err(Rejection::malformed("the queues of a publish do not add up"));
        }
        Ok(Self { matched, stored, refused, level })
    }
}

/// Appends the reply to a publish.
pub fn published(out: &mut Vec<u8>, (stream, request): (u32, u32), published: Published) {
    let Published { matched, stored, refused, level } = published;
    frame::write(out, Header::reply(Kind::Publish, Code::Ok, stream, request), |out| {
        for number in [matched, stored, refused, level as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    });
}
