//! The measured time: what the counters said before and after.

use std::sync::atomic::Ordering::Relaxed;

use ringway_client::FigureTable;

use crate::load::control::Published;
use crate::load::report::Shard;

/// All counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken, in nanoseconds of the run's clock.
    pub at_ns: u64,
    /// Operations done, in messages.
    pub messages: u64,
    /// Requests answered.
    pub requests: u64,
    /// Messages of refused requests.
    pub refused: u64,
    /// Messages of failed requests.
    pub failed: u64,
    by_shard: Vec<u64>,
    /// The server's own figures, if it gave any.
    pub plane: FigureTable,
}

impl Snapshot {
    /// Adds up what the threads have published.
    pub fn take(at_ns: u64, published: &[Published]) -> Self {
        let mut snapshot = Self { at_ns, ..Self::default() };
        for thread in published {
            snapshot.messages += thread.messages.load(Relaxed);
            snapshot.requests += thread.requests.load(Relaxed);
            snapshot.refused += thread.refused.load(Relaxed);
            snapshot.failed += thread.failed.load(Relaxed);
            snapshot.by_shard.resize(thread.by_shard.len(), 0);
            for (sum, messages) in snapshot.by_shard.iter_mut().zip(&thread.by_shard) {
                *sum += messages.load(Relaxed);
            }
        }
        snapshot
    }
}

/// The differences of pairs of snapshots, added up.
#[derive(Clone, Debug)]
pub struct Window {
    ns: u64,
    /// Operations done, in messages.
    pub messages: u64,
    /// Requests answered.
    pub requests: u64,
    shards: Vec<Shard>,
}

impl Window {
    /// Nothing measured yet, of a plane of so many shards.
    pub fn new(shards: usize) -> Self {
        let shards = (0..shards).map(|shard| Shard { shard, ..Shard::default() }).collect();
        Self { ns: 0, messages: 0, requests: 0, shards }
    }

    /// Adds the time between two snapshots.
    pub fn add(&mut self, before: &Snapshot, after: &Snapshot) {
        self.ns += after.at_ns.saturating_sub(before.at_ns);
        self.messages += after.messages - before.messages;
        self.requests += after.requests - before.requests;
        for (index, shard) in self.shards.iter_mut().enumerate() {
            shard.messages += after.by_shard[index] - before.by_shard[index];
            let grown = |column| {
                let (before, after) = (&before.plane, &after.plane);
                // A table is empty where the server did not answer.
                if before.is_empty() {
                    0
                } else {
                    after.get(index, column).saturating_sub(before.get(index, column))
                }
            };
            shard.requests += grown("requests");
            shard.handoffs += grown("handoffs_out");
            shard.cpu_ns += grown("cpu_ns");
            shard.cpu = after.plane.get(index, "cpu");
            shard.connections = after.plane.get(index, "connections");
        }
    }

    /// Seconds measured.
    pub fn seconds(&self) -> f64 {
        self.ns as f64 / 1e9
    }

    /// CPU time of all shards, in nanoseconds.
    pub fn server_cpu_ns(&self) -> u64 {
        self.shards.iter().map(|shard| shard.cpu_ns).sum()
    }

    /// The shards with their shares.
    pub fn shards(&self) -> Vec<Shard> {
        let share = |part: u64| part as f64 / self.ns.max(1) as f64;
        let finish = |shard: &Shard| Shard {
            messages_per_second: share(shard.messages) * 1e9,
            busy_share: share(shard.cpu_ns),
            ..*shard
        };
        self.shards.iter().map(finish).collect()
    }
}
