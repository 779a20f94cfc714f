//! Percentiles of a measurement, in nanoseconds.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Three digits: at 20 us a bucket is 16 ns wide, finer than a clock read.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Longest latency told apart, one minute; longer ones count as this.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Percentiles of many latencies, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// Collects latencies of one measurement.
pub(crate) struct Recorder {
    histogram: Histogram<u64>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
            // The bounds are constants that satisfy 1 <= low, 2 * low <= high, digits <= 5.
            .expect("constant bounds are valid");
        Self { histogram }
    }

    #[inline]
    pub(crate) fn record(&mut self, latency_ns: u64) {
        self.histogram.saturating_record(latency_ns);
    }

    pub(crate) fn latency(&self) -> Latency {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Latency {
            count: self.histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_ramp() {
        let mut recorder = Recorder::new();
        (1..=1000).for_each(|latency_ns| recorder.record(latency_ns));
        let latency = recorder.latency();
        let expected = Latency { count: 1000, p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 };
        assert_eq!(latency, expected);
    }

    #[test]
    fn a_latency_over_the_range_is_kept_at_its_end() {
        let mut recorder = Recorder::new();
        recorder.record(u64::MAX);
        assert_eq!(recorder.latency().count, 1);
        assert!(recorder.latency().max >= LATENCY_NS_MAX);
    }
}
