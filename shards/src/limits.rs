//! Every ceiling of the data plane with its unit and reason, related by assertions at compile time.

use ringway_protocol::limits::{
    BROWSE_MESSAGES_MAX, FRAME_BYTES_MAX, GREETING_BYTES_MAX, SHARDS_MAX,
};

/// Entries of a shard's submission queue: what one turn can push before it must submit early.
pub const SUBMISSION_ENTRIES: u32 = 1024;
/// Entries of a shard's completion queue: several completions may follow from one submission.
pub const COMPLETION_ENTRIES: u32 = 8 * SUBMISSION_ENTRIES;
/// Nanoseconds after which a turn begins no more of what can wait for the next one. It is not
/// looked at while the kernel sends and receives: what follows bounds that.
pub const TURN_NS: u64 = 200_000;
/// Completions acted upon in one turn: more than one turn brings about, so that none of them keeps
/// its buffer for long. Of receives with bytes there are as many as buffers at most.
pub const COMPLETIONS_PER_TURN_MAX: usize = 1024;
/// Completions that are brought out of the kernel at the end of a turn, and those of one entry
/// more: a receive costs it 2 to 4 us.
pub const BROUGHT_PER_TURN_MAX: usize = 64;
/// Bytes received that a turn acts upon, and one completion's more: a delayed message of 100 costs
/// about 100 ns.
pub const RECEIVED_BYTES_PER_TURN_MAX: usize = 256 << 10;
/// Sends that a turn begins. The kernel carries each out at once, over loopback to the waking of
/// the peer: 5 to 20 us.
pub const SENDS_PER_TURN_MAX: usize = 16;
/// Sockets that a turn closes: up to 40 us each.
pub const CLOSED_PER_TURN_MAX: usize = 8;

/// Bytes of a small receive buffer: a burst of a hundred requests of one message fits. See
/// `docs/decisions/0004-receive-buffers.md`.
pub const SMALL_BUFFER_BYTES: usize = 16 << 10;
/// Small receive buffers of a shard: one for each of many quiet connections. A power of two.
pub const SMALL_BUFFERS: u16 = 128;
/// Bytes of a large receive buffer: two batches of 256 messages of 100 bytes fit.
pub const LARGE_BUFFER_BYTES: usize = 64 << 10;
/// Receives that a turn arms again: those that ended for want of a buffer need one each.
pub const REARMED_PER_TURN_MAX: usize = SMALL_BUFFERS as usize / 4;
/// Large receive buffers of a shard. Few, because each pass over them evicts the cache. A power of
/// two.
pub const LARGE_BUFFERS: u16 = 16;

/// Bytes that glommio may register for file I/O on each executor; the shard does none through it.
pub const EXECUTOR_IO_MEMORY_BYTES: usize = 64 << 10;

/// Connections of the whole plane.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Requests of one connection that are not answered yet; more are not read.
pub const REQUESTS_IN_FLIGHT_MAX: u32 = 1024;
/// Bytes of replies a connection may owe before its requests are not read any more.
pub const OUTBOUND_BYTES_MAX: usize = 8 << 20;
/// Bytes owed at which reading goes on: half, so that a slow reader does not flap.
pub const OUTBOUND_BYTES_RESUME: usize = OUTBOUND_BYTES_MAX / 2;
/// Bytes of replies that the waiting takes of one connection may promise.
pub const WAIT_BYTES_MAX: usize = 8 << 20;
/// Bytes that a take returns at most when it does not say.
pub const TAKE_BYTES_DEFAULT: usize = 256 << 10;
/// Runs in one delivery; a take that meets more holes than this returns early.
pub const RUNS_PER_TAKE_MAX: usize = 64;
/// Bytes of a run from which on it is sent from its segment instead of copied.
pub const PIN_BYTES_MIN: usize = 4 << 10;
/// Slices of one vectored send; the kernel takes 1,024.
pub const SLICES_PER_SEND_MAX: usize = 512;

/// Batches under way from one shard to another.
pub const HANDOFF_SLOTS: usize = 16;
/// Bytes at which a handoff batch is closed and the next one begun.
pub const HANDOFF_BATCH_BYTES: usize = 256 << 10;
/// Bytes of the largest handoff buffer that is kept: a batch with the longest frame at its end,
/// twice over because memory grows by doubling.
pub const HANDOFF_BUFFER_BYTES_MAX: usize = 3 << 20;
/// Handoff batches that a turn takes from one other shard.
pub const HANDOFFS_PER_TURN_MAX: usize = HANDOFF_SLOTS;

/// Batches under way from a lane to its shard, and back.
pub const LANE_SLOTS: usize = 64;

/// Timers of one kind that one call lets expire; a turn calls as often as its time allows.
pub const TIMERS_PER_CALL_MAX: usize = 256;
/// Messages that become due, or expire by themselves, in one call: each costs up to 8 us where its
/// queue, its segments and its record all have to come from memory.
pub const DUE_PER_CALL_MAX: usize = 64;
/// Messages whose leases run out, or whose delays are over, in one call: a lease or a stretch that
/// was given back together is not cut, so that up to one delivery's messages more may be.
pub const COMING_BACK_PER_CALL_MAX: u32 = 4096;
/// Leases that come back in one call because their subscription ends: one of many messages counts
/// as one more for each 64 of them.
pub const ENDINGS_PER_CALL_MAX: u32 = 256;
/// Dead letters that come of leases, delays and expired messages in one call: about 250 us.
pub const BURIALS_PER_CALL_MAX: u32 = 256;
/// Waiting takes that a turn answers.
pub const ANSWERS_PER_TURN_MAX: usize = 1024;

/// Leases of one shard.
pub const LEASES_MAX: usize = 4 << 20;
/// Takes that wait on one shard.
pub const WAITS_MAX: usize = 1 << 20;
/// Subscriptions of one shard.
pub const SUBSCRIPTIONS_MAX: usize = 1 << 20;
/// Subscriptions of one connection on one shard, and to spread queues: as many as its streams.
pub const SUBSCRIPTIONS_PER_ASKER_MAX: u32 = 4096;
/// Puts that one shard holds for want of room: each costs some 200 bytes beside its records.
pub const HELD_PUTS_MAX: usize = 1 << 17;
/// Bytes of the records of those puts.
pub const HELD_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the records that one shard holds for one connection.
pub const HELD_BYTES_PER_ASKER_MAX: u64 = 4 << 20;
/// Bytes of the largest buffer that a held put leaves to a later one.
pub const SPARE_HELD_BYTES_MAX: usize = 4 << 10;
/// Queues of one shard.
pub const QUEUES_MAX: usize = 1 << 20;

/// Errands of one shard that are under way: requests that several shards carry out.
pub const ERRANDS_MAX: usize = 1 << 16;
/// Those of them that only wait for messages, takes and subscriptions: half, so that whoever waits
/// takes no room from requests that go on.
pub const IDLE_ERRANDS_MAX: usize = ERRANDS_MAX / 2;
/// Errands of one connection that still have something to do on a queue: what it asks next waits
/// for them if it is about the same queue, and each is looked at for each such request.
pub const HOLDS_MAX: usize = 64;
/// Bytes of the largest buffer that an ended errand leaves to later ones.
pub const ERRAND_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Buffers of ended errands that a shard keeps.
pub const ERRAND_BUFFERS_MAX: usize = 256;

/// Bindings of the whole plane: each shard keeps all of them, at about 300 bytes each, or 2,500
/// where patterns are as long and deep as they get (`tests/binding_memory.rs` measures both).
pub const BINDINGS_MAX: usize = 1 << 16;
/// Queues that one published name may reach.
pub const PUBLISH_QUEUES_MAX: usize = 1 << 10;
/// Bytes that one publish may store, over all queues that it reaches: what one turn can copy.
pub const PUBLISH_BYTES_MAX: usize = 64 << 20;
/// Bytes that a shard's publishes store, over all queues, before further ones wait: for the next
/// turn, or for the shards that have not answered yet. So a turn stores at most twice this for each
/// shard that publishes, and a publish.
pub const SCATTER_BYTES_MAX: usize = 4 << 20;
/// Bytes that each queue counts for in that beside the records: what it costs to find.
pub const SCATTER_QUEUE_BYTES: usize = 1 << 10;
/// Published names of which a shard remembers the queues that they reach.
pub const PUBLISHED_NAMES_MAX: usize = 1 << 12;
/// Queues that it remembers for all of those names together.
pub const PUBLISHED_QUEUES_MAX: usize = 1 << 16;
/// Bytes of records that a browse shows at most when it does not say.
pub const BROWSE_BYTES_DEFAULT: usize = 256 << 10;
/// Bytes of records that a browse shows at most: with what stands before each, they fit a frame.
pub const BROWSE_BYTES_MAX: usize = FRAME_BYTES_MAX - 64 * (BROWSE_MESSAGES_MAX as usize + 1);
/// Messages that one request to move some of them looks at.
pub const MOVES_LOOKED_AT_MAX: u32 = 16_384;
/// Milliseconds within which the next request to move messages goes on where the last one stopped.
pub const MOVES_GO_ON_MS: u64 = 10_000;
/// Quotas of a plane: a queue has a bit for each.
pub const QUOTAS_MAX: usize = 32;
/// Producers that a queue remembers; the one that was silent the longest goes first.
pub const PRODUCERS_MAX: usize = 1 << 16;
/// Batches of one producer that a queue remembers: as many as a connection may have in flight.
pub const PRODUCER_BATCHES_MAX: usize = REQUESTS_IN_FLIGHT_MAX as usize;

/// A segment's sizes in bytes: a queue starts small and grows into the large ones.
pub const SEGMENT_BYTES: [usize; 3] = [16 << 10, 128 << 10, 1 << 20];
/// Bytes of empty segments that a shard keeps for reuse.
pub const SEGMENT_POOL_BYTES_MAX: usize = 64 << 20;

/// Nanoseconds that an idle shard spins before it parks.
pub const SPIN_NS_DEFAULT: u64 = 50_000;
/// Nanoseconds after which a busy shard lets glommio's timers, files and other tasks have the core:
/// such a pass takes about 5 us.
pub const PASS_NS: u64 = 500_000;
/// Nanoseconds until an accept is tried again that failed for want of descriptors or memory.
pub const ACCEPT_BACKOFF_NS: u64 = 50_000_000;

/// Milliseconds within which a greeting must arrive.
pub const GREETING_MS: u64 = 2_000;
/// Milliseconds within which a frame that was begun must end.
pub const FRAME_MS: u64 = 10_000;
/// Milliseconds between probes of a silent peer; twice as long without an answer closes.
pub const HEARTBEAT_MS: u64 = 15_000;
/// Milliseconds that a drain may take.
pub const DRAIN_MS: u64 = 30_000;

const _: () = assert!(
    COMPLETION_ENTRIES >= 4 * SUBMISSION_ENTRIES,
    "the completion queue is 4 to 8 times the submission queue"
);
const _: () = assert!(
    SMALL_BUFFERS.is_power_of_two() && LARGE_BUFFERS.is_power_of_two(),
    "a buffer ring's size is a power of two"
);
const _: () = assert!(GREETING_BYTES_MAX <= FRAME_BYTES_MAX, "a greeting is a frame");
const _: () = assert!(SLICES_PER_SEND_MAX <= 1024, "the kernel takes 1,024 slices a send");
const _: () = assert!(SHARDS_MAX <= 256, "a queue's id has eight bits for its shard");
const _: () = assert!(
    SEGMENT_BYTES[0] < SEGMENT_BYTES[1] && SEGMENT_BYTES[1] < SEGMENT_BYTES[2],
    "segments grow"
);
const _: () = assert!(
    SEGMENT_BYTES[1]
        >= ringway_protocol::limits::PAYLOAD_BYTES_MAX
            + ringway_protocol::limits::ATTRIBUTES_BYTES_MAX
            + 1024,
    "the largest record, with what a dead letter adds, fits the middle segment"
);
const _: () = assert!(
    OUTBOUND_BYTES_RESUME < OUTBOUND_BYTES_MAX && OUTBOUND_BYTES_MAX >= 2 * FRAME_BYTES_MAX,
    "a connection can owe one whole reply while another is being sent"
);
const _: () = assert!(
    HANDOFF_BUFFER_BYTES_MAX >= 2 * (HANDOFF_BATCH_BYTES + FRAME_BYTES_MAX),
    "a buffer grown for the longest batch of requests is kept"
);
const _: () = assert!(
    PUBLISH_BYTES_MAX >= FRAME_BYTES_MAX && PUBLISHED_QUEUES_MAX >= PUBLISH_QUEUES_MAX,
    "the longest publish reaches a queue, and what the widest one reaches is remembered"
);
const _: () = assert!(
    HELD_BYTES_PER_ASKER_MAX >= FRAME_BYTES_MAX as u64
        && HELD_BYTES_MAX >= 2 * HELD_BYTES_PER_ASKER_MAX,
    "any batch can be held, and no connection fills what all have"
);
const _: () = assert!(SUBSCRIPTIONS_MAX <= 1 << 24, "a subscription's id has 24 bits for its slot");
const _: () = assert!(HOLDS_MAX < REQUESTS_IN_FLIGHT_MAX as usize, "a hold is a request in flight");
const _: () = assert!(HANDOFF_SLOTS >= 2, "one batch in flight, one being filled");
