//! A calendar against a plain map, and what ten million entries cost.

use std::collections::BTreeMap;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

#[derive(Clone, Debug)]
enum Op {
    Insert { in_ns: u64, count: u64 },
    InsertPast { ago_ns: u64 },
    Pass { ns: u64, budget: usize },
    BackInTime { ns: u64 },
    PlaceAnew,
    Sweep { every: u64, budget: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let delay = || {
        prop_oneof![
            0_u64..5_000_000,
            0_u64..300_000_000,
            0_u64..60 * SECOND_NS,
            0_u64..DAY_NS,
            Just(0),
            Just(70_000_000),
        ]
    };
    prop_oneof![
        6 => (delay(), prop_oneof![9 => Just(1_u64), 1 => 1_u64..400])
            .prop_map(|(in_ns, count)| Op::Insert { in_ns, count }),
        1 => delay().prop_map(|ago_ns| Op::InsertPast { ago_ns }),
        5 => (delay(), prop_oneof![3 => Just(100_000), 1 => 0_usize..90])
            .prop_map(|(ns, budget)| Op::Pass { ns, budget }),
        1 => delay().prop_map(|ns| Op::BackInTime { ns }),
        1 => Just(Op::PlaceAnew),
        2 => (1_u64..5, prop_oneof![Just(usize::MAX), 0_usize..300])
            .prop_map(|(every, budget)| Op::Sweep { every, budget }),
    ]
}

/// A calendar, and what it must hold: places by time, each with the number of its insertion.
struct Pair {
    calendar: Calendar,
    model: BTreeMap<(u64, u64), ()>,
    inserted: u64,
    now_ns: u64,
    sweep: Sweep,
}

impl Pair {
    fn new(now_ns: u64) -> Self {
        let (calendar, sweep) = (Calendar::new(now_ns), Sweep::default());
        Self { calendar, model: BTreeMap::new(), inserted: 0, now_ns, sweep }
    }

    fn insert(&mut self, due_ns: u64) {
        self.calendar.insert(due_ns, self.inserted);
        self.model.insert((due_ns, self.inserted), ());
        self.inserted += 1;
    }

    fn pass(&mut self, ns: u64, budget: usize) {
        self.now_ns += ns;
        let (mut left, mut steps, mut last) = (budget, 0, None);
        while let Some((due_ns, number)) = self.calendar.expire(self.now_ns, &mut left) {
            assert!(due_ns <= self.now_ns, "an entry is never early");
            assert!(self.model.remove(&(due_ns, number)).is_some(), "it was inserted, and once");
            if let Some((last_due_ns, last_number)) = last {
                let in_order = last_due_ns != due_ns || last_number < number;
                assert!(in_order, "entries of one time come in the order of insertion");
            }
            last = Some((due_ns, number));
            steps += 1;
        }
        assert!(steps <= budget - left, "each entry takes from the budget");
        let late = self.model.keys().next().is_some_and(|(due, _)| due + TICK_NS <= self.now_ns);
        assert!(left == 0 || !late, "an entry is at most a tick late");
    }

    /// One call with an earlier time, of which the calendar may know that it is past.
    fn step_back(&mut self, ns: u64) {
        let then_ns = self.now_ns.saturating_sub(ns);
        if let Some((due_ns, number)) = self.calendar.expire(then_ns, &mut 100_000) {
            assert!(due_ns <= then_ns, "not early by that clock either");
            assert!(self.model.remove(&(due_ns, number)).is_some());
        }
    }

    fn place_anew(&mut self) {
        let mut old = std::mem::replace(&mut self.calendar, Calendar::new(self.now_ns));
        let mut drained = Vec::new();
        while let Some((due_ns, number)) = old.drain(&mut 1) {
            drained.push((number, due_ns));
        }
        assert!(old.is_empty());
        assert!(old.drain(&mut 1).is_none());
        drained.sort_unstable();
        drained.into_iter().for_each(|(number, due_ns)| self.calendar.insert(due_ns, number));
    }

    /// Every so many entries are not to be kept. Without a budget that is a whole sweep, otherwise
    /// it goes on where the last one stopped, whatever happened since.
    fn sweep(&mut self, every: u64, mut budget: usize) {
        let (model, whole) = (&mut self.model, budget == usize::MAX);
        if whole {
            self.sweep = Sweep::default();
        }
        let over = self.calendar.sweep(&mut self.sweep, &mut budget, |number| {
            let keeps = number % every != 0;
            if !keeps {
                let before = model.len();
                model.retain(|(_, other), _| *other != number);
                assert_eq!(model.len() + 1, before, "it was there, and once");
            }
            keeps
        });
        if over {
            self.sweep = Sweep::default();
        }
        let missed = model.keys().any(|(_, number)| number % every == 0);
        assert!(!whole || over && !missed, "a whole sweep sees everything");
    }

    fn check(&self) {
        assert_eq!(self.calendar.len(), self.model.len());
        let next_ns = self.calendar.next_deadline();
        assert_eq!(next_ns.is_some(), !self.calendar.is_empty());
        if let (Some(next_ns), Some((earliest_ns, _))) = (next_ns, self.model.keys().next()) {
            let latest_ns = (*earliest_ns).max(self.now_ns) + TICK_NS;
            assert!(next_ns < latest_ns, "never late by more than a tick");
        }
    }

    /// Driven by its own deadlines, the calendar lets everything expire, and soon.
    fn finish(mut self) {
        let mut wakes = 0;
        while let Some(next_ns) = self.calendar.next_deadline() {
            let now_ns = self.now_ns.max(next_ns);
            self.pass(now_ns - self.now_ns, 100_000);
            wakes += 1;
            assert!(wakes <= 2 * self.inserted + 2, "a wake has something to do");
        }
        assert!(self.model.is_empty());
    }
}

proptest! {
    #[test]
    fn a_calendar_is_a_map_by_time(
        start_ns in prop_oneof![Just(0_u64), 0_u64..1 << 62],
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut pair = Pair::new(start_ns);
        for op in ops {
            match op {
                Op::Insert { in_ns, count } => {
                    (0..count).for_each(|_| pair.insert(pair.now_ns + in_ns));
                }
                Op::InsertPast { ago_ns } => pair.insert(pair.now_ns.saturating_sub(ago_ns)),
                Op::Pass { ns, budget } => pair.pass(ns, budget),
                Op::BackInTime { ns } => pair.step_back(ns),
                Op::PlaceAnew => pair.place_anew(),
                Op::Sweep { every, budget } => pair.sweep(every, budget),
            }
            pair.check();
        }
        pair.finish();
    }
}

/// The order of one tick holds across levels, also when the budget ends in the middle of a move.
#[test]
fn a_tick_s_entries_keep_their_order_on_the_way_down() {
    let due_ns = 400 * SECOND_NS;
    for budget in [1, 3, 50, 10_000] {
        let mut calendar = Calendar::new(0);
        let (mut inserted, mut expired, mut now_ns) = (0, 0, 0);
        while now_ns < due_ns + SECOND_NS || !calendar.is_empty() {
            if now_ns < due_ns {
                calendar.insert(due_ns, inserted);
                inserted += 1;
            }
            let mut left = budget;
            while let Some((_, number)) = calendar.expire(now_ns, &mut left) {
                assert_eq!(number, expired);
                expired += 1;
            }
            now_ns += SECOND_NS / 4;
        }
        assert_eq!(expired, inserted);
    }
}

/// However many entries lie in one slot far ahead, they are where they belong when it is due.
#[test]
fn a_long_slot_moves_down_before_it_is_due() {
    let start_ns = 5 * 3_600 * SECOND_NS;
    let mut calendar = Calendar::new(0);
    (0..200_000).for_each(|n| calendar.insert(start_ns + n * 80_000_000, n));
    let (mut expired, mut now_ns, mut worst_late_ns) = (0, 0, 0);
    while !calendar.is_empty() {
        now_ns = calendar.next_deadline().expect("it has entries").max(now_ns + TICK_NS / 8);
        let mut budget = 64;
        while let Some((due_ns, _)) = calendar.expire(now_ns, &mut budget) {
            worst_late_ns = worst_late_ns.max(now_ns - due_ns);
            expired += 1;
        }
    }
    assert_eq!(expired, 200_000);
    assert!(worst_late_ns < 2 * TICK_NS, "{worst_late_ns} ns late");
}

#[test]
fn a_time_without_end_never_comes_and_does_not_overflow() {
    let mut calendar = Calendar::new(1 << 60);
    calendar.insert(u64::MAX, 1);
    assert_eq!(calendar.next_deadline(), Some(u64::MAX));
    assert_eq!(calendar.expire(u64::MAX, &mut 100), None);
    calendar.insert(0, 2);
    assert_eq!(calendar.expire(u64::MAX, &mut 100), Some((0, 2)));
    assert_eq!(calendar.len(), 1);
}

#[test]
fn memory_is_small_and_goes_back() {
    let mut calendar = Calendar::new(0);
    assert!(calendar.bytes() < 1 << 10, "an empty calendar has {} bytes", calendar.bytes());
    (0..100).for_each(|n| calendar.insert(n * SECOND_NS, n));
    assert!(calendar.bytes() < 64 << 10, "a hundred entries have {} bytes", calendar.bytes());
    let count = 500_000;
    (0..count).for_each(|n| calendar.insert(n * (DAY_NS / count), n));
    let each = calendar.bytes() as f64 / calendar.len() as f64;
    assert!(each < 19.0, "{each} bytes an entry");
    // Chunks of a hundred slots are only partly read; apart from them, memory follows the count.
    while calendar.len() > count as usize / 2 {
        calendar.expire(DAY_NS, &mut 1_000_000);
    }
    assert!(calendar.bytes() < 16 * calendar.len() + (3 << 20));
    while calendar.expire(DAY_NS, &mut 1_000_000).is_some() {}
    assert!(calendar.bytes() < 500 << 10, "an emptied one has {} bytes", calendar.bytes());
}

#[test]
fn what_a_sweep_takes_out_frees_its_memory() {
    let mut calendar = Calendar::new(0);
    (0..500_000).for_each(|n| calendar.insert(DAY_NS + n * 100_000, n));
    let mut sweep = Sweep::default();
    while !calendar.sweep(&mut sweep, &mut 1_000, |number| number % 100 == 0) {}
    assert_eq!(calendar.len(), 5_000);
    assert!(calendar.bytes() < 1 << 20, "{} bytes", calendar.bytes());
    let left: Vec<_> = std::iter::from_fn(|| calendar.expire(2 * DAY_NS, &mut 1_000_000)).collect();
    assert!(left.iter().map(|(_, number)| *number).eq((0..5_000).map(|n| 100 * n)));
}

/// Prints what ten million entries cost:
/// `cargo test --release --package ringway-shards --lib calendar -- --ignored --nocapture`.
#[test]
#[ignore = "takes seconds, and its figures mean something in release only"]
fn ten_million_entries() {
    const COUNT: u64 = 10_000_000;
    for (name, first_ns, spread_ns) in [
        ("over 10 s", 0, 10 * SECOND_NS),
        ("over 1 h", 0, 3_600 * SECOND_NS),
        ("over 24 h", 0, DAY_NS),
        ("in 24 h, over 1 s", DAY_NS, SECOND_NS),
        ("in one tick", 3_600 * SECOND_NS, 1),
    ] {
        let mut calendar = Calendar::new(0);
        let mut random = 1_u64;
        let begun = Instant::now();
        for place in 0..COUNT {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            calendar.insert(
                first_ns + ((u128::from(random) * u128::from(spread_ns)) >> 64) as u64,
                place,
            );
        }
        let insert = begun.elapsed();
        let each = calendar.bytes() as f64 / COUNT as f64;
        let (mut now_ns, mut sum) = (0, 0);
        let mut calls = hdrhistogram::Histogram::<u64>::new(3).expect("three digits");
        let begun = Instant::now();
        let mut call = begun;
        while let Some(next_ns) = calendar.next_deadline() {
            now_ns = next_ns.max(now_ns);
            let mut budget = 1_024;
            while let Some((_, place)) = calendar.expire(now_ns, &mut budget) {
                sum += place;
            }
            // One look at the clock a call: what it costs is part of the figures.
            let end = Instant::now();
            calls.record((end - call).as_nanos() as u64).expect("it grows as needed");
            call = end;
        }
        let expire = begun.elapsed();
        println!(
            "{name:18} insert {:5.1} ns, expire {:5.1} ns an entry, {each:.2} B an entry; \
             {} calls of 1,024: p99.99 {:.1} us, longest {:.1} us; {} KiB left",
            insert.as_nanos() as f64 / COUNT as f64,
            expire.as_nanos() as f64 / COUNT as f64,
            calls.len(),
            calls.value_at_quantile(0.9999) as f64 / 1e3,
            calls.max() as f64 / 1e3,
            calendar.bytes() >> 10,
        );
        assert_eq!(sum, COUNT * (COUNT - 1) / 2, "each entry came once");
        assert!(each <= 17.5, "{each} bytes an entry");
    }
}
