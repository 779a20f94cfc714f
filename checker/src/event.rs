//! What a history is made of.

mod answer;
mod ask;

pub use answer::{Answer, Delivered, Letter, Place, RangeOutcome, Reason, Stretch, Taken};
pub use ask::{Ask, Batch, How, Push, Settled, Start};

/// A request's stream and number.
pub type RequestName = (u32, u32);

/// When and where something happened to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The client's monotonic clock in nanoseconds; one clock for the whole history.
    pub at_ns: u64,
    /// The connection: a number that is never used again.
    pub connection: u64,
    /// The request's stream and number.
    pub name: RequestName,
}

/// Something that happened to a client, or that is known of what it uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A request was handed to the connection.
    Asked {
        /// When and where.
        moment: Moment,
        /// What.
        ask: Ask,
    },
    /// A reply was read.
    Answered {
        /// When and where.
        moment: Moment,
        /// What.
        answer: Answer,
    },
    /// The connection has gone: outcomes of its unanswered requests stay unknown.
    Ended {
        /// Which.
        connection: u64,
        /// When its client knew or wanted it.
        at_ns: u64,
        /// Whether it broke by itself: then its server may have known long before.
        broken: bool,
    },
    /// Bytes came that are no reply, or a connection ended for no reason.
    Unreadable {
        /// Where.
        connection: u64,
        /// What was wrong.
        sentence: String,
    },
    /// A message was made that has attributes; it has them whenever it is put.
    Made {
        /// Its number.
        message: u64,
        /// Its attributes.
        traits: Traits,
    },
    /// A queue is there, and behaves so.
    Queue {
        /// Its id.
        queue: u64,
        /// What it promises.
        facts: Facts,
    },
    /// Poison of one queue goes to another.
    DeadLetters {
        /// The queue.
        queue: u64,
        /// Its dead-letter queue.
        dead: u64,
    },
    /// A group says at the end how many of its messages went without being taken.
    Gone {
        /// The queue.
        queue: u64,
        /// The group.
        group: u32,
        /// Dropped, purged or removed, as it was told to.
        dropped: u64,
        /// Over their time to live.
        expired: u64,
    },
    /// The wall clock was set.
    Clock {
        /// When, by the monotonic clock.
        at_ns: u64,
        /// What it reads from then on, in milliseconds since 1970.
        wall_ms: u64,
    },
}

/// When a message may be delivered at the earliest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// So many milliseconds after it was put.
    After(u64),
    /// When the wall clock reads so, in milliseconds since 1970.
    At(u64),
}

/// The attributes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traits {
    /// Its key.
    pub key: Option<u64>,
    /// Its band.
    pub priority: u8,
    /// When it is due.
    pub due: Due,
    /// How long it lives, in milliseconds; 0 for ever.
    pub ttl_ms: u64,
    /// Its deduplication id.
    pub deduplication: Option<u64>,
}

/// What a queue promises beyond the end of the line. [`Default`] promises nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// How long a repeat is known, in milliseconds; 0 if it is not.
    pub dedup_ms: u64,
    /// How long its messages live, in milliseconds; 0 for ever.
    pub ttl_ms: u64,
    /// Whether messages whose time is over become dead letters.
    pub dead_letter_expired: bool,
    /// Deliveries of a message at most; 0 for no limit.
    pub deliveries_max: u32,
    /// Whether a higher band always comes first.
    pub strict: bool,
    /// The least time that a message waits that was given back without a delay, in milliseconds.
    pub backoff_least_ms: u64,
    /// Over how many shards it lies, or may lie later; 0 and 1 for one.
    pub spread: u16,
    /// Whether a spread queue keeps the order of each key, and not of its parts alone.
    pub per_key: bool,
    /// Whether it keeps all that is done, for groups that are made later.
    pub keeps: bool,
}

impl Facts {
    /// Whether its messages lie on several shards, or may lie so later.
    pub fn is_spread(&self) -> bool {
        self.spread > 1
    }
}
