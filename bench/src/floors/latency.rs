//! Percentiles of a measurement, in nanoseconds.

use std::time::{Duration, Instant};

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

/// Makes round trips for `duration` after a warm-up, at least one, and returns how long they took.
pub(crate) fn of_trips<E>(
    duration: Duration,
    mut trip: impl FnMut() -> Result<(), E>,
) -> Result<Latency, E> {
    let warm = Instant::now() + duration / 10;
    while Instant::now() < warm {
        trip()?;
    }
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
        // The bounds are constants that satisfy 1 <= low, 2 * low <= high, digits <= 5.
        .expect("constant bounds are valid");
    let mut began = Instant::now();
    let ends = began + duration;
    // The end of one round trip is the beginning of the next: one clock read a trip.
    while histogram.is_empty() || began < ends {
        trip()?;
        let ended = Instant::now();
        histogram.saturating_record((ended - began).as_nanos() as u64);
        began = ended;
    }
    Ok(Latency::of(&histogram))
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_ramp() {
        let mut histogram = Histogram::new(SIGNIFICANT_DIGITS).expect("valid digits");
        (1..=1000).for_each(|latency_ns| histogram.record(latency_ns).expect("it resizes"));
        let expected = Latency { count: 1000, p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 };
        assert_eq!(Latency::of(&histogram), expected);
    }

    #[test]
    fn trips_are_timed_from_end_to_end() {
        let mut trips = 0;
        let nap = Duration::from_millis(2);
        let latency = of_trips(10 * nap, || {
            trips += 1;
            std::thread::sleep(nap);
            Ok::<_, ()>(())
        });
        let latency = latency.expect("no trip fails");
        assert!(latency.count < trips, "the warm-up is not counted");
        assert!(latency.p50 >= 2_000_000 && latency.p50 <= latency.max, "{latency:?}");
    }

    #[test]
    fn a_trip_longer_than_the_time_is_still_measured_and_a_failed_one_ends_it() {
        let nothing = Duration::ZERO;
        assert_eq!(of_trips(nothing, || Ok::<_, ()>(())).expect("no trip fails").count, 1);
        assert_eq!(of_trips(nothing, || Err("gone")), Err("gone"));
    }
}
