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
/// Most tokens of a pattern: each costs every shard memory, whatever it says.
pub const PATTERN_TOKENS_MAX: usize = 16;
/// Longest access token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1 << 10;
/// Most shards of one plane: a queue's id keeps eight bits for its shard.
pub const SHARDS_MAX: usize = 256;
/// Most queues of one shard: a queue's id keeps 24 bits for its slot.
pub const QUEUES_PER_SHARD_MAX: usize = 1 << 24;
/// Most queues, or bindings, that one page of a listing carries.
pub const LIST_ENTRIES_MAX: u32 = 1024;
/// Most messages of a batch that is not stored as one stretch: one with delays, times, priorities
/// or deduplication ids. Its reply names each stretch.
pub const PUT_STRETCHES_MAX: u32 = 4096;
/// Most groups of one queue: a listing of all of them fits one frame.
pub const GROUPS_PER_QUEUE_MAX: u32 = 1024;
/// Most messages of one page of a browse.
pub const BROWSE_MESSAGES_MAX: u32 = 1024;
/// Most sequences that one request removes.
pub const REMOVE_SEQUENCES_MAX: u32 = 1024;
/// Most messages that one request moves.
pub const MOVE_MESSAGES_MAX: u32 = 1024;
/// Most messages that a subscription may have unsettled.
pub const CREDIT_MESSAGES_MAX: u32 = 65_536;
/// Most bytes of records that a subscription may have unsettled.
pub const CREDIT_BYTES_MAX: u32 = 8 << 20;
/// The bytes of credit of a subscription that asks for 0.
pub const CREDIT_BYTES_DEFAULT: u32 = 256 << 10;
/// Most milliseconds of a delay, a time to live, and the other durations of 64 bits: a hundred
/// years, so that their nanoseconds can be added to a clock without overflow.
pub const DURATION_MS_MAX: u64 = 3_155_760_000_000;
/// The latest time of delivery that a message can ask for, in milliseconds since 1970: in 2286.
pub const AT_MS_MAX: u64 = 10_000_000_000_000;

const _: () = assert!(
    crate::record::RECORD_HEADER_BYTES
        + ATTRIBUTES_BYTES_MAX
        + DEAD_LETTER_BYTES_MAX
        + PAYLOAD_BYTES_MAX
        < FRAME_BYTES_MAX,
    "the largest message fits a frame, dead or alive"
);
const _: () = assert!(
    GROUPS_PER_QUEUE_MAX as usize * (8 + crate::figures::GROUP_COLUMNS.len() * 8 + NAME_BYTES_MAX)
        + 64
        <= FRAME_BYTES_MAX,
    "a listing of all groups of a queue fits a frame"
);
const _: () = assert!(
    2 * (3 + ATTRIBUTE_VALUE_BYTES_MAX) + 3 * (3 + 8) + (3 + 1) <= ATTRIBUTES_BYTES_MAX,
    "one attribute of each kind but headers is within the limit of all of them"
);
const _: () = assert!(
    PUT_STRETCHES_MAX as usize * 16 + 64 <= FRAME_BYTES_MAX && PUT_STRETCHES_MAX < 1 << 16,
    "the reply to a put of many stretches fits a frame, and their number its field"
);
const _: () = assert!(
    (DURATION_MS_MAX + AT_MS_MAX) as u128 * 1_000_000 <= u64::MAX as u128,
    "a time and a duration fit 64 bits of nanoseconds"
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
