//! The time of a case: a clock that only goes forward, and the wall clock, which may be set.

use super::words::{Words, duration_ms};

const NS_PER_MS: u64 = 1_000_000;

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub ns: u64,
    pub wall_ms: u64,
}

impl Clock {
    /// The wall clock when a case begins.
    pub const START_MS: u64 = 1_700_000_000_000;

    pub fn new() -> Self {
        Self { ns: 0, wall_ms: Self::START_MS }
    }

    /// Lets time pass, for both clocks.
    pub fn pass_ns(&mut self, ns: u64) {
        let before_ms = self.ns / NS_PER_MS;
        self.ns += ns;
        self.wall_ms += self.ns / NS_PER_MS - before_ms;
    }

    /// When something is due that happens so many milliseconds from now.
    pub fn in_ms(&self, ms: u64) -> u64 {
        self.ns.saturating_add(ms.saturating_mul(NS_PER_MS))
    }

    /// When the wall clock says so many milliseconds, as it goes now, or said so.
    pub fn at_wall_ms(&self, wall_ms: u64) -> u64 {
        match wall_ms.checked_sub(self.wall_ms) {
            Some(ms) => self.in_ms(ms),
            None => self.ns.saturating_sub((self.wall_ms - wall_ms).saturating_mul(NS_PER_MS)),
        }
    }

    /// What the wall clock says at a moment from now on.
    pub fn wall_at(&self, ns: u64) -> u64 {
        self.wall_ms + ns.saturating_sub(self.ns).div_ceil(NS_PER_MS)
    }

    /// Carries out `at MS`, `advance 5s`, `wall +1h` or `wall -1h`; says whether it was one of
    /// them.
    pub fn run(&mut self, words: &Words<'_>) -> bool {
        match words.verb {
            "at" => {
                let ns = duration_ms(words.word(0)) * NS_PER_MS;
                self.pass_ns(ns.checked_sub(self.ns).expect("time goes forward"));
            }
            "advance" => self.pass_ns(duration_ms(words.word(0)) * NS_PER_MS),
            "wall" => {
                let (sign, step) = words.word(0).split_at(1);
                let step = duration_ms(step);
                self.wall_ms = if sign == "-" {
                    self.wall_ms.saturating_sub(step)
                } else {
                    self.wall_ms + step
                };
            }
            _ => return false,
        }
        true
    }
}
