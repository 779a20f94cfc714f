//! Ids that have been put lately, and the sequences that they were answered with.
//!
//! An id is remembered by 128 bits of its hash under a seed, in 32 bytes and some 16 of an index.
//! The chance that any two of a million ids share those bits is some 10^-27. The hash is no cipher:
//! whoever may put to a queue might contrive an id that is taken for another, and lose a message.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::history::{Answered, History};
use super::index::{Index, Tag};

/// Entries out of the window that one insertion forgets.
const FORGOTTEN_PER_INSERT: usize = 4;

/// What a window knows an id by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digest(u128);

/// The ids of a queue, for so many milliseconds and so many of them, the oldest going first.
#[derive(Debug)]
pub struct Window {
    seed: u64,
    window_ms: u64,
    entries_max: u64,
    /// Entries with smaller numbers were out of a window that was shorter.
    floor: u64,
    history: History,
    index: Index,
}

impl Window {
    /// A window that remembers an id for `window_ms` milliseconds, and `entries_max` of them. It
    /// has no memory of its own until an id comes. The seed should be hard to guess.
    pub fn new(seed: u64, window_ms: u64, entries_max: u32) -> Self {
        let (history, index) = (History::new(), Index::new());
        Self { seed, window_ms, entries_max: entries_max.into(), floor: 0, history, index }
    }

    /// Other limits from now on. Larger ones do not bring back what was out of the window before.
    pub fn set_limits(&mut self, window_ms: u64, entries_max: u32, now_ms: u64) {
        // Who is inside came after all who are not.
        let (mut floor, mut end) = (self.history.first(), self.history.next());
        while floor < end {
            let middle = floor + (end - floor) / 2;
            let inside = |entry| self.is_inside(middle, entry, now_ms);
            if self.history.get(middle).is_some_and(inside) {
                end = middle;
            } else {
                floor = middle + 1;
            }
        }
        self.floor = floor;
        (self.window_ms, self.entries_max) = (window_ms, entries_max.into());
    }

    /// How many ids are in memory, some of which may be out of the window.
    pub fn len(&self) -> usize {
        self.history.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the window holds. Visits each of its tables, one for 512 ids.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.history.bytes() + self.index.bytes()
    }

    /// What an id is known by in this window: hash it once, then look and insert.
    #[inline]
    pub fn digest(&self, id: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(id, self.seed))
    }

    /// Has the memory fetched that looking for these ids and inserting them will need, all at once.
    /// For a batch: one by one, each of them would wait for it.
    #[inline]
    pub fn fetch(&self, digests: &[Digest]) {
        let mut slots = 0;
        for digest in digests {
            slots ^= self.index.peek(Tag::new(digest.0));
        }
        // As many will be forgotten, if the window is full.
        for number in (self.history.first()..self.history.next()).take(digests.len()) {
            if let Some(oldest) = self.history.get(number) {
                slots ^= self.index.peek(Tag::new(oldest.digest.0));
            }
        }
        std::hint::black_box(slots);
    }

    /// The sequence that an id was answered with, if it is in the window.
    #[inline]
    pub fn find(&self, digest: Digest, now_ms: u64) -> Option<u64> {
        let mut sequence = None;
        self.index.find(Tag::new(digest.0), |low| {
            let number = self.history.number(low);
            let answered = self.history.get(number).filter(|answered| {
                answered.digest == digest && self.is_inside(number, answered, now_ms)
            });
            sequence = answered.map(|answered| answered.sequence);
            sequence.is_some()
        });
        sequence
    }

    /// Remembers an id, which is not in the window, with the sequence of its message. `now_ms` is
    /// never less than it was before.
    #[inline]
    pub fn insert(&mut self, digest: Digest, sequence: u64, now_ms: u64) {
        debug_assert!(self.find(digest, now_ms).is_none(), "an id is inserted once");
        let number = self.history.next();
        self.history.push(Answered { digest, sequence, at_ms: now_ms });
        self.index.insert(Tag::new(digest.0), number as u32);
        let mut budget = FORGOTTEN_PER_INSERT;
        self.forget_old(now_ms, &mut budget);
    }

    /// Gives back the memory of ids that are out of the window; each takes one from `budget`. An
    /// insertion does so for four.
    #[inline]
    pub fn forget_old(&mut self, now_ms: u64, budget: &mut usize) {
        while *budget > 0
            && let Some((number, oldest)) = self.history.oldest()
            && !self.is_inside(number, oldest, now_ms)
        {
            *budget -= 1;
            self.index.remove(Tag::new(oldest.digest.0), number as u32);
            self.history.pop();
        }
    }

    /// When [`Window::forget_old`] has something to do next.
    pub fn next_forget_ms(&self) -> Option<u64> {
        let (number, oldest) = self.history.oldest()?;
        let forgotten = !self.is_counted(number);
        Some(if forgotten { 0 } else { oldest.at_ms.saturating_add(self.window_ms) })
    }

    #[inline]
    fn is_inside(&self, number: u64, answered: &Answered, now_ms: u64) -> bool {
        now_ms.saturating_sub(answered.at_ms) < self.window_ms && self.is_counted(number)
    }

    /// Whether an entry is among as many as the window may have, now and before.
    #[inline]
    fn is_counted(&self, number: u64) -> bool {
        number >= self.floor && self.history.next() - number <= self.entries_max
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Put { id: u16 },
        PutMany { ids: u16 },
        Pass { ms: u64 },
        Forget { budget: usize },
        SetLimits { window_ms: u64, entries_max: u32 },
    }

    fn op() -> impl Strategy<Value = Op> {
        let limits = || (1_u64..5_000, prop_oneof![0_u32..20, 0_u32..3_000]);
        prop_oneof![
            8 => (0_u16..40).prop_map(|id| Op::Put { id }),
            3 => (0_u16..1_500).prop_map(|ids| Op::PutMany { ids }),
            4 => (0_u64..2_000).prop_map(|ms| Op::Pass { ms }),
            2 => (0_usize..3_000).prop_map(|budget| Op::Forget { budget }),
            1 => limits().prop_map(|(window_ms, entries_max)| Op::SetLimits {
                window_ms,
                entries_max,
            }),
        ]
    }

    /// A window beside every id that it was given: what is out of it goes from the model at once.
    struct Pair {
        window: Window,
        model: Vec<(Vec<u8>, u64, u64)>,
        limits: (u64, u32),
        now_ms: u64,
        sequence: u64,
    }

    impl Pair {
        fn put(&mut self, id: &[u8]) {
            let digest = self.window.digest(id);
            let expected = self.model.iter().find(|entry| entry.0 == id).map(|entry| entry.1);
            assert_eq!(self.window.find(digest, self.now_ms), expected);
            if expected.is_none() {
                self.sequence += 3;
                self.window.insert(digest, self.sequence, self.now_ms);
                self.model.push((id.into(), self.sequence, self.now_ms));
                self.forget();
            }
        }

        fn forget(&mut self) {
            let (window_ms, entries_max) = self.limits;
            let surplus = self.model.len().saturating_sub(entries_max as usize);
            self.model.drain(..surplus);
            self.model.retain(|entry| self.now_ms - entry.2 < window_ms);
        }
    }

    fn check(ops: Vec<Op>) {
        let limits = (1_000, 1_000);
        let window = Window::new(7, limits.0, limits.1);
        let mut pair = Pair { window, model: Vec::new(), limits, now_ms: 0, sequence: 0 };
        for op in ops {
            match op {
                Op::Put { id } => pair.put(&id.to_le_bytes()),
                // A thousand of the ids are long, and new to the window.
                Op::PutMany { ids } => {
                    let from = pair.sequence;
                    (0..ids).for_each(|id| pair.put(format!("an id, {from}, {id}").as_bytes()));
                }
                Op::Pass { ms } => {
                    pair.now_ms += ms;
                    pair.forget();
                }
                Op::Forget { budget } => {
                    let mut left = budget;
                    pair.window.forget_old(pair.now_ms, &mut left);
                    let more = pair.window.next_forget_ms().is_some_and(|at| at <= pair.now_ms);
                    assert_eq!(more, pair.window.len() > pair.model.len());
                    assert!(left == 0 || !more);
                }
                Op::SetLimits { window_ms, entries_max } => {
                    pair.window.set_limits(window_ms, entries_max, pair.now_ms);
                    pair.limits = (window_ms, entries_max);
                    pair.forget();
                }
            }
            assert!(pair.window.len() >= pair.model.len());
        }
        while let Some(at_ms) = pair.window.next_forget_ms() {
            pair.now_ms = pair.now_ms.max(at_ms);
            pair.window.forget_old(pair.now_ms, &mut 1_000);
        }
        assert!(pair.window.is_empty());
        let bytes = pair.window.bytes();
        assert!(bytes < 4 << 10, "an emptied window has {bytes} bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_window_is_a_list_of_ids(ops in prop::collection::vec(op(), 1..120)) {
            check(ops);
        }
    }

    #[test]
    fn a_seed_decides_what_an_id_is_known_by() {
        let digest = |seed, id: &[u8]| Window::new(seed, 1, 1).digest(id);
        for length in [0, 1, 16, 17, 200, 1_000] {
            let id = vec![5; length];
            assert_eq!(digest(1, &id), digest(1, &id));
            assert_ne!(digest(1, &id), digest(2, &id));
        }
    }

    #[test]
    fn memory_is_small_and_goes_back() {
        let mut window = Window::new(1, 1_000, 1_000_000);
        assert!(window.bytes() < 256, "a new window has {} bytes", window.bytes());
        for number in 0..200_000_u64 {
            window.insert(window.digest(&number.to_le_bytes()), number, number / 1_000);
        }
        let each = window.bytes() as f64 / 200_000.0;
        assert!(each < 56.0, "{each} bytes an id");
        window.forget_old(2_000, &mut 200_000);
        assert!(window.is_empty() && window.bytes() < 4 << 10, "{} bytes", window.bytes());
    }

    /// Prints what a window of a million ids costs that is full:
    /// `cargo test --release --package ringway-shards --lib dedup -- --ignored --nocapture`.
    #[test]
    #[ignore = "takes seconds, and its figures mean something in release only"]
    fn a_million_ids() {
        const COUNT: u64 = 1_000_000;
        let mut window = Window::new(1, 1_000_000, COUNT as u32);
        for (name, from) in [("filling", 0), ("full", COUNT), ("full", 2 * COUNT)] {
            for batch in [1, 256] {
                if from == 0 && batch == 256 {
                    continue;
                }
                let from = if batch == 1 { from } else { from + 10 * COUNT };
                let begun = Instant::now();
                let (mut call, mut longest_ns, mut found) = (begun, 0, 0);
                let mut all = Vec::new();
                let mut digests = Vec::new();
                for first in (from..from + COUNT).step_by(batch) {
                    digests.clear();
                    digests.extend(
                        (first..first + batch as u64)
                            .map(|n| window.digest(&u128::from(n).to_le_bytes())),
                    );
                    if batch > 1 {
                        window.fetch(&digests);
                    }
                    for digest in &digests {
                        found += u64::from(window.find(*digest, 0).is_some());
                        window.insert(*digest, first, 0);
                    }
                    let end = Instant::now();
                    longest_ns = longest_ns.max((end - call).as_nanos());
                    all.push((end - call).as_nanos());
                    call = end;
                }
                let each_ns = begun.elapsed().as_nanos() as f64 / COUNT as f64;
                all.sort();
                println!("{batch} p50 {}", all[all.len() / 2] as f64 / batch as f64);
                let bytes = window.bytes() as f64 / window.len() as f64;
                println!(
                    "{name:8} find and insert {each_ns:.1} ns an id, the longest {:.1} us; \
                 {bytes:.1} B an id",
                    longest_ns as f64 / 1e3,
                );
                assert_eq!(found, 0);
                assert_eq!(window.len() as u64, COUNT);
            }
        }
    }
}
