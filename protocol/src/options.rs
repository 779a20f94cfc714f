//! How a queue behaves: its bounds, its lease, what it does when full.

use crate::bytes::Reader;
use crate::code::{Code, Level, Rejection};
use crate::limits::{DURATION_MS_MAX, SHARDS_MAX};

/// What a full queue does with a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum FullPolicy {
    /// The put is refused with [`Code::QueueFull`].
    #[default]
    Reject = 0,
    /// The oldest ready messages make room; the drops are counted.
    DropOldest = 1,
    /// The put waits until there is room, but not longer than the queue's longest wait.
    Hold = 2,
}

impl FullPolicy {
    /// The policy of a number on the wire.
    pub fn from_number(number: u8) -> Result<Self, Rejection> {
        match number {
            0 => Ok(FullPolicy::Reject),
            1 => Ok(FullPolicy::DropOldest),
            2 => Ok(FullPolicy::Hold),
            _ => Err(Rejection::new(Code::InvalidOption, "an unknown policy for a full queue")),
        }
    }

    /// The word used on the command line: `reject`, `drop-oldest`, `hold`.
    pub fn as_str(self) -> &'static str {
        match self {
            FullPolicy::Reject => "reject",
            FullPolicy::DropOldest => "drop-oldest",
            FullPolicy::Hold => "hold",
        }
    }
}

/// How the bands of priority share a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum PriorityOrder {
    /// A higher band first, always.
    #[default]
    Strict = 0,
    /// Band `b` gets `b + 1` shares, so that no band waits for ever.
    Weighted = 1,
}

impl PriorityOrder {
    fn from_number(number: u8) -> Result<Self, Rejection> {
        match number {
            0 => Ok(PriorityOrder::Strict),
            1 => Ok(PriorityOrder::Weighted),
            _ => Err(Rejection::new(Code::InvalidOption, "an unknown order of priorities")),
        }
    }

    /// The word used on the command line: `strict`, `weighted`.
    pub fn as_str(self) -> &'static str {
        match self {
            PriorityOrder::Strict => "strict",
            PriorityOrder::Weighted => "weighted",
        }
    }
}

/// What order a queue keeps that is spread over several shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum SpreadOrder {
    /// Order within each part only.
    #[default]
    Relaxed = 0,
    /// Messages with one key are on one part, in order.
    PerKey = 1,
}

impl SpreadOrder {
    fn from_number(number: u8) -> Result<Self, Rejection> {
        match number {
            0 => Ok(SpreadOrder::Relaxed),
            1 => Ok(SpreadOrder::PerKey),
            _ => Err(Rejection::new(Code::InvalidOption, "an unknown order of a spread queue")),
        }
    }

    /// The word used on the command line: `relaxed`, `per-key`.
    pub fn as_str(self) -> &'static str {
        match self {
            SpreadOrder::Relaxed => "relaxed",
            SpreadOrder::PerKey => "per-key",
        }
    }
}

/// The options of a queue. [`Default`] is what a queue has that is declared without options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct QueueOptions {
    /// Most messages held, ready and leased together; at least 1.
    pub messages_max: u64,
    /// Most bytes held, in bytes of memory kept for the queue's messages; at least 1 MiB.
    pub bytes_max: u64,
    /// How long a lease lasts unless the take says otherwise, in milliseconds; 1 ms to 12 h.
    pub lease_ms: u32,
    /// The longest wait that a take may ask for, and of a put with [`FullPolicy::Hold`], in
    /// milliseconds; up to 1 h.
    pub wait_max_ms: u32,
    /// How often a message is delivered before it goes to the dead-letter queue; 0 for no limit.
    pub deliveries_max: u32,
    /// What happens to a put when the queue is full.
    pub full_policy: FullPolicy,
    /// The level of acknowledgement that the queue promises; only memory in this version.
    pub level: Level,
    /// How bands of priority share the queue.
    pub priority: PriorityOrder,
    /// Whether a message that expires becomes a dead letter.
    pub dead_letter_expired: bool,
    /// How long a message may wait for its consumers, in milliseconds; 0 for ever. At most 100
    /// years, as every time of 64 bits here.
    pub ttl_ms: u64,
    /// How long a message that is given back waits, in milliseconds; 0 not at all. Up to 24 h.
    pub backoff_ms: u32,
    /// Where doubling that with each delivery ends, in milliseconds; 0 for no doubling. Up to 24 h.
    pub backoff_max_ms: u32,
    /// How long a put is remembered to know its repeat, in milliseconds; 0 for not. Up to 7 days.
    pub dedup_ms: u32,
    /// How many messages are remembered at most; 0 for 1,000,000. Up to 2,097,152.
    pub dedup_max: u32,
    /// How long messages are kept that are done, in milliseconds; 0 for no such limit.
    pub keep_ms: u64,
    /// How many messages are kept that are done; 0 for no such limit.
    pub keep_messages: u64,
    /// How many bytes of messages are kept that are done; 0 for no such limit.
    pub keep_bytes: u64,
    /// After how long without use the queue is deleted, in milliseconds; 0 for never.
    pub idle_ms: u64,
    /// Over how many shards the queue is spread; 0 and 1 for not at all. Up to 256.
    pub spread: u16,
    /// What order it keeps then.
    pub spread_order: SpreadOrder,
}

/// The bytes of options on the wire.
pub const OPTIONS_BYTES: usize = 96;
/// Longest lease, in milliseconds: twelve hours.
pub const LEASE_MS_MAX: u32 = 12 * 3600 * 1000;
/// Longest wait that can be allowed, in milliseconds: one hour.
pub const WAIT_MS_MAX: u32 = 3600 * 1000;
/// Longest back-off, in milliseconds: one day.
pub const BACKOFF_MS_MAX: u32 = 24 * 3600 * 1000;
/// Longest window of deduplication, in milliseconds: seven days.
pub const DEDUP_MS_MAX: u32 = 7 * 24 * 3600 * 1000;
/// Most messages that a window of deduplication remembers.
pub const DEDUP_MESSAGES_MAX: u32 = 1 << 21;
/// What a window of deduplication remembers if nothing else is said.
pub const DEDUP_MESSAGES_DEFAULT: u32 = 1_000_000;
/// Smallest bound on a queue's bytes: one segment.
pub const BYTES_MAX_MIN: u64 = 1 << 20;

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            messages_max: 10_000_000,
            bytes_max: 1 << 30,
            lease_ms: 30_000,
            wait_max_ms: 60_000,
            deliveries_max: 16,
            full_policy: FullPolicy::Reject,
            level: Level::Memory,
            priority: PriorityOrder::Strict,
            dead_letter_expired: false,
            ttl_ms: 0,
            backoff_ms: 0,
            backoff_max_ms: 0,
            dedup_ms: 0,
            dedup_max: 0,
            keep_ms: 0,
            keep_messages: 0,
            keep_bytes: 0,
            idle_ms: 0,
            spread: 0,
            spread_order: SpreadOrder::Relaxed,
        }
    }
}

impl QueueOptions {
    /// Refuses what is out of range.
    pub fn check(&self) -> Result<(), Rejection> {
        let invalid = |sentence| Err(Rejection::new(Code::InvalidOption, sentence));
        if self.messages_max == 0 {
            return invalid("messages_max must be at least 1");
        }
        if self.bytes_max < BYTES_MAX_MIN {
            return invalid("bytes_max must be at least 1 MiB");
        }
        if self.lease_ms == 0 || self.lease_ms > LEASE_MS_MAX {
            return invalid("lease_ms must be 1 to 43,200,000 (12 hours)");
        }
        if self.wait_max_ms > WAIT_MS_MAX {
            return invalid("wait_max_ms must be at most 3,600,000 (1 hour)");
        }
        if self.level != Level::Memory {
            return Err(Rejection::new(
                Code::Unsupported,
                "only the level 'memory' is supported: this version keeps no journal",
            ));
        }
        self.check_times()
    }

    fn check_times(&self) -> Result<(), Rejection> {
        let invalid = |sentence| Err(Rejection::new(Code::InvalidOption, sentence));
        if self.ttl_ms.max(self.keep_ms).max(self.idle_ms) > DURATION_MS_MAX {
            return invalid(
                "ttl_ms, keep_ms and idle_ms are at most 3,155,760,000,000 (100 years)",
            );
        }
        if self.backoff_ms.max(self.backoff_max_ms) > BACKOFF_MS_MAX {
            return invalid("backoff_ms and backoff_max_ms are at most 86,400,000 (24 hours)");
        }
        if self.backoff_max_ms != 0
            && (self.backoff_ms == 0 || self.backoff_ms > self.backoff_max_ms)
        {
            return invalid("backoff_max_ms needs a backoff_ms that is not above it");
        }
        if self.dedup_ms > DEDUP_MS_MAX || self.dedup_max > DEDUP_MESSAGES_MAX {
            return invalid("dedup_ms is at most 604,800,000 (7 days), dedup_max 2,097,152");
        }
        if self.dedup_max != 0 && self.dedup_ms == 0 {
            return invalid("dedup_max needs a dedup_ms");
        }
        if usize::from(self.spread) > SHARDS_MAX {
            return invalid("spread is at most 256");
        }
        Ok(())
    }

    /// How many messages the window of deduplication remembers at most; 0 if there is none.
    pub fn dedup_messages(&self) -> u32 {
        match (self.dedup_ms, self.dedup_max) {
            (0, _) => 0,
            (_, 0) => DEDUP_MESSAGES_DEFAULT,
            (_, most) => most,
        }
    }

    /// Whether messages are kept that are done.
    pub fn keeps(&self) -> bool {
        self.keep_ms | self.keep_messages | self.keep_bytes != 0
    }

    /// Over how many shards the queue is spread; 1 for an ordinary one.
    pub fn parts(&self) -> u16 {
        self.spread.max(1)
    }

    /// Reads and checks 96 bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Rejection> {
        let options = Self {
            messages_max: reader.u64()?,
            bytes_max: reader.u64()?,
            lease_ms: reader.u32()?,
            wait_max_ms: reader.u32()?,
            deliveries_max: reader.u32()?,
            full_policy: FullPolicy::from_number(reader.u8()?)?,
            level: Level::from_number(reader.u8()?).ok_or(Rejection::new(
                Code::InvalidOption,
                "an unknown level of acknowledgement",
            ))?,
            priority: PriorityOrder::from_number(reader.u8()?)?,
            dead_letter_expired: match reader.u8()? {
                0 => false,
                1 => true,
                _ => {
                    return Err(Rejection::new(
                        Code::InvalidOption,
                        "dead_letter_expired is 0 or 1",
                    ));
                }
            },
            ttl_ms: reader.u64()?,
            backoff_ms: reader.u32()?,
            backoff_max_ms: reader.u32()?,
            dedup_ms: reader.u32()?,
            dedup_max: reader.u32()?,
            keep_ms: reader.u64()?,
            keep_messages: reader.u64()?,
            keep_bytes: reader.u64()?,
            idle_ms: reader.u64()?,
            spread: reader.u16()?,
            spread_order: SpreadOrder::from_number(reader.u8()?)?,
        };
        reader.reserved(5)?;
        options.check()?;
        Ok(options)
    }

    /// Appends 96 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let numbers = |out: &mut Vec<u8>, numbers: &[u32]| {
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        };
        let long_numbers = |out: &mut Vec<u8>, numbers: &[u64]| {
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        };
        let (policy, level) = (self.full_policy as u8, self.level as u8);
        let expired = u8::from(self.dead_letter_expired);
        long_numbers(out, &[self.messages_max, self.bytes_max]);
        numbers(out, &[self.lease_ms, self.wait_max_ms, self.deliveries_max]);
        out.extend_from_slice(&[policy, level, self.priority as u8, expired]);
        long_numbers(out, &[self.ttl_ms]);
        numbers(out, &[self.backoff_ms, self.backoff_max_ms, self.dedup_ms, self.dedup_max]);
        long_numbers(out, &[self.keep_ms, self.keep_messages, self.keep_bytes, self.idle_ms]);
        out.extend_from_slice(&self.spread.to_le_bytes());
        out.extend_from_slice(&[self.spread_order as u8, 0, 0, 0, 0, 0]);
    }
}
