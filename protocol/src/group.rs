//! Groups of consumers: made, changed, removed and listed.
//!
//! ```text
//!  group   | queue u64 | op u8 | start u8 | flags u8 | name_length u8 | 0 u32 | value u64 | name |
//!  groups  | count u32 | columns u32 | entries ... |
//!  entry   | group u32 | flags u8 | name_length u8 | 0 u16 | columns x u64 | name |
//! ```

use crate::bytes::Reader;
use crate::code::{Code, Rejection};
use crate::frame::{self, Header, Kind};
use crate::id::{GroupId, QueueId};
use crate::limits::GROUPS_PER_QUEUE_MAX;
use crate::name::QueueName;
use crate::request::queue_id;

/// The name of the group that is made with its queue.
pub const DEFAULT_GROUP_NAME: &str = "default";

/// Where a group starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Start {
    /// With the oldest message that the queue still has.
    Earliest,
    /// With the first message put from now on.
    Latest,
    /// With the first message of this sequence or a later one.
    Sequence(u64),
    /// With the first message put at this time or later, in milliseconds since 1970.
    TimeMs(u64),
}

/// What a group does with its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct GroupFlags {
    /// It gets nothing until it is resumed.
    pub paused: bool,
    /// One consumer at a time gets its messages.
    pub single_active: bool,
}

impl GroupFlags {
    /// The flags as a number: bit 0 paused, bit 1 single active.
    pub fn bits(self) -> u8 {
        u8::from(self.paused) | u8::from(self.single_active) << 1
    }

    fn from_bits(bits: u8) -> Result<Self, Rejection> {
        if bits > 3 {
            return Err(Rejection::malformed("a group has an unknown flag"));
        }
        Ok(Self { paused: bits & 1 != 0, single_active: bits & 2 != 0 })
    }
}

/// What is done to a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum GroupOperation {
    /// It is made, or found with the same flags.
    Create {
        /// Where it starts if it is made.
        start: Start,
        /// Its flags.
        flags: GroupFlags,
    },
    /// Its flags are set.
    Alter {
        /// Its flags from now on.
        flags: GroupFlags,
    },
    /// It is removed; what only it still needed goes.
    Delete,
}

/// Makes, changes or removes a group of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeGroup<'a> {
    /// The queue.
    pub queue: QueueId,
    /// The group's name: one that a queue could have.
    pub name: &'a str,
    /// What is done to it.
    pub operation: GroupOperation,
}

impl<'a> ChangeGroup<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let queue = queue_id(reader)?;
        let (operation, start, flags) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let name_length = usize::from(reader.u8()?);
        reader.reserved(4)?;
        let value = reader.u64()?;
        let flags = GroupFlags::from_bits(flags)?;
        let starts_at_a_value = operation == 1 && start >= 2;
        if value != 0 && !starts_at_a_value
            || start != 0 && operation != 1
            || flags.bits() != 0 && operation == 3
        {
            return Err(Rejection::malformed("a field that this request does not use is not zero"));
        }
        let start = match start {
            0 => Start::Earliest,
            1 => Start::Latest,
            2 => Start::Sequence(value),
            3 => Start::TimeMs(value),
            _ => return Err(Rejection::malformed("an unknown start of a group")),
        };
        let operation = match operation {
            1 => GroupOperation::Create { start, flags },
            2 => GroupOperation::Alter { flags },
            3 => GroupOperation::Delete,
            _ => return Err(Rejection::malformed("a group is made, changed or removed: 1, 2, 3")),
        };
        let name = QueueName::check(reader.bytes(name_length)?)
            .map_err(|_| Rejection::new(Code::InvalidName, "a group is named as queues are"))?;
        Ok(Self { queue, name, operation })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let (operation, start, flags) = match self.operation {
            GroupOperation::Create { start, flags } => (1, start, flags),
            GroupOperation::Alter { flags } => (2, Start::Earliest, flags),
            GroupOperation::Delete => (3, Start::Earliest, GroupFlags::default()),
        };
        let (start, value) = match start {
            Start::Earliest => (0, 0),
            Start::Latest => (1, 0),
            Start::Sequence(sequence) => (2, sequence),
            Start::TimeMs(time) => (3, time),
        };
        // A length that does not fit is written as 0, which every server refuses.
        let name_length = u8::try_from(self.name.len()).unwrap_or(0);
        out.extend_from_slice(&self.queue.0.to_le_bytes());
        out.extend_from_slice(&[operation, start, flags.bits(), name_length, 0, 0, 0, 0]);
        out.extend_from_slice(&value.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }
}

/// A group in a listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupEntry<'a> {
    /// Its number.
    pub group: GroupId,
    /// What it does with its messages.
    pub flags: GroupFlags,
    /// Its name.
    pub name: &'a str,
    figures: &'a [[u8; 8]],
}

impl<'a> GroupEntry<'a> {
    /// The figures in the order of [`GROUP_COLUMNS`](crate::reply::GROUP_COLUMNS); later versions
    /// add columns at the end.
    pub fn figures(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.figures.iter().map(|number| u64::from_le_bytes(*number))
    }

    fn decode(columns: usize, reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (group, flags) = (GroupId(reader.u32()?), GroupFlags::from_bits(reader.u8()?)?);
        let name_length = usize::from(reader.u8()?);
        reader.reserved(2)?;
        let (figures, _) = reader.bytes(columns.saturating_mul(8))?.as_chunks::<8>();
        let name = QueueName::check(reader.bytes(name_length)?)?;
        Ok(Self { group, flags, name, figures })
    }
}

/// The groups of a queue, still in the frame that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups<'a> {
    count: u32,
    columns: u32,
    bytes: &'a [u8],
}

impl<'a> Groups<'a> {
    /// The groups one by one.
    pub fn iter(&self) -> impl Iterator<Item = GroupEntry<'a>> + use<'a> {
        let (mut reader, columns) = (Reader::new(self.bytes), self.columns as usize);
        (0..self.count).map_while(move |_| GroupEntry::decode(columns, &mut reader).ok())
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn decode(reader: &mut Reader<'a>) -> Result<Self, Rejection> {
        let (count, columns) = (reader.u32()?, reader.u32()?);
        if count == 0 || count > GROUPS_PER_QUEUE_MAX {
            return Err(Rejection::malformed("a queue has 1 to 1,024 groups"));
        }
        let bytes = reader.rest();
        let mut entries = Reader::new(bytes);
        for _ in 0..count {
            GroupEntry::decode(columns as usize, &mut entries)?;
        }
        entries.end()?;
        Ok(Self { count, columns, bytes })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.columns.to_le_bytes());
        out.extend_from_slice(self.bytes);
    }
}

/// Appends an entry of a listing of groups, in the order of
/// [`GROUP_COLUMNS`](crate::reply::GROUP_COLUMNS). The name must be a valid one.
pub fn group_entry(
    out: &mut Vec<u8>,
    (group, flags): (GroupId, GroupFlags),
    name: &str,
    figures: &[u64],
) {
    let name_length = u8::try_from(name.len()).expect("a valid name has at most 255 bytes");
    out.extend_from_slice(&group.0.to_le_bytes());
    out.extend_from_slice(&[flags.bits(), name_length, 0, 0]);
    figures.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    out.extend_from_slice(name.as_bytes());
}

/// Appends the reply to groups: `entries` appends as many as `count` says, each with
/// [`group_entry`] and `columns` figures.
pub fn groups(
    out: &mut Vec<u8>,
    (stream, request): (u32, u32),
    (count, columns): (usize, usize),
    entries: impl FnOnce(&mut Vec<u8>),
) {
    frame::write(out, Header::reply(Kind::Groups, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&(count as u32).to_le_bytes());
        out.extend_from_slice(&(columns as u32).to_le_bytes());
        entries(out);
    });
}

/// Appends the reply to the change of a group.
pub fn group(out: &mut Vec<u8>, (stream, request): (u32, u32), group: GroupId, changed: bool) {
    frame::write(out, Header::reply(Kind::Group, Code::Ok, stream, request), |out| {
        out.extend_from_slice(&group.0.to_le_bytes());
        out.extend_from_slice(&[u8::from(changed), 0, 0, 0]);
    });
}
