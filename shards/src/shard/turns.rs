//! How long turns take, and how much of that the host took: a shard is only as punctual as its CPU
//! is its own.

use crate::stats::ShardStats;
use hdrhistogram::Histogram;

/// Nanoseconds between two publications of the percentiles.
const PUBLISH_NS: u64 = 1_000_000_000;
/// A turn longer than this counts as this long, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;
/// Nanoseconds between two readings of the thread's CPU time, a system call of 200. A turn of half
/// as long is looked at in any case.
const READ_NS: u64 = 1_000_000;

/// The durations of a shard's turns that did something, since it started.
#[derive(Debug)]
pub(crate) struct Turns {
    durations: Histogram<u64>,
    /// The same, less what the thread was kept from its CPU.
    own: Histogram<u64>,
    /// The clock and the thread's CPU time when both were read last, if the thread has not slept
    /// since.
    read: Option<(u64, u64)>,
    /// When the CPU time is read again.
    read_at_ns: u64,
    published_ns: u64,
}

impl Turns {
    pub fn new() -> Self {
        let durations = Histogram::new_with_max(LONGEST_NS, 2).expect("the bounds are in order");
        Self { own: durations.clone(), durations, read: None, read_at_ns: 0, published_ns: 0 }
    }

    /// A turn that began at `began_ns` took so long. `cpu_ns` reads the thread's CPU time.
    #[inline]
    pub fn note(
        &mut self,
        (began_ns, took_ns): (u64, u64),
        stats: &ShardStats,
        cpu_ns: impl FnOnce() -> u64,
    ) {
        let mut kept_off_ns = 0;
        if took_ns >= READ_NS / 2 || began_ns >= self.read_at_ns {
            kept_off_ns = self.read(began_ns + took_ns, stats, cpu_ns());
        }
        stats.longest_turn_ns.raise(took_ns);
        self.durations.saturating_record(took_ns);
        self.own.saturating_record(took_ns.saturating_sub(kept_off_ns));
        if began_ns.saturating_sub(self.published_ns) >= PUBLISH_NS {
            self.published_ns = began_ns;
            stats.turn_p9999_ns.set(self.durations.value_at_quantile(0.9999));
            stats.turn_own_p9999_ns.set(self.own.value_at_quantile(0.9999));
        }
    }

    /// The CPU time was read; nanoseconds since the last reading in which the thread did not run.
    fn read(&mut self, now_ns: u64, stats: &ShardStats, cpu_ns: u64) -> u64 {
        stats.cpu_ns.set(cpu_ns);
        let kept_off_ns = self.read.map_or(0, |(then_ns, cpu_then_ns)| {
            now_ns.saturating_sub(then_ns).saturating_sub(cpu_ns.saturating_sub(cpu_then_ns))
        });
        stats.kept_off_ns.add(kept_off_ns);
        self.read = Some((now_ns, cpu_ns));
        self.read_at_ns = now_ns + READ_NS;
        kept_off_ns
    }

    /// The thread has slept: what it did not run meanwhile was its own wish.
    #[inline]
    pub fn slept(&mut self) {
        self.read = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_the_host_took_is_told_apart_from_the_turn() {
        let (mut turns, stats) = (Turns::new(), ShardStats::default());
        turns.note((10 * MS, 0), &stats, || 5 * MS);
        turns.note((11 * MS, 6 * MS), &stats, || 8 * MS);
        assert_eq!((stats.longest_turn_ns.get(), stats.kept_off_ns.get()), (6 * MS, 4 * MS));
        let longest = |all: &Histogram<u64>| all.max() / MS;
        assert_eq!((longest(&turns.durations), longest(&turns.own)), (6, 2));
    }

    #[test]
    fn sleep_is_not_taken_by_the_host() {
        let (mut turns, stats) = (Turns::new(), ShardStats::default());
        turns.note((10 * MS, 0), &stats, || 5 * MS);
        turns.slept();
        turns.note((500 * MS, 2 * MS), &stats, || 7 * MS);
        assert_eq!((stats.kept_off_ns.get(), stats.cpu_ns.get()), (0, 7 * MS));
    }

    #[test]
    fn the_cpu_time_is_not_read_each_turn() {
        let (mut turns, stats) = (Turns::new(), ShardStats::default());
        turns.note((10 * MS, 0), &stats, || 5 * MS);
        turns.note((10 * MS + 10, 1), &stats, || unreachable!("it was read a moment ago"));
    }
}
