//! Where every choice of a run comes from: one seed, and generators forked from it.

use crate::parcel::spread;

/// A probability in parts of a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rate(pub u32);

impl Rate {
    /// It never happens.
    pub const NEVER: Rate = Rate(0);
}

/// A generator of choices. The same seed makes the same choices, on every machine.
#[derive(Debug)]
pub struct Chance {
    generator: fastrand::Rng,
}

impl Chance {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Self {
        // Seeds are small numbers in a row; spread them, so that neighbours have nothing in common.
        Self { generator: fastrand::Rng::with_seed(spread(seed)) }
    }

    /// A generator of its own for one part of the world, so that parts do not disturb each other.
    pub fn fork(&mut self) -> Self {
        Self { generator: self.generator.fork() }
    }

    /// A number below `limit`, which must be above 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.generator.usize(..limit)
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        self.generator.u64(first..=last)
    }

    /// A number from 1 to `largest`, small ones as likely as large ones of each magnitude.
    pub fn magnitude(&mut self, largest: usize) -> usize {
        let bits = usize::BITS - largest.leading_zeros();
        let width = self.generator.u32(1..=bits);
        let below = if width >= bits { largest } else { (1 << width) - 1 };
        self.generator.usize(1..=below)
    }

    /// Whether something of this rate happens now.
    pub fn happens(&mut self, rate: Rate) -> bool {
        rate.0 > 0 && self.generator.u32(..1_000_000) < rate.0
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.generator.u32(..times) == 0
    }

    /// One of several values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_every_choice_and_its_neighbour_makes_others() {
        let choices = |seed| {
            let mut chance = Chance::new(seed);
            let mut fork = chance.fork();
            (0..64).map(|_| chance.below(1000) + fork.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }

    #[test]
    fn magnitudes_stay_within_their_bounds_and_reach_both_ends() {
        let mut chance = Chance::new(1);
        let drawn: Vec<usize> = (0..2000).map(|_| chance.magnitude(20)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&1), Some(&20)));
    }
}
