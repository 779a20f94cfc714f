//! How long turns take.

use crate::stats::ShardStats;
use hdrhistogram::Histogram;

/// Nanoseconds between two publications of the percentile.
const PUBLISH_NS: u64 = 1_000_000_000;
/// A turn longer than this counts as this long, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// The durations of a shard's turns that did something, since it started.
#[derive(Debug)]
pub(crate) struct Turns {
    durations: Histogram<u64>,
    published_ns: u64,
}

impl Turns {
    pub fn new() -> Self {
        let durations = Histogram::new_with_max(LONGEST_NS, 2).expect("the bounds are in order");
        Self { durations, published_ns: 0 }
    }

    /// A turn that began at `began_ns` took so long.
    #[inline]
    pub fn note(&mut self, began_ns: u64, took_ns: u64, stats: &ShardStats) {
        stats.longest_turn_ns.raise(took_ns);
        self.durations.saturating_record(took_ns);
        if began_ns.saturating_sub(self.published_ns) >= PUBLISH_NS {
            self.published_ns = began_ns;
            stats.turn_p9999_ns.set(self.durations.value_at_quantile(0.9999));
        }
    }
}
