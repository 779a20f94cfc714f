//! What clients ask for.

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
    /// Nobody knows.
    Anywhere,
    /// With the oldest message that is held or kept.
    Earliest,
    /// With the first message put from then on.
    Latest,
    /// In the line of this sequence, with the first message of it or a later one.
    Sequence(u64),
    /// With the first message put when the wall clock read so or later, in milliseconds since 1970.
    Time(u64),
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
    /// The end of such a binding.
    Unbind {
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
        /// Whether it waits where there is nothing.
        waits: bool,
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
        /// Whether one consumer at a time gets its messages.
        single: bool,
    },
    /// A group gets nothing from now on, or goes on.
    PauseGroup {
        /// The queue's id.
        queue: u64,
        /// The group's name; the reply says its number.
        name: u64,
        /// Whether it is to get nothing.
        paused: bool,
    },
    /// A queue's puts and takes stop, or go on.
    Pause {
        /// The queue's id.
        queue: u64,
        /// Whether puts are to be refused.
        puts: bool,
        /// Whether takes are to get nothing.
        takes: bool,
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
    /// Messages are removed by their sequences.
    Remove {
        /// The queue's id.
        queue: u64,
        /// Which; at least one.
        sequences: Vec<u64>,
    },
    /// A look at messages of a group that takes none.
    Browse {
        /// The queue's id.
        queue: u64,
    },
    /// A queue is removed.
    Delete {
        /// The queue's id.
        queue: u64,
    },
    /// Anything else: only that it gets one reply matters.
    Other,
}
