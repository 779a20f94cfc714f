//! The names of queues, and which shard a name belongs to.

use crate::code::{Code, Rejection};
use crate::limits::NAME_BYTES_MAX;

/// What a dead-letter queue's name adds to the name of the queue that it serves.
pub const DEAD_LETTER_SUFFIX: &str = ".dead";

/// A valid name: 1 to 255 bytes of letters, digits, `.`, `_`, `-`, `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueName(Box<str>);

impl QueueName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, Rejection> {
        Self::check(name.as_bytes()).map(|name| Self(name.into()))
    }

    /// Checks the bytes of a name without keeping them.
    pub fn check(bytes: &[u8]) -> Result<&str, Rejection> {
        match std::str::from_utf8(bytes) {
            Ok(name)
                if (1..=NAME_BYTES_MAX).contains(&name.len())
                    && bytes.iter().all(|byte| is_name_byte(*byte)) =>
            {
                Ok(name)
            }
            _ => Err(Rejection::new(
                Code::InvalidName,
                "a queue's name has 1 to 255 letters, digits, '.', '_', '-' or '/'",
            )),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the dead-letter queue, unless it would be too long.
    pub fn dead_letter(&self) -> Option<QueueName> {
        QueueName::new(&format!("{}{DEAD_LETTER_SUFFIX}", self.0)).ok()
    }

    /// Whether this names a dead-letter queue.
    pub fn is_dead_letter(&self) -> bool {
        self.0.len() > DEAD_LETTER_SUFFIX.len() && self.0.ends_with(DEAD_LETTER_SUFFIX)
    }
}

impl std::fmt::Display for QueueName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a name may have this byte.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)
}

/// The shard that owns a name: FNV-1a of 64 bits over the name, modulo the number of shards.
///
/// A dead-letter suffix does not count, so that dead letters never leave the shard of their queue.
pub fn shard_of(name: &str, shards: usize) -> usize {
    let mut base = name;
    while base.len() > DEAD_LETTER_SUFFIX.len()
        && let Some(shorter) = base.strip_suffix(DEAD_LETTER_SUFFIX)
    {
        base = shorter;
    }
    let hash = base.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    // FNV's low bits are its weakest; fold the high half in before the modulo.
    ((hash ^ hash >> 32) % shards as u64) as usize
}
