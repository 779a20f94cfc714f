//! Messages a second: how many may go, and how many went.

const SECOND_NS: u64 = 1_000_000_000;

/// What a limit of messages a second has left: it fills at the rate, up to a tenth of a second's.
///
/// Fractions of a message are whole numbers, a message being 10^9 parts and a nanosecond's worth
/// `rate` of them, so nothing is rounded however often it is asked.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Messages a second; 0 is no limit.
    rate: u32,
    /// What it has left, in parts of a message, as of `filled_ns`.
    parts: u64,
    filled_ns: u64,
}

impl TokenBucket {
    /// A full bucket for `rate` messages a second; 0 is no limit.
    pub fn new(rate: u32, now_ns: u64) -> Self {
        let mut bucket = Self { rate, parts: 0, filled_ns: now_ns };
        bucket.parts = bucket.parts_max();
        bucket
    }

    /// The most messages at a time: a tenth of a second's, at least one.
    pub fn burst(&self) -> u32 {
        (self.rate / 10).max(1)
    }

    /// How many messages may go now; `u32::MAX` without a limit.
    #[inline]
    pub fn available(&mut self, now_ns: u64) -> u32 {
        if self.rate == 0 {
            return u32::MAX;
        }
        self.fill(now_ns);
        (self.parts / SECOND_NS) as u32
    }

    /// Counts messages that go: no more than were [`TokenBucket::available`].
    #[inline]
    pub fn take(&mut self, messages: u32) {
        if self.rate > 0 {
            let parts = u64::from(messages) * SECOND_NS;
            debug_assert!(parts <= self.parts, "more messages go than may");
            self.parts = self.parts.saturating_sub(parts);
        }
    }

    /// Counts messages that go together, if they may: those that are more than a burst go when the
    /// bucket is full, and the next ones wait until all of them are paid for.
    pub fn try_take(&mut self, messages: u32, now_ns: u64) -> bool {
        if self.rate == 0 {
            return true;
        }
        if self.available(now_ns) < messages.min(self.burst()) {
            return false;
        }
        let wanted = u64::from(messages) * SECOND_NS;
        let owed = wanted.saturating_sub(self.parts);
        self.parts = self.parts.saturating_sub(wanted);
        let pays_ns = owed.div_ceil(u64::from(self.rate));
        self.filled_ns = self.filled_ns.saturating_add(pays_ns);
        true
    }

    /// When a message may go next: `now_ns` if one may already.
    pub fn ready_at(&mut self, now_ns: u64) -> u64 {
        if self.available(now_ns) > 0 {
            return now_ns;
        }
        let missing = SECOND_NS - self.parts;
        self.filled_ns.saturating_add(missing.div_ceil(u64::from(self.rate)))
    }

    fn fill(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.filled_ns);
        let filled = passed_ns.saturating_mul(self.rate.into());
        self.parts = self.parts.saturating_add(filled).min(self.parts_max());
        self.filled_ns = self.filled_ns.max(now_ns);
    }

    fn parts_max(&self) -> u64 {
        u64::from(self.burst()) * SECOND_NS
    }
}

/// How many messages a second went by, over about the last second: this second's, and the part of
/// the last one's that a window of one second still covers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// When this second began.
    since_ns: u64,
    current: u32,
    last: u32,
}

impl Meter {
    /// A meter that has seen nothing.
    pub const fn new() -> Self {
        Self { since_ns: 0, current: 0, last: 0 }
    }

    /// Counts messages.
    #[inline]
    pub fn add(&mut self, now_ns: u64, messages: u32) {
        if now_ns.saturating_sub(self.since_ns) >= SECOND_NS {
            self.begin_second(now_ns);
        }
        self.current = self.current.saturating_add(messages);
    }

    #[cold]
    fn begin_second(&mut self, now_ns: u64) {
        let seconds = (now_ns - self.since_ns) / SECOND_NS;
        self.last = if seconds == 1 { self.current } else { 0 };
        self.current = 0;
        self.since_ns += seconds * SECOND_NS;
    }

    /// Messages a second, now.
    pub fn per_second(&self, now_ns: u64) -> u64 {
        let mut seen = *self;
        seen.add(now_ns, 0);
        let left_ns = SECOND_NS - now_ns.saturating_sub(seen.since_ns);
        u64::from(seen.current) + u64::from(seen.last) * left_ns / SECOND_NS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Asked at any times, a bucket lets as many go as the exact sum says.
        #[test]
        fn a_bucket_neither_gains_nor_loses(
            rate in prop_oneof![1_u32..50, 1_u32..2_000_000, Just(u32::MAX)],
            start_ns in prop_oneof![Just(0_u64), Just(u64::MAX >> 1)],
            steps in prop::collection::vec((0_u64..3 * SECOND_NS, 0_u32..1_000, any::<bool>()), 80),
        ) {
            let mut bucket = TokenBucket::new(rate, start_ns);
            let burst = u128::from((rate / 10).max(1)) * 1_000_000_000;
            let (mut now_ns, mut parts) = (start_ns, burst);
            for (passed_ns, wanted, small) in steps {
                let passed_ns = if small { passed_ns / 100_000 } else { passed_ns };
                now_ns += passed_ns;
                parts = burst.min(parts + u128::from(passed_ns) * u128::from(rate));
                let available = bucket.available(now_ns);
                prop_assert_eq!(u128::from(available), parts / 1_000_000_000);
                let taken = wanted.min(available);
                bucket.take(taken);
                parts -= u128::from(taken) * 1_000_000_000;
                let ready_ns = bucket.ready_at(now_ns);
                prop_assert!(bucket.clone().available(ready_ns) > 0, "ready when it says");
                if ready_ns > now_ns {
                    prop_assert_eq!(bucket.clone().available(ready_ns - 1), 0, "and not before");
                }
            }
        }

        /// A steady stream reads as its rate, whenever it is read.
        #[test]
        fn a_meter_reads_a_steady_stream(
            start_ns in prop_oneof![Just(0_u64), 0_u64..1 << 62],
            every_ns in 1_000_000_u64..40_000_000,
            messages in 1_u32..300,
            reads in prop::collection::vec(100_u64..1_000, 1..20),
        ) {
            let mut meter = Meter::new();
            let mut now_ns = start_ns;
            for adds in reads {
                for _ in 0..adds.max(2_100_000_000 / every_ns) {
                    now_ns += every_ns;
                    meter.add(now_ns, messages);
                }
                let expected = u64::from(messages) * 1_000_000_000 / every_ns;
                let (read, slack) = (meter.per_second(now_ns), 2 * u64::from(messages) + 2);
                prop_assert!(read.abs_diff(expected) <= slack, "{read} instead of {expected}");
            }
            prop_assert_eq!(meter.per_second(now_ns + 2 * SECOND_NS), 0);
        }
    }

    #[test]
    fn a_bucket_of_an_odd_rate_keeps_its_pace_for_a_day() {
        let (mut bucket, mut sent) = (TokenBucket::new(7, 0), 0_u64);
        let mut now_ns = 0;
        // Waiting for the next whole nanosecond costs less than a millisecond a day.
        while now_ns < 86_400 * SECOND_NS + 1_000_000 {
            assert_eq!(bucket.available(now_ns), 1);
            bucket.take(1);
            sent += 1;
            now_ns = bucket.ready_at(now_ns);
        }
        assert_eq!(sent, 7 * 86_400 + 1, "the burst of one, and seven a second");
    }

    #[test]
    fn a_batch_above_the_burst_goes_and_is_paid_for_afterwards() {
        let mut bucket = TokenBucket::new(100, 0);
        assert!(bucket.try_take(250, 0), "the bucket is full: ten messages");
        assert!(!bucket.try_take(1, 2_409_999_999));
        assert!(bucket.try_take(1, 2_410_000_000), "240 are paid for, and one has come");
        assert!(!bucket.try_take(250, 2_509_000_000), "not full yet");
        let (mut sent, mut now_ns) = (0, 10 * SECOND_NS);
        while now_ns < 110 * SECOND_NS {
            sent += if bucket.try_take(64, now_ns) { 64 } else { 0 };
            now_ns += 1_000_000;
        }
        assert!((9_900..10_100).contains(&sent), "{sent} in a hundred seconds");
        assert!(TokenBucket::new(0, 0).try_take(u32::MAX, 0), "no limit");
    }

    #[test]
    fn a_bucket_bears_a_clock_that_goes_back_and_no_limit() {
        let mut bucket = TokenBucket::new(10, 5 * SECOND_NS);
        bucket.take(1);
        assert_eq!(bucket.available(SECOND_NS), 0);
        assert_eq!(bucket.ready_at(SECOND_NS), 5 * SECOND_NS + 100_000_000);
        let mut unlimited = TokenBucket::new(0, 0);
        unlimited.take(u32::MAX);
        assert_eq!((unlimited.available(0), unlimited.ready_at(3)), (u32::MAX, 3));
    }

    #[test]
    fn a_meter_forgets_a_burst_over_the_second_after_it() {
        let mut meter = Meter::new();
        meter.add(10 * SECOND_NS, 1_000);
        assert_eq!(meter.per_second(10 * SECOND_NS), 1_000);
        assert_eq!(meter.per_second(11 * SECOND_NS - 1), 1_000);
        assert_eq!(meter.per_second(11 * SECOND_NS + SECOND_NS / 4), 750);
        assert_eq!(meter.per_second(12 * SECOND_NS), 0);
        assert_eq!(
            meter.per_second(9 * SECOND_NS),
            1_000,
            "a clock that goes back changes nothing"
        );
    }
}
