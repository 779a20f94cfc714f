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
}

/// Messages to put, in the order of their batch; a message put again has the same number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The queue's id.
    pub queue: u64,
    /// The messages.
    pub messages: Vec<u64>,
    /// The producer and its number for the first message, if it numbers them.
    pub producer: Option<(u64, u64)>,
}

/// Which messages of a lease are settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// The queue's id.
    pub queue: u64,
    /// The lease.
    pub lease: u64,
    /// First index and count of each range.
    pub ranges: Vec<(u32, u32)>,
}

/// What a settlement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The messages are done.
    Ack,
    /// They are given back, to come after so many milliseconds; 0 leaves that to the queue.
    Nack(u32),
    /// They become dead letters.
    Reject,
}

/// Where a group starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the oldest message that is held, or with one that it names some other way.
    Anywhere,
    /// With the first message put from then on.
    Latest,
}

/// What a subscription asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Push {
    /// The queue's id.
    pub queue: u64,
    /// The group.
    pub group: u32,
    /// Most messages unsettled.
    pub messages_max: u32,
}

/// A request, as far as the checker cares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A put.
    Put(Batch),
    /// A put to every queue that is bound to a topic.
    Publish {
        /// The topic.
        topic: u64,
        /// The messages.
        messages: Vec<u64>,
    },
    /// A binding of a queue to a topic.
    Bind {
        /// The queue's id.
        queue: u64,
        /// The topic.
        topic: u64,
    },
    /// A take.
    Take {
        /// The queue's id.
        queue: u64,
        /// The group.
        group: u32,
        /// Most messages.
        messages_max: u32,
        /// Acknowledged at once, without a lease.
        for_good: bool,
    },
    /// A subscription: answered once, then again and again with deliveries.
    Subscribe(Push),
    /// Another credit for a subscription.
    Credit {
        /// The queue's id.
        queue: u64,
        /// The subscription.
        subscription: u64,
        /// Most messages unsettled from now on.
        messages_max: u32,
    },
    /// The end of a subscription.
    Unsubscribe {
        /// The queue's id.
        queue: u64,
        /// The subscription.
        subscription: u64,
    },
    /// An ack or a nack.
    Settle(Settled, How),
    /// An acknowledgement and a put in one.
    Transfer(Settled, Batch),
    /// A lease is to last so many milliseconds from now on.
    Extend {
        /// The queue's id.
        queue: u64,
        /// The lease.
        lease: u64,
        /// How long.
        lease_ms: u32,
    },
    /// A group is made, or found.
    Group {
        /// The queue's id.
        queue: u64,
        /// Its name.
        name: u64,
        /// Where it starts if it is made.
        start: Start,
    },
    /// A group is removed.
    EndGroup {
        /// The queue's id.
        queue: u64,
        /// The group's name; the reply says its number.
        name: u64,
    },
    /// Messages move from a group of one queue to another queue.
    Move {
        /// The queue that loses them.
        from: u64,
        /// Its group.
        group: u32,
        /// The queue that gets them.
        to: u64,
    },
    /// A queue is removed.
    Delete {
        /// The queue's id.
        queue: u64,
    },
    /// Anything else: only that it gets one reply matters.
    Other,
}

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
    /// To the making of a group: its number.
    Group(u32),
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
