//! What a queue counts, and the row of figures that a stat answers.

use ringway_protocol::reply::QUEUE_COLUMNS;

use super::catalog::Queue;

/// Counters since the queue was declared, in messages unless they say otherwise.
///
/// Invariant: puts = ready + leased + acks + dead_lettered + dropped + purged.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counters {
    /// Put, by producers or as dead letters.
    pub puts: u64,
    /// Delivered, each time counted.
    pub takes: u64,
    /// Acknowledged, as they left or later.
    pub acks: u64,
    /// Given back by their consumer.
    pub nacks: u64,
    /// Leases that ran out.
    pub expired_leases: u64,
    /// Delivered not for the first time.
    pub redeliveries: u64,
    /// Moved to the dead-letter queue.
    pub dead_lettered: u64,
    /// Dropped by the policy `drop-oldest`.
    pub dropped: u64,
    /// Refused because the queue was full or they were too large, dead letters included.
    pub refused: u64,
    /// Dropped by a purge.
    pub purged: u64,
}

impl Queue {
    /// The figures in the order of [`QUEUE_COLUMNS`].
    pub fn figures(&self) -> [u64; QUEUE_COLUMNS.len()] {
        let counters = &self.counters;
        [
            self.log.ready(),
            self.leased,
            self.log.held_bytes,
            self.log.live_bytes,
            counters.puts,
            counters.takes,
            counters.acks,
            counters.nacks,
            counters.expired_leases,
            counters.redeliveries,
            counters.dead_lettered,
            counters.dropped,
            counters.refused,
            counters.purged,
            u64::from(self.waits.count),
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            self.log.live,
        ]
    }

    /// Asserts what must hold after every batch.
    #[inline]
    pub fn check(&self) {
        assert!(
            self.log.live == self.log.ready() + self.leased,
            "a held message is ready or leased"
        );
        assert!(self.log.live_bytes <= self.log.held_bytes, "live bytes are held");
        if cfg!(debug_assertions) {
            let counters = &self.counters;
            let gone = counters.acks + counters.dead_lettered + counters.dropped + counters.purged;
            assert!(counters.puts == self.log.live + gone, "every message is accounted for");
        }
    }
}
