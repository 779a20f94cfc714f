//! Looking at messages without taking them, and removing some by their sequences.
//!
//! ```text
//!  browse  | queue u64 | group u32 | state u8 | 0 0 0 | cursor u64 | limit u32 | bytes_max u32 |
//!  page    | next_cursor u64 | count u32 | 0 u32 | entries ... |
//!  entry   | sequence u64 | put_ms u64 | due_ms u64 | deliveries u32 | state u8 | 0 0 0 | record |
//!  remove  | queue u64 | count u32 | 0 u32 | count x sequence u64 |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Header, Kind};
use crate::id::{GroupId, QueueId};
use crate::limits::{BROWSE_MESSAGES_MAX, REMOVE_SEQUENCES_MAX};
use crate::record::{Record, Records, record_length};
use crate::request::queue_id;

/// What stands before the record of an entry.
const ENTRY_BYTES: usize = 32;

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum MessageState {
    /// A take would get it now.
    Ready = 1,
    /// Somebody holds it under a lease.
    Leased = 2,
    /// Put for later; it belongs to no group yet.
    Scheduled = 3,
    /// Another message of its key is ahead of it or in flight.
    Blocked = 4,
    /// Given back, and not due again yet.
    Delayed = 5,
}

impl MessageState {
    /// Every state, in the order of its number.
    pub const ALL: [MessageState; 5] = [
        MessageState::Ready,
        MessageState::Leased,
        MessageState::Scheduled,
        MessageState::Blocked,
        MessageState::Delayed,
    ];

    fn from_number(number: u8) -> Result<Self, Rejection> {
        let state = Self::ALL.get(usize::from(number).wrapping_sub(1)).copied();
        state.ok_or(Rejection::malformed("the state of a message is 1 to 5"))
    }

    /// The word used on the command line: `ready`, `leased`, `scheduled`, `blocked`, `delayed`.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageState::Ready => "ready",
            MessageState::Leased => "leased",
            MessageState::Scheduled => "scheduled",
            MessageState::Blocked => "blocked",
            MessageState::Delayed => "delayed",
        }
    }
}

/// Asks for a page of a group's messages in one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Browse {
    /// The queue.
    pub queue: QueueId,
    /// The group; scheduled messages belong to none and are the same for all.
    pub group: GroupId,
    /// The state.
    pub state: MessageState,
    /// 0 for the first page, then what the last page returned.
    pub cursor: u64,
    /// Most messages; 1 to 1,024.
    pub limit: u32,
    /// Most bytes of records; 0 for 256 KiB. One message is shown whatever its size.
    pub bytes_max: u32,
}

impl Browse {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let (queue, group) = (queue_id(reader)?, GroupId(reader.u32()?));
        let state = MessageState::from_number(reader.u8()?)?;
        reader.reserved(3)?;
        let (cursor, limit, bytes_max) = (reader.u64()?, reader.u32()?, reader.u32()?);
        if limit == 0 || limit > BROWSE_MESSAGES_MAX {
            return Err(Rejection::new(Code::InvalidOption, "a browse shows 1 to 1,024 messages"));
        }
        Ok(Self { queue, group, state, cursor, limit, bytes_max })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        out.extend_from_slice(&self.group.0.to_le_bytes());
        out.extend_from_slice(&[self.state as u8, 0, 0, 0]);
        out.extend_from_slice(&self.cursor.to_le_bytes());
        out.extend_from_slice(&self.limit.to_le_bytes());
        out.extend_from_slice(&self.bytes_max.to_le_bytes());
    }
}

/// What is known of a message that is shown, beside its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its sequence.
    pub sequence: u64,
    /// When it was put, in milliseconds since 1970.
    pub put_ms: u64,
    /// When it is due or its lease ends, in milliseconds since 1970; 0 for neither.
    pub due_ms: u64,
    /// How often it has been delivered to this group.
    pub deliveries: u32,
    /// Where it stands.
    pub state: MessageState,
}

/// A message that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrowseEntry<'a> {
    /// What is known of it.
    pub standing: Standing,
    /// The message.
    pub record: Record<'a>,
}

impl<'a> BrowseEntry<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let mut fields = reader.part(ENTRY_BYTES)?;
        let (sequence, put_ms, due_ms) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (deliveries, state) = (fields.u32()?, MessageState::from_number(fields.u8()?)?);
        fields.reserved(3)?;
        let mut ahead = *reader;
        let length = record_length(ahead.u32()?);
        let records = Records::parse(reader.bytes(length)?, 1)?;
        let record = records.iter().next().expect("one record was parsed");
        let standing = Standing { sequence, put_ms, due_ms, deliveries, state };
        Ok(Self { standing, record })
    }
}

/// A page of messages, still in the frame that it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BrowsePage<'a> {
    /// Where the next page starts; 0 after the last.
    pub next_cursor: u64,
    count: u32,
    bytes: &'a [u8],
}

impl<'a> BrowsePage<'a> {
    /// The messages one by one.
    pub fn iter(&self) -> impl Iterator<Item = BrowseEntry<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        (0..self.count).map_while(move |_| BrowseEntry::decode(&mut reader).ok())
    }

    /// How many they are; 0 to 1,024.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (next_cursor, count) = (reader.u64()?, reader.u32()?);
        reader.reserved(4)?;
        if count > BROWSE_MESSAGES_MAX {
            return Err(Rejection::malformed("a page shows at most 1,024 messages"));
        }
        let bytes = reader.rest();
        let mut entries = Reader::new(bytes);
        for _ in 0..count {
            BrowseEntry::decode(&mut entries)?;
        }
        entries.end()?;
        Ok(Self { next_cursor, count, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        page_prefix(out, self.next_cursor, self.count);
        out.extend_from_slice(self.bytes);
    }
}

fn page_prefix(out: &mut Vec<u8>, next_cursor: u64, count: u32) {
    out.extend_from_slice(&next_cursor.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
}

/// Appends an entry of a page; `record` is one whole record.
pub fn browse_entry(out: &mut Vec<u8>, standing: &Standing, record: &[u8]) {
    for number in [standing.sequence, standing.put_ms, standing.due_ms] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&standing.deliveries.to_le_bytes());
    out.extend_from_slice(&[standing.state as u8, 0, 0, 0]);
    out.extend_from_slice(record);
}

/// Appends the reply to a browse. `entries` appends messages with [`browse_entry`], and returns
/// where the next page starts and how many messages it appended.
pub fn browse_page(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    entries: impl FnOnce(&mut Vec<u8>) -> (u64, u32),
) {
    frame::write(out, Header::reply(Kind::Browse, Code::Ok, stream, request), |out| {
        let start = out.len();
        page_prefix(out, 0, 0);
        let (next_cursor, count) = entries(out);
        out[start..start + 8].copy_from_slice(&next_cursor.to_le_bytes());
        out[start + 8..start + 12].copy_from_slice(&count.to_le_bytes());
    });
}

/// One or more sequences, still in the frame that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequences<'a> {
    sequences: &'a [[u8; 8]],
}

impl<'a> Sequences<'a> {
    /// The sequences in the order in which they were named.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.sequences.iter().map(|sequence| u64::from_le_bytes(*sequence))
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let count = reader.u32()?;
        reader.reserved(4)?;
        if count == 0 || count > REMOVE_SEQUENCES_MAX {
            return Err(Rejection::new(Code::InvalidOption, "a remove names 1 to 1,024 messages"));
        }
        let (sequences, _) = reader.bytes(count as usize * 8)?.as_chunks::<8>();
        Ok(Self { sequences })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.sequences.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(self.sequences.as_flattened());
    }
}

/// Appends the removal of some messages, 1 to 1,024, as one frame.
pub fn encode_remove(
    queue: QueueId,
    sequences: &[u64],
    (stream, request): (u32, u32),
    out: &mut Vec<u8>,
) {
    frame::write(out, Header::request(Kind::Remove, stream, request), |out| {
        out.extend_from_slice(&queue.0.to_le_bytes());
        out.extend_from_slice(&(sequences.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        sequences.iter().for_each(|sequence| out.extend_from_slice(&sequence.to_le_bytes()));
    });
}

/// What became of a removal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removal {
    /// Messages that are gone now.
    pub removed: u32,
    /// Messages that were unknown, gone before, or leased by somebody.
    pub missing: u32,
}
