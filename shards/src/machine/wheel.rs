//! A hierarchical timing wheel: arming and disarming cost the same however many timers there are.
//!
//! Time is cut into ticks of about a millisecond. A timer lies in the list of the highest six-bit
//! group in which its tick differs from the wheel's own: level 0 holds the ticks of the current
//! block of 64, level 1 the blocks of the current 4,096, and so on. When the wheel reaches a block,
//! its timers move down a level, one step each. A timer never fires early and, if [`Wheel::expire`]
//! is called often enough, at most one tick late. Timers of one tick fire in the order in which
//! they were armed. No unsafe code: lists are indices into one growing array.

/// A tick is 2^20 nanoseconds, some 1.05 ms: a shift instead of a division.
const TICK_SHIFT: u32 = 20;
/// Nanoseconds of a tick: the most that a timer fires late.
pub const TICK_NS: u64 = 1 << TICK_SHIFT;
/// Lists of a level: one bit each in a word.
const SLOTS: usize = 64;
/// Eight levels of six bits span 48 bits of ticks, more than 64 bits of nanoseconds have.
const LEVELS: usize = 8;
const NIL: u32 = u32::MAX;
/// The list of a timer that is not armed.
const FREE: u16 = u16::MAX;

const _: () = assert!(6 * LEVELS as u32 + TICK_SHIFT >= 64, "every deadline has its level");

/// Names an armed timer until it fires or is disarmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId(u32);

#[derive(Debug)]
struct Timer<T> {
    /// The first tick at which it may fire.
    tick: u64,
    /// Neighbours in a circular list; of a free timer, `next` is the next free one.
    previous: u32,
    next: u32,
    list: u16,
    item: T,
}

/// Timers that carry a `T`, kept by deadline.
///
/// Invariant: a list is marked in `occupied` if and only if it is not empty, and except for the
/// list that is being moved down, every list of a level above 0 begins after `tick`.
#[derive(Debug)]
pub struct Wheel<T> {
    timers: Vec<Timer<T>>,
    free: u32,
    armed: usize,
    /// Everything before this tick has fired.
    tick: u64,
    /// The list that is being moved down, one timer a step.
    moving: Option<usize>,
    /// A bit a level that has timers, and in it a bit a list that has.
    levels: u8,
    occupied: [u64; LEVELS],
    firsts: [u32; LEVELS * SLOTS],
    /// The earliest tick of each list since it was empty last; it may have been disarmed.
    earliest: [u64; LEVELS * SLOTS],
}

impl<T: Copy> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Wheel<T> {
    /// A wheel without timers. Its clock starts with the first [`Wheel::expire`].
    pub fn new() -> Self {
        Self {
            timers: Vec::new(),
            free: NIL,
            armed: 0,
            tick: 0,
            moving: None,
            levels: 0,
            occupied: [0; LEVELS],
            firsts: [NIL; LEVELS * SLOTS],
            earliest: [0; LEVELS * SLOTS],
        }
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.armed
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// Arms a timer. One whose deadline has passed fires at the next [`Wheel::expire`].
    #[inline]
    pub fn arm(&mut self, deadline_ns: u64, item: T) -> TimerId {
        let index = if self.free == NIL {
            self.timers.push(Timer { tick: 0, previous: NIL, next: NIL, list: FREE, item });
            (self.timers.len() - 1) as u32
        } else {
            let index = self.free;
            self.free = self.timers[index as usize].next;
            self.timers[index as usize].item = item;
            index
        };
        self.armed += 1;
        self.link(index, deadline_ns.div_ceil(TICK_NS).max(self.tick));
        TimerId(index)
    }

    /// When an armed timer fires: at its deadline, or up to a tick later.
    pub fn deadline_ns(&self, timer: TimerId) -> u64 {
        self.timers[timer.0 as usize].tick.saturating_mul(TICK_NS)
    }

    /// Disarms a timer and returns what it carried. Panics if it has fired or was disarmed.
    #[inline]
    pub fn disarm(&mut self, timer: TimerId) -> T {
        assert!(
            self.timers[timer.0 as usize].list != FREE,
            "a timer is disarmed while it is armed"
        );
        self.unlink(timer.0);
        self.set_free(timer.0)
    }

    /// Takes out one timer whose deadline is at or before `now_ns`. Each timer fired or moved down
    /// takes one from `budget`; at 0 nothing is done, and what is due waits for the next call.
    pub fn expire(&mut self, now_ns: u64, budget: &mut usize) -> Option<T> {
        let now = now_ns >> TICK_SHIFT;
        loop {
            if *budget == 0 {
                return None;
            }
            if let Some(list) = self.moving {
                let first = self.firsts[list];
                if first == NIL {
                    self.moving = None;
                    continue;
                }
                *budget -= 1;
                self.unlink(first);
                let tick = self.timers[first as usize].tick;
                self.link(first, tick.max(self.tick));
                continue;
            }
            let Some((list, start)) = self.next_list().filter(|(_, start)| *start <= now) else {
                self.tick = self.tick.max(now);
                return None;
            };
            self.tick = start;
            if list >= SLOTS {
                self.moving = Some(list);
                continue;
            }
            *budget -= 1;
            let first = self.firsts[list];
            self.unlink(first);
            return Some(self.set_free(first));
        }
    }

    /// When [`Wheel::expire`] has something to do next: at most one tick after the earliest
    /// deadline. After a timer was disarmed it may be too early, once.
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.moving.is_some_and(|list| self.firsts[list] != NIL) {
            return Some(self.tick << TICK_SHIFT);
        }
        let (list, _) = self.next_list()?;
        Some(self.earliest[list] << TICK_SHIFT)
    }

    /// The list that comes next and its first tick: the lowest level's first one.
    #[inline]
    fn next_list(&self) -> Option<(usize, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let slot = self.occupied[level as usize].trailing_zeros();
        let above = 6 * (level + 1);
        let start = (self.tick >> above << above) | u64::from(slot) << (6 * level);
        Some((level as usize * SLOTS + slot as usize, start))
    }

    /// Appends a timer to the list of its tick, which must not be before the wheel's.
    #[inline]
    fn link(&mut self, index: u32, tick: u64) {
        debug_assert!(tick >= self.tick);
        // The highest bit that differs names the level; a tick that is now belongs to level 0.
        let level = (63 - ((tick ^ self.tick) | 1).leading_zeros()) / 6;
        let slot = (tick >> (6 * level)) as usize % SLOTS;
        let list = level as usize * SLOTS + slot;
        let first = self.firsts[list];
        let (previous, next) = if first == NIL {
            self.firsts[list] = index;
            self.earliest[list] = tick;
            self.occupied[level as usize] |= 1 << slot;
            self.levels |= 1 << level;
            (index, index)
        } else {
            self.earliest[list] = self.earliest[list].min(tick);
            let last = self.timers[first as usize].previous;
            self.timers[last as usize].next = index;
            self.timers[first as usize].previous = index;
            (last, first)
        };
        let timer = &mut self.timers[index as usize];
        (timer.tick, timer.list) = (tick, list as u16);
        (timer.previous, timer.next) = (previous, next);
    }

    #[inline]
    fn unlink(&mut self, index: u32) {
        let Timer { previous, next, list, .. } = self.timers[index as usize];
        let list = usize::from(list);
        if next == index {
            self.firsts[list] = NIL;
            let level = list / SLOTS;
            self.occupied[level] &= !(1 << (list % SLOTS));
            if self.occupied[level] == 0 {
                self.levels &= !(1 << level);
            }
            return;
        }
        self.timers[previous as usize].next = next;
        self.timers[next as usize].previous = previous;
        if self.firsts[list] == index {
            self.firsts[list] = next;
        }
    }

    #[inline]
    fn set_free(&mut self, index: u32) -> T {
        let timer = &mut self.timers[index as usize];
        timer.list = FREE;
        timer.next = self.free;
        self.free = index;
        self.armed -= 1;
        timer.item
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Arm { in_ns: u64 },
        Disarm { which: usize },
        Pass { ns: u64, budget: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        let delay = || {
            prop_oneof![
                0_u64..5_000_000,
                0_u64..300_000_000,
                0_u64..60_000_000_000,
                0_u64..50_000_000_000_000,
                Just(0),
            ]
        };
        prop_oneof![
            4 => delay().prop_map(|in_ns| Op::Arm { in_ns }),
            1 => any::<usize>().prop_map(|which| Op::Disarm { which }),
            3 => (delay(), prop_oneof![4 => Just(10_000), 1 => 0_usize..9])
                .prop_map(|(ns, budget)| Op::Pass { ns, budget }),
        ]
    }

    fn check(start_ns: u64, ops: Vec<Op>) {
        let mut wheel = Wheel::new();
        let mut model: BTreeMap<(u64, usize), TimerId> = BTreeMap::new();
        let mut now_ns = start_ns;
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Arm { in_ns } => {
                    let deadline_ns = now_ns + in_ns;
                    let timer = wheel.arm(deadline_ns, (deadline_ns, number));
                    model.insert((deadline_ns, number), timer);
                }
                Op::Disarm { which } => {
                    let Some(key) = model.keys().nth(which % model.len().max(1)).copied() else {
                        continue;
                    };
                    assert_eq!(wheel.disarm(model.remove(&key).unwrap()), key);
                }
                Op::Pass { ns, budget } => {
                    now_ns += ns;
                    let (mut left, mut last_tick) = (budget, 0);
                    while let Some((deadline_ns, armed)) = wheel.expire(now_ns, &mut left) {
                        assert!(deadline_ns <= now_ns, "a timer never fires early");
                        assert!(model.remove(&(deadline_ns, armed)).is_some());
                        let tick = deadline_ns.div_ceil(TICK_NS);
                        assert!(tick >= last_tick || budget < 10_000, "in the order of deadlines");
                        last_tick = tick;
                    }
                    let due = model.keys().filter(|(deadline, _)| deadline + TICK_NS <= now_ns);
                    assert!(left == 0 || due.count() == 0, "a timer fires at most a tick late");
                }
            }
            assert_eq!(wheel.len(), model.len());
            let earliest = model.keys().next().map(|(deadline_ns, _)| *deadline_ns);
            assert_eq!(wheel.next_deadline().is_some(), earliest.is_some());
            if let (Some(next), Some(earliest)) = (wheel.next_deadline(), earliest) {
                assert!(next < earliest.max(now_ns) + TICK_NS, "never late by more than a tick");
            }
        }
        // Driven by its own deadlines, the wheel fires everything, and soon.
        let mut steps = 0;
        while let Some(next_ns) = wheel.next_deadline() {
            now_ns = now_ns.max(next_ns);
            while wheel.expire(now_ns, &mut 10_000).is_some() {}
            steps += 1;
            assert!(steps <= 2 * model.len() + 2, "no more wakes than timers and stale lists");
        }
        assert!(wheel.is_empty());
    }

    proptest! {
        #[test]
        fn a_wheel_is_a_map_by_deadline(
            start_ns in prop_oneof![Just(0_u64), 0_u64..1 << 62],
            ops in prop::collection::vec(op(), 1..200),
        ) {
            check(start_ns, ops);
        }
    }

    #[test]
    fn timers_of_one_tick_fire_in_the_order_of_arming() {
        let mut wheel = Wheel::new();
        for item in 0..100 {
            wheel.arm(40_000_000_000, item);
        }
        let mut fired = Vec::new();
        while let Some(item) = wheel.expire(40_001_048_576, &mut 1_000) {
            fired.push(item);
        }
        assert_eq!(fired, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_budget_bounds_what_one_call_does_and_loses_nothing() {
        let mut wheel = Wheel::new();
        (0..1_000).for_each(|item| {
            wheel.arm(5_000_000_000 + item * 1_000_000, item);
        });
        let (mut fired, mut calls) = (0, 0);
        while !wheel.is_empty() {
            let mut budget = 16;
            while wheel.expire(u64::MAX >> 1, &mut budget).is_some() {
                fired += 1;
            }
            calls += 1;
            assert!(wheel.is_empty() || wheel.next_deadline().is_some_and(|at| at < u64::MAX >> 1));
        }
        assert_eq!(fired, 1_000);
        assert!(calls >= 1_000 / 16, "each call did at most sixteen steps");
    }

    #[test]
    #[should_panic(expected = "while it is armed")]
    fn a_timer_that_fired_cannot_be_disarmed() {
        let mut wheel = Wheel::new();
        let timer = wheel.arm(0, ());
        assert!(wheel.expire(TICK_NS, &mut 1).is_some());
        wheel.disarm(timer);
    }
}
