//! Counters of one shard: its owner writes, everybody may read, nobody locks.

use ringway_protocol::reply::SHARD_COLUMNS;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer. Readers see some recent value; numbers are not read together.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Adds. Only the owner may call this: it is a load and a store, not a read-modify-write.
    #[inline]
    pub fn add(&self, number: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
    }

    /// Sets. Only the owner may call this.
    #[inline]
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// Keeps the larger. Only the owner may call this.
    #[inline]
    pub fn raise(&self, number: u64) {
        if number > self.get() {
            self.set(number);
        }
    }

    /// Some recent value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The figures of one shard. Counts only grow; gauges are named so.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ShardStats {
    /// The CPU that the shard is pinned to, plus 1; 0 for none.
    pub cpu: Figure,
    /// Gauge: open connections.
    pub connections: Figure,
    /// Connections taken on.
    pub connections_accepted: Figure,
    /// Gauge: queues.
    pub queues: Figure,
    /// Gauge: messages held, ready and leased.
    pub messages: Figure,
    /// Requests carried out here, of lanes too.
    pub requests: Figure,
    /// Gauge: 1 from when the shard refuses puts because the plane goes down.
    pub draining: Figure,
    /// Messages put.
    pub puts: Figure,
    /// Messages delivered.
    pub takes: Figure,
    /// Messages acknowledged.
    pub acks: Figure,
    /// Requests refused.
    pub refused: Figure,
    /// Bytes received.
    pub bytes_in: Figure,
    /// Bytes sent.
    pub bytes_out: Figure,
    /// Batches handed to other shards.
    pub handoffs_out: Figure,
    /// Times that a connection stopped because the ring to another shard was full.
    pub handoffs_full: Figure,
    /// Turns of the loop.
    pub turns: Figure,
    /// Times that the shard went to sleep.
    pub parks: Figure,
    /// Nanoseconds of CPU time used by the shard's thread.
    pub cpu_ns: Figure,
    /// Nanoseconds of the longest turn.
    pub longest_turn_ns: Figure,
    /// Nanoseconds that 9,999 of 10,000 turns stay within; renewed once a second.
    pub turn_p9999_ns: Figure,
    /// The same of what turns take when the time is left out in which the thread was kept from its
    /// CPU.
    pub turn_own_p9999_ns: Figure,
    /// Nanoseconds that the thread was kept from its CPU while it had something to do.
    pub kept_off_ns: Figure,
    /// Accepts that failed.
    pub accept_errors: Figure,
    /// Receives that ended because their group had no buffer left.
    pub receive_buffers_empty: Figure,
}

impl ShardStats {
    /// The figures in the order of [`SHARD_COLUMNS`].
    pub fn row(&self, shard: usize) -> Vec<u64> {
        let row = [
            shard as u64,
            self.cpu.get(),
            self.connections.get(),
            self.connections_accepted.get(),
            self.queues.get(),
            self.requests.get(),
            self.puts.get(),
            self.takes.get(),
            self.acks.get(),
            self.refused.get(),
            self.bytes_in.get(),
            self.bytes_out.get(),
            self.handoffs_out.get(),
            self.handoffs_full.get(),
            self.turns.get(),
            self.parks.get(),
            self.cpu_ns.get(),
            self.longest_turn_ns.get(),
            self.accept_errors.get(),
            self.receive_buffers_empty.get(),
            self.turn_p9999_ns.get(),
            self.turn_own_p9999_ns.get(),
            self.kept_off_ns.get(),
        ];
        const _: () = assert!(SHARD_COLUMNS.len() == 23, "one figure a column");
        row.to_vec()
    }
}
