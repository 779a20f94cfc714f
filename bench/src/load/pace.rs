//! Open loop: rounds begin when the schedule says so, whether earlier ones are done or not.

use std::time::Duration;

/// A thread's share of the schedule: one round every so many nanoseconds.
///
/// The k-th round belongs at `start + k x interval`, and its latency counts from there. A server
/// that stalls makes rounds late, not rare: what should have been sent meanwhile is sent
/// afterwards, with the latency that a user would have seen (no coordinated omission).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval_ns: f64,
    start_ns: u64,
    begun: u64,
}

impl Pace {
    /// The share of one of `threads` threads in `rate` messages a second, `batch` a round.
    pub fn new(rate: f64, batch: u32, threads: usize) -> Self {
        let interval_ns = 1e9 * f64::from(batch) * threads as f64 / rate;
        Self { interval_ns, start_ns: 0, begun: 0 }
    }

    /// The schedule starts now.
    pub fn start(&mut self, now_ns: u64) {
        (self.start_ns, self.begun) = (now_ns, 0);
    }

    /// When the next round belongs.
    #[inline]
    pub fn next_ns(&self) -> u64 {
        self.start_ns + (self.begun as f64 * self.interval_ns) as u64
    }

    /// The next round begins.
    #[inline]
    pub fn advance(&mut self) {
        self.begun += 1;
    }

    /// How long a thread may sleep at `now_ns`, in whole milliseconds as the kernel counts them:
    /// the rest it polls, so that rounds are not late by its rounding.
    pub fn sleep(&self, now_ns: u64) -> Duration {
        Duration::from_millis(self.next_ns().saturating_sub(now_ns) / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_keep_their_places_whatever_happens_in_between() {
        let mut pace = Pace::new(3_000_000.0, 1, 1);
        pace.start(1000);
        for _ in 0..3_000_000 {
            pace.advance();
        }
        assert_eq!(pace.next_ns(), 1_000_001_000, "no rounding adds up");
        assert_eq!(pace.sleep(998_500_000), Duration::from_millis(1));
        assert_eq!(pace.sleep(u64::MAX), Duration::ZERO);
    }
}
