//! How long a message waits before it is delivered again, and the dice for it.

/// A queue's back-off. Without a base nothing waits; with one and no maximum each delay is the
/// base; with both it doubles from delivery to delivery up to the maximum, give or take a quarter,
/// so that what failed together does not come back together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Backoff {
    /// Milliseconds after the first delivery; 0 is no delay.
    pub base_ms: u32,
    /// Milliseconds that doubling stops at; 0 is no doubling.
    pub max_ms: u32,
}

impl Backoff {
    /// Milliseconds that a message waits which has been delivered `deliveries` times. `random` is
    /// 64 random bits. The quarter is taken of the bounded delay, so a delay may be up to 1.25
    /// times the maximum.
    pub fn delay_ms(&self, deliveries: u32, random: u64) -> u32 {
        if self.base_ms == 0 || self.max_ms == 0 {
            return self.base_ms;
        }
        // A base of 32 bits that is doubled 32 times is more than any maximum.
        let doublings = deliveries.saturating_sub(1).min(32);
        let delay_ms = (u64::from(self.base_ms) << doublings).min(self.max_ms.into());
        let jitter_ms = ((u128::from(random) * u128::from(delay_ms / 2 + 1)) >> 64) as u64;
        u32::try_from(delay_ms - delay_ms / 4 + jitter_ms).unwrap_or(u32::MAX)
    }
}

/// Random numbers from a seed: splitmix64. Not for secrets.
#[derive(Clone, Debug)]
pub(in crate::path::queue) struct Random {
    state: u64,
}

impl Random {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least and the most that a back-off gives.
    fn range(base_ms: u32, max_ms: u32, deliveries: u32) -> (u32, u32) {
        let backoff = Backoff { base_ms, max_ms };
        (backoff.delay_ms(deliveries, 0), backoff.delay_ms(deliveries, u64::MAX))
    }

    #[test]
    fn delays_double_up_to_the_maximum_give_or_take_a_quarter() {
        for (base_ms, max_ms, deliveries, expected) in [
            (0, 0, 9, (0, 0)),
            (0, 1_000, 9, (0, 0)),
            (500, 0, 1, (500, 500)),
            (500, 0, u32::MAX, (500, 500)),
            (100, 60_000, 0, (75, 125)),
            (100, 60_000, 1, (75, 125)),
            (100, 60_000, 2, (150, 250)),
            (100, 60_000, 5, (1_200, 2_000)),
            (100, 60_000, 11, (45_000, 75_000)),
            (100, 60_000, u32::MAX, (45_000, 75_000)),
            (1_000, 400, 1, (300, 500)),
            (1, 8, 1, (1, 1)),
            (u32::MAX, u32::MAX, 40, (u32::MAX - u32::MAX / 4, u32::MAX)),
        ] {
            assert_eq!(range(base_ms, max_ms, deliveries), expected, "{base_ms} {deliveries}");
        }
    }

    #[test]
    fn jitter_is_spread_evenly() {
        let (backoff, mut random) = (Backoff { base_ms: 1_000, max_ms: 1_000 }, Random::new(1));
        let mut tenths = [0; 10];
        for _ in 0..50_000 {
            let delay_ms = backoff.delay_ms(1, random.next());
            tenths[((delay_ms - 750) / 50).min(9) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (4_600..5_400).contains(count)), "{tenths:?}");
    }

    /// The numbers that its authors' program prints for this seed.
    #[test]
    fn random_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next()).collect();
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, expected);
    }
}
