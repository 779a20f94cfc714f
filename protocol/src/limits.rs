//! What the wire itself allows; the server's own ceilings are tighter or equal.

use crate::frame::HEADER_BYTES;

/// Longest body of one frame, in bytes: one batch fits one frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Longest body before a connection is greeted: an unknown peer may cost no more than this.
pub const GREETING_BYTES_MAX: usize = 4 << 10;
/// Longest payload of one message, in bytes; longer ones will travel in chunks.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Longest attributes of one message that is put, in bytes.
pub const ATTRIBUTES_BYTES_MAX: usize = 4 << 10;
/// What the server may add to the attributes of a message that becomes a dead letter, in bytes.
pub const DEAD_LETTER_BYTES_MAX: usize = 1 << 10;
/// Longest value of one attribute, in bytes; a header's name counts as part of it.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1 << 10;
/// Most messages that one take returns.
pub const TAKE_MESSAGES_MAX: u32 = 4096;
/// Most ranges in one acknowledgement: each second message of a full take can be named.
pub const RANGES_MAX: u32 = TAKE_MESSAGES_MAX / 2;
/// Longest name of a queue, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest access token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1 << 10;
/// Most shards of one plane: a queue's id keeps eight bits for its shard.
pub const SHARDS_MAX: usize = 256;
/// Most queues of one shard: a queue's id keeps 24 bits for its slot.
pub const QUEUES_PER_SHARD_MAX: usize = 1 << 24;
/// Most queues that one page of a listing carries.
pub const LIST_ENTRIES_MAX: u32 = 1024;

const _: () = assert!(
    crate::record::RECORD_HEADER_BYTES
        + ATTRIBUTES_BYTES_MAX
        + DEAD_LETTER_BYTES_MAX
        + PAYLOAD_BYTES_MAX
        < FRAME_BYTES_MAX,
    "the largest message fits a frame, dead or alive"
);
const _: () = assert!(
    ATTRIBUTES_BYTES_MAX + DEAD_LETTER_BYTES_MAX < u16::MAX as usize,
    "the length of attributes fits its field"
);
const _: () = assert!(
    3 * NAME_BYTES_MAX <= DEAD_LETTER_BYTES_MAX,
    "the name of the queue fits what a dead letter adds, with room for names and numbers"
);
const _: () = assert!(
    TOKEN_BYTES_MAX + 64 + HEADER_BYTES <= GREETING_BYTES_MAX,
    "a greeting with the longest token fits the frame allowed before it"
);
const _: () = assert!(
    RANGES_MAX as usize * 8 + 64 <= FRAME_BYTES_MAX,
    "an acknowledgement of every second message fits a frame"
);
const _: () = assert!(
    LIST_ENTRIES_MAX as usize * (NAME_BYTES_MAX + 32) + 64 <= FRAME_BYTES_MAX,
    "a full page of a listing fits a frame"
);
