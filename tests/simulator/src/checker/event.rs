//! What a history is made of.

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

/// Something that happened to a client.
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
    },
    /// Bytes came that are no reply, or a connection ended for no reason.
    Unreadable {
        /// Where.
        connection: u64,
        /// What was wrong.
        sentence: String,
    },
    /// Poison of one queue goes to another.
    DeadLetters {
        /// The queue.
        queue: u64,
        /// Its dead-letter queue.
        dead: u64,
    },
    /// The queue says at the end that it dropped so many messages, as it was told to.
    Dropped {
        /// The queue.
        queue: u64,
        /// How many.
        count: u64,
    },
}

/// A request, as far as the checker cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Messages in the order of their batch; a message put again has the same number.
    Put {
        /// The queue's id.
        queue: u64,
        /// The messages.
        messages: Vec<u64>,
    },
    /// A take.
    Take {
        /// The queue's id.
        queue: u64,
        /// Most messages.
        messages_max: u32,
        /// Acknowledged at once, without a lease.
        for_good: bool,
    },
    /// An ack or a nack.
    Settle {
        /// The queue's id.
        queue: u64,
        /// The lease.
        lease: u64,
        /// First index and count of each range.
        ranges: Vec<(u32, u32)>,
        /// Whether it gives back.
        nack: bool,
    },
    /// A purge or a delete.
    Remove {
        /// The queue's id.
        queue: u64,
    },
    /// Anything else: only that it gets one reply matters.
    Other,
}

/// A reply, as far as the checker cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To a put.
    Stored {
        /// The sequence of the first message.
        first_sequence: u64,
        /// How many.
        count: u32,
    },
    /// To a take.
    Delivered(Delivered),
    /// To an ack or a nack: what became of each range; empty if everything was settled.
    Settled(Vec<RangeOutcome>),
    /// To a purge or delete: how many messages went.
    Removed(u64),
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
