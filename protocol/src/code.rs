//! Every outcome that the wire can state: codes, levels of acknowledgement, rejections.

/// Declares the codes once: number, name, whether it ends the connection, and what to do.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $closes:literal, $remedy:literal;)*) => {
        /// The outcome of a request; stable numbers, listed in `docs/protocol.md`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u16)]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The code of a number on the wire.
            pub fn from_number(number: u16) -> Option<Code> {
                match number { $($number => Some(Code::$name),)* _ => None }
            }

            /// Whether the server closes the connection after this code.
            pub fn closes(self) -> bool {
                match self { $(Code::$name => $closes,)* }
            }

            /// What the caller can do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Code::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    /// The request was carried out.
    Ok = 0, false, "nothing to do";
    /// The bytes are not a frame of this protocol; the connection closes.
    Malformed = 1, true, "mend the client: docs/protocol.md specifies every byte";
    /// The header announces more than a frame may hold; the connection closes.
    FrameTooLarge = 2, true, "split the batch: the greeting states the largest frame";
    /// No version is spoken by both sides; the connection closes.
    UnsupportedVersion = 3, true, "use a client of a version that the server names";
    /// The first frame was not a greeting; the connection closes.
    NotGreeted = 4, true, "send a greeting first";
    /// The token is missing or wrong; the connection closes.
    Unauthorized = 5, true, "connect with the token that the server was started with";
    /// The kind of frame is not known to this version; the connection closes.
    UnknownKind = 6, true, "use the version that the greeting agreed on";
    /// Something took longer than its limit; the connection closes.
    TooSlow = 7, true, "send greetings and frames without pausing in the middle";
    /// The plane has as many connections as it may have; the connection closes.
    TooManyConnections = 8, true, "close idle connections or raise --connections-max";
    /// No queue has that name or id.
    NoSuchQueue = 16, false, "declare the queue, or serve with --auto-declare";
    /// The queue exists with other options.
    Conflict = 17, false, "what is there stays as it is";
    /// The name of a queue breaks the rules.
    InvalidName = 18, false, "use 1 to 255 letters, digits, '.', '_', '-' or '/'";
    /// An option is out of its range.
    InvalidOption = 19, false, "choose another value";
    /// The queue is full and its policy is to reject.
    QueueFull = 20, false, "take messages, raise the queue's bounds, or put again later";
    /// A message or a batch is larger than its limit.
    TooLarge = 21, false, "send smaller messages: the greeting states the limits";
    /// The request asks for something that this version does not do.
    Unsupported = 22, false, "leave that option out";
    /// The server is draining: it takes no more puts.
    Draining = 23, false, "put to another server, or again after the restart";
    /// Waiting takes of this connection would promise more bytes than it may hold.
    TooManyWaits = 24, false, "wait with fewer takes, or with smaller bytes_max";
    /// The plane has as many queues, leases or bytes as it may have.
    ResourceExhausted = 25, false, "delete queues, take messages, or raise the plane's limits";
    /// The queue has no group of that number or name.
    NoSuchGroup = 26, false, "make the group first, or use the group 'default'";
    /// There is no such lease, subscription or delivery, or it has ended.
    NoSuchLease = 27, false, "take again: its messages may be with somebody else by now";
    /// A message of a transfer was settled before or its lease has ended: nothing was done.
    Stale = 28, false, "drop the result: somebody else has the message or is done with it";
    /// What was asked for works only within one shard, and the two ends are on different ones.
    OtherShard = 29, false, "take a name of the same shard, or move the messages to another queue";
    /// Puts to the queue are paused.
    Paused = 30, false, "put again when the queue is resumed";
    /// A quota of messages, bytes or puts a second is used up.
    QuotaExceeded = 31, false, "put less, or raise the quota that the server was started with";
    /// The producer's sequence is older than the queue remembers: it may be a repeat or not.
    OutOfWindow = 32, false, "repeat puts sooner, or raise the queue's dedup_ms and dedup_max";
}

/// What an acknowledgement means; a higher level includes the lower ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[repr(u8)]
pub enum Level {
    /// The message is in the memory of its shard.
    #[default]
    Memory = 0,
    /// The write to the journal completed.
    Written = 1,
    /// The journal was synced to the disk.
    Durable = 2,
    /// A majority of the replicas is durable.
    Replicated = 3,
}

impl Level {
    /// Every level, in the order of its number.
    pub const ALL: [Level; 4] = [Level::Memory, Level::Written, Level::Durable, Level::Replicated];

    /// The level of a number on the wire.
    #[inline]
    pub fn from_number(number: u8) -> Option<Level> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word used in reports: `memory`, `written`, `durable`, `replicated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Memory => "memory",
            Level::Written => "written",
            Level::Durable => "durable",
            Level::Replicated => "replicated",
        }
    }
}

/// A refusal with its code and a sentence that says what was wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{sentence} (code {}: {})", *code as u16, code.remedy())]
pub struct Rejection {
    /// The stable code.
    pub code: Code,
    /// What was wrong, for a person.
    pub sentence: &'static str,
}

impl Rejection {
    /// A rejection with a code and a sentence.
    pub const fn new(code: Code, sentence: &'static str) -> Self {
        Self { code, sentence }
    }

    /// Bytes that do not follow the protocol.
    #[cold]
    pub const fn malformed(sentence: &'static str) -> Self {
        Self::new(Code::Malformed, sentence)
    }
}
