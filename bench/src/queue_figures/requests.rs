//! The bytes that a client would send: batches of messages, and the acknowledgement of one.

use ringway_protocol::request::{Range, Ranges, encode_settle};
use ringway_protocol::{
    Attribute, Frame, Kind, LeaseId, QueueId, QueueOptions, Records, Request, Split, frame, record,
};

use ringway_shards::limits::PRODUCER_BATCHES_MAX;

use super::PAYLOAD_BYTES;

/// Keys in use, as many as the target over TCP names.
const KEYS: u32 = 10_000;
/// Groups that take every message.
const GROUPS: u32 = 4;
/// How long a queue remembers what was put: longer than anything here takes on the store's clock.
const DEDUP_MS: u32 = 600_000;
/// Ids that a queue remembers, and how many there are before they come again: an id that comes
/// again is forgotten by then.
const IDS_REMEMBERED: u32 = 1 << 17;
const IDS: u32 = IDS_REMEMBERED + (IDS_REMEMBERED >> 3);

/// What is asked of the queue beyond put, take and acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Nothing.
    Plain,
    /// Messages have 10,000 keys in turn.
    Keys,
    /// Four groups take and acknowledge each message.
    Groups,
    /// A producer numbers its batches, and the queue remembers them.
    Producer,
    /// Each message has an id of its own, and the queue remembers 131,072 of them.
    Ids,
}

impl Work {
    /// Groups that take each message.
    pub(super) fn groups(self) -> u32 {
        if self == Self::Groups { GROUPS } else { 1 }
    }

    /// What the row calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "nothing more",
            Self::Keys => "10,000 keys",
            Self::Groups => "4 groups",
            Self::Producer => "a producer's numbers",
            Self::Ids => "deduplication ids",
        }
    }

    /// The options that the queue is declared with.
    pub(super) fn options(self) -> QueueOptions {
        let (dedup_ms, dedup_max) = match self {
            Self::Producer | Self::Ids => (DEDUP_MS, IDS_REMEMBERED),
            Self::Plain | Self::Keys | Self::Groups => (0, 0),
        };
        QueueOptions { dedup_ms, dedup_max, ..QueueOptions::default() }
    }

    /// How many messages differ from each other.
    fn distinct(self) -> u32 {
        match self {
            Self::Plain | Self::Groups | Self::Producer => 1,
            Self::Keys => KEYS,
            Self::Ids => IDS,
        }
    }

    fn write(self, number: u32, out: &mut Vec<u8>) {
        let payload = [number as u8; PAYLOAD_BYTES];
        match self {
            Self::Plain | Self::Groups | Self::Producer => record::write(out, &[], &payload),
            Self::Keys => {
                let key = (number % KEYS).to_le_bytes();
                record::write(out, &[Attribute::Key(&key)], &payload);
            }
            Self::Ids => {
                let id = u128::from(number).to_le_bytes();
                record::write(out, &[Attribute::DeduplicationId(&id)], &payload);
            }
        }
    }
}

/// The bytes that a client would send.
#[derive(Debug)]
pub struct Requests {
    pub(super) work: Work,
    pub(super) count: u32,
    batches: Vec<Vec<u8>>,
    settle: Vec<u8>,
}

impl Requests {
    /// Requests of `count` messages.
    pub fn new(count: u32, work: Work) -> Self {
        let batch = |turn: u32| {
            let mut records = Vec::new();
            (0..count).for_each(|index| work.write(turn * count + index, &mut records));
            records
        };
        let batches = (0..work.distinct().div_ceil(count)).map(batch).collect();
        let mut settle = Vec::new();
        let all = [Range { first: 0, count }];
        let nobody = (QueueId::new(1, 0, 0), LeaseId::new(1, 0, 0));
        encode_settle(Kind::Ack, nobody, &all, (0, 0), &mut settle);
        Self { work, count, batches, settle }
    }

    /// Batches that have to lie in the queue for every key to be in use.
    pub fn backlog(&self) -> usize {
        if self.work == Work::Keys { self.batches.len() } else { 0 }
    }

    /// Operations after which the queue remembers as much as it may.
    pub fn warm_up(&self) -> u64 {
        match self.work {
            Work::Plain | Work::Groups => 0,
            Work::Keys | Work::Ids => 2 * self.batches.len() as u64,
            Work::Producer => 2 * PRODUCER_BATCHES_MAX as u64,
        }
    }

    /// The batches, in the order in which they are put, again and again.
    pub(super) fn batches(&self) -> Vec<Records<'_>> {
        let parsed = |bytes| Records::parse(bytes, self.count).expect("valid records");
        self.batches.iter().map(|bytes| parsed(bytes)).collect()
    }

    /// All messages of a lease.
    pub(crate) fn ranges(&self) -> Ranges<'_> {
        match frame::split(&self.settle, self.settle.len()) {
            Ok(Split::Frame(frame @ Frame { .. })) => match Request::decode(frame) {
                Ok(Request::Ack(settle)) => settle.ranges,
                other => unreachable!("an acknowledgement was encoded, not {other:?}"),
            },
            other => unreachable!("a whole frame was encoded, not {other:?}"),
        }
    }
}
