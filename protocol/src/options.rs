//! How a queue behaves: its bounds, its lease, what it does when full.

use crate::bytes::Reader;
use crate::code::{Code, Level, Rejection};

/// What a full queue does with a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[repr(u8)]
pub enum FullPolicy {
    /// The put is refused with [`Code::QueueFull`].
    #[default]
    Reject = 0,
    /// The oldest ready messages make room; the drops are counted.
    DropOldest = 1,
}

impl FullPolicy {
    /// The policy of a number on the wire. 2 is kept for `hold`, which this version does not do.
    pub fn from_number(number: u8) -> Result<Self, Rejection> {
        match number {
            0 => Ok(FullPolicy::Reject),
            1 => Ok(FullPolicy::DropOldest),
            2 => Err(Rejection::new(Code::Unsupported, "the policy 'hold' is not supported yet")),
            _ => Err(Rejection::new(Code::InvalidOption, "an unknown policy for a full queue")),
        }
    }

    /// The word used on the command line: `reject`, `drop-oldest`.
    pub fn as_str(self) -> &'static str {
        match self {
            FullPolicy::Reject => "reject",
            FullPolicy::DropOldest => "drop-oldest",
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
    /// The longest wait that a take may ask for, in milliseconds; up to 1 h.
    pub wait_max_ms: u32,
    /// How often a message is delivered before it goes to the dead-letter queue; 0 for no limit.
    pub deliveries_max: u32,
    /// What happens to a put when the queue is full.
    pub full_policy: FullPolicy,
    /// The level of acknowledgement that the queue promises; only memory in this version.
    pub level: Level,
}

/// The bytes of options on the wire.
pub const OPTIONS_BYTES: usize = 32;
/// Longest lease, in milliseconds: twelve hours.
pub const LEASE_MS_MAX: u32 = 12 * 3600 * 1000;
/// Longest wait that can be allowed, in milliseconds: one hour.
pub const WAIT_MS_MAX: u32 = 3600 * 1000;
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
        Ok(())
    }

    /// Reads and checks 32 bytes.
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
        };
        reader.reserved(2)?;
        options.check()?;
        Ok(options)
    }

    /// Appends 32 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.messages_max.to_le_bytes());
        out.extend_from_slice(&self.bytes_max.to_le_bytes());
        out.extend_from_slice(&self.lease_ms.to_le_bytes());
        out.extend_from_slice(&self.wait_max_ms.to_le_bytes());
        out.extend_from_slice(&self.deliveries_max.to_le_bytes());
        out.extend_from_slice(&[self.full_policy as u8, self.level as u8, 0, 0]);
    }
}
