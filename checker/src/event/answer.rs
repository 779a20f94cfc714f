//! What clients see.

use super::Traits;

/// What became of a stretch of a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The sequence of its first message.
    pub first_sequence: u64,
    /// How many.
    pub count: u32,
    /// What became of them.
    pub place: Place,
}

/// Where a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Stored at this sequence.
    Here,
    /// It had been stored at this sequence before.
    Before,
    /// It waits to be due, and gets another sequence then.
    Later,
}

/// A reply, as far as the checker cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To a put.
    Stored(Vec<Stretch>),
    /// To a publish, in queues.
    Published {
        /// Queues that are bound.
        matched: u32,
        /// Of these, queues that hold the messages.
        stored: u32,
    },
    /// To a take, and again and again to a subscription.
    Delivered(Delivered),
    /// To a subscription, once.
    Subscribed(u64),
    /// To an ack or a nack: what became of each range; empty if everything was settled.
    Settled(Vec<RangeOutcome>),
    /// To a transfer: whether everything was settled, and where the put went.
    Transferred(bool, Vec<Stretch>),
    /// To an extension: how many milliseconds the lease lasts from now on.
    Extended(u32),
    /// To the making or changing of a group: its number, and whether this request changed anything.
    Group(u32, bool),
    /// To a removal, in messages.
    Removed {
        /// Those that are gone by it.
        removed: u32,
        /// Those that are not.
        missing: u32,
    },
    /// To a browse: what there is.
    Shown(Vec<Taken>),
    /// The request was refused: it changed nothing.
    Refused,
    /// To anything else.
    Other,
}

/// Messages that came, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delivered {
    /// Their lease, 0 for none.
    pub lease: u64,
    /// How long it lasts, in milliseconds.
    pub lease_ms: u32,
    /// The messages.
    pub messages: Vec<Taken>,
}

/// A message that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Where it stands in its queue.
    pub sequence: u64,
    /// How often it has been delivered, this time included.
    pub deliveries: u32,
    /// Its number; `None` if its bytes are not those of any message.
    pub message: Option<u64>,
    /// Its attributes, if somebody looked.
    pub traits: Option<Traits>,
    /// What its headers say if it is a dead letter.
    pub letter: Option<Letter>,
}

/// Why a message became a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It was delivered too often.
    Deliveries,
    /// Its time was over.
    Expired,
    /// A consumer wanted it.
    Rejected,
}

/// What a dead letter says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Why it died.
    pub reason: Reason,
    /// How often it had been delivered.
    pub deliveries: u32,
    /// Where it stood in its queue.
    pub sequence: u64,
}

/// What became of a range of a settlement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeOutcome {
    /// Index of the first message in its lease.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Whether this request settled them.
    pub settled: bool,
}
