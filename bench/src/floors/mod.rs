//! Floors: what no server on this host beats, measured with the least code that can do it.
//!
//! A figure of ours means little alone, because absolute figures move between machines and between
//! runs. So each has a floor taken in the same run: raw epoll and a raw ring for what crosses a
//! socket, a plain `rtrb` ring for what crosses a core. The floors do nothing that a message queue
//! must do (no frames, no queues, no leases); the distance to them is what those cost.
//!
//! Every floor is a function that pins a server thread to one CPU and a client thread to another,
//! measures for about the time it is given, and returns a small value that serialises:
//!
//! | file | what |
//! |---|---|
//! | `cpus`, `pair` | the two CPUs, and the two threads pinned to them |
//! | `latency` | percentiles from an `hdrhistogram` |
//! | `client` | the ping-pong client and the streaming client, used by every server |
//! | `epoll` | echo and sink servers on raw epoll, busy-polling or sleeping |
//! | `raw_ring`, `buffer_ring` | the same servers on a raw `io_uring` |
//! | `spsc` | `rtrb` on one thread and across two cores |
//! | `scattered` | records that come in one order and go in another, on one thread |
//!
//! Unsafe code is allowed here and nowhere else in this crate: these are raw kernel interfaces.

mod buffer_ring;
mod client;
pub mod cpus;
pub mod epoll;
pub mod latency;
mod pair;
pub mod raw_ring;
pub mod scattered;
pub mod spsc;

use serde::Serialize;

pub use client::{ClientWait, PING_BYTES_MAX, STREAM_WRITE_BYTES};
pub use cpus::CpuPair;
pub use latency::Latency;

/// What a socket server does with the bytes it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Sends them back.
    Echo,
    /// Drops them.
    Sink,
}

/// Round trips of one message between a server and a client, each pinned to its CPU.
#[derive(Clone, Debug, Serialize)]
pub struct PingPong {
    /// The server and how it waits.
    pub server: String,
    /// How the client waits for the reply.
    pub client: ClientWait,
    /// Bytes each way.
    pub message_bytes: usize,
    /// Where both threads were pinned.
    pub cpus: CpuPair,
    /// Time from before the write to after the last byte of the reply, nanoseconds.
    pub latency_ns: Latency,
}

/// A one-way stream into a server that drops it.
#[derive(Clone, Debug, Serialize)]
pub struct Stream {
    /// The server and how it waits.
    pub server: String,
    /// Bytes in each write of the client.
    pub write_bytes: usize,
    /// Where both threads were pinned.
    pub cpus: CpuPair,
    /// Bytes the server read, all of them.
    pub bytes: u64,
    /// From the first write until the server had read the last byte.
    pub seconds: f64,
    /// `bytes / seconds`.
    pub bytes_per_second: f64,
}
