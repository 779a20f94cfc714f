//! What one call costs: percentiles with a clock read around each, and means without.

use std::time::Instant;

use hdrhistogram::Histogram;

/// What one operation costs, in nanoseconds; a clock read is subtracted from each percentile.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Percentiles {
    /// Half of the operations take at most this.
    pub p50_ns: u64,
    /// 95 of 100.
    pub p95_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1,000.
    pub p999_ns: u64,
    /// What one clock read costs (median); it was subtracted.
    pub clock_ns: u64,
    /// The median of a hundred means, each over calls without any clock read between them: what a
    /// call costs when nothing else runs on the CPU.
    pub unclocked_ns: f64,
}

/// Times `count` calls one by one, after a tenth as many to warm up.
pub fn percentiles(count: u64, mut call: impl FnMut()) -> Percentiles {
    let histogram = || Histogram::<u64>::new_with_max(1_000_000_000, 3).expect("valid bounds");
    (0..count / 10).for_each(|_| call());
    let mut clock = histogram();
    let mut before = Instant::now();
    for _ in 0..count.min(100_000) {
        let now = Instant::now();
        clock.saturating_record((now - before).as_nanos() as u64);
        before = now;
    }
    let clock_ns = clock.value_at_quantile(0.5);
    let mut calls = histogram();
    before = Instant::now();
    for _ in 0..count {
        call();
        let now = Instant::now();
        calls.saturating_record((now - before).as_nanos() as u64);
        before = now;
    }
    let stretch = (count / 100).max(1);
    let mut means: Vec<f64> = (0..100)
        .map(|_| {
            let begin = Instant::now();
            (0..stretch).for_each(|_| call());
            begin.elapsed().as_nanos() as f64 / stretch as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |quantile| calls.value_at_quantile(quantile).saturating_sub(clock_ns);
    Percentiles {
        p50_ns: at(0.5),
        p95_ns: at(0.95),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        clock_ns,
        unclocked_ns: means[means.len() / 2],
    }
}
