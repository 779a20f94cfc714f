//! Ids that have been put lately, and the sequences that they were answered with.
//!
//! An id is remembered by 128 bits of its hash under a seed, in 32 bytes and some 10 of an index.
//! The chance that any two of a million ids share those bits is some 10^-27. The hash is no cipher:
//! whoever may put to a queue might contrive an id that is taken for another, and lose a message.
//!
//! A window that is full of a million ids costs 40 to 60 ns for each new one in batches, whose
//! memory is asked for while they are hashed, and two to three times that one by one: waiting for
//! memory is most of it.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::bucket::IDS_MAX;
use super::history::{Answered, CHUNK_ENTRIES, History};
use super::index::Index;

const _: () = assert!(
    ringway_protocol::options::DEDUP_MESSAGES_MAX <= IDS_MAX,
    "a window remembers as many as a queue may be declared with"
);

/// Buckets that the index may give back for each chunk of ids that is forgotten: it has one for
/// seven ids when it is full, and one for two when it begins to shrink.
const SHRUNK_PER_CHUNK: usize = 512;

/// What a window knows an id by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digest(u128);

impl Digest {
    #[inline]
    pub(super) fn low(self) -> u64 {
        self.0 as u64
    }

    #[inline]
    pub(super) fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }
}

/// The ids of a queue, for so many milliseconds and so many of them, the oldest going first.
#[derive(Debug)]
pub struct Window {
    seed: u64,
    window_ms: u64,
    ids_max: u64,
    /// Ids with smaller numbers were out of a window that was shorter.
    floor: u64,
    history: History,
    index: Index,
}

impl Window {
    /// The most ids of a window, whatever it is made with.
    pub const IDS_MAX: u32 = IDS_MAX;

    /// A window that remembers an id for `window_ms` milliseconds, and `ids_max` of them. It has no
    /// memory of its own until an id comes. The seed should be hard to guess.
    pub fn new(seed: u64, window_ms: u64, ids_max: u32) -> Self {
        let (history, index) = (History::new(0), Index::default());
        let ids_max = ids_max.min(IDS_MAX).into();
        Self { seed, window_ms, ids_max, floor: 0, history, index }
    }

    /// Other limits from now on. Larger ones do not bring back what was out of the window before.
    pub fn set_limits(&mut self, window_ms: u64, ids_max: u32, now_ms: u64) {
        // Who is inside came after all who are not.
        let span = self.history.span();
        let (mut floor, mut end) = (span.next - span.len, span.next);
        while floor < end {
            let middle = floor + (end - floor) / 2;
            if self.is_inside(middle, self.history.get(middle), now_ms) {
                end = middle;
            } else {
                floor = middle + 1;
            }
        }
        self.floor = floor;
        (self.window_ms, self.ids_max) = (window_ms, ids_max.min(IDS_MAX).into());
    }

    /// How many ids are in memory: those of the window, and up to a chunk of 1,024 that are not.
    pub fn len(&self) -> usize {
        self.history.span().len as usize
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the window holds. Visits each chunk, one for 1,024 ids.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.history.bytes() + self.index.bytes()
    }

    /// What an id is known by in this window: hash it once, then look and insert.
    #[inline]
    pub fn digest(&self, id: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(id, self.seed))
    }

    /// Asks for the memory that looking for an id and inserting it will need. For a batch: one by
    /// one, each of them would wait for it.
    #[inline]
    pub fn prefetch(&self, digest: Digest) {
        self.index.prefetch(digest);
    }

    /// The sequence that an id was answered with, if it is in the window.
    #[inline]
    pub fn find(&self, digest: Digest, now_ms: u64) -> Option<u64> {
        self.index.find(digest, self.history.span(), |number| {
            let answered = self.history.get(number);
            let found = answered.digest == digest && self.is_inside(number, answered, now_ms);
            found.then_some(answered.sequence)
        })
    }

    /// Remembers an id, which is not in the window, with the sequence of its message. `now_ms` is
    /// never less than it was before. Forgets a chunk of old ids if there is one.
    #[inline]
    pub fn insert(&mut self, digest: Digest, sequence: u64, now_ms: u64) {
        debug_assert!(self.find(digest, now_ms).is_none(), "an id is inserted once");
        let mut chunks = 1;
        self.forget_old(now_ms, &mut chunks);
        let span = self.history.span();
        if span.next.is_multiple_of(CHUNK_ENTRIES as u64) {
            self.index.sweep(span);
        }
        self.index.insert(digest, span.next, span, |number| self.history.get(number).digest);
        self.history.push(Answered { digest, sequence, at_ms: now_ms });
    }

    /// Gives back the memory of ids that are out of the window, a chunk of 1,024 at a time; each
    /// takes one from `budget`.
    #[inline]
    pub fn forget_old(&mut self, now_ms: u64, budget: &mut usize) {
        while *budget > 0
            && let Some((number, newest)) = self.history.first_chunk_last()
            && !self.is_inside(number, newest, now_ms)
        {
            *budget -= 1;
            self.history.forget_chunk();
            self.index.shrink(SHRUNK_PER_CHUNK, self.history.span());
        }
    }

    /// When [`Window::forget_old`] has something to do next.
    pub fn next_forget_ms(&self) -> Option<u64> {
        let (number, newest) = self.history.first_chunk_last()?;
        let is_over = !self.is_counted(number);
        Some(if is_over { 0 } else { newest.at_ms.saturating_add(self.window_ms) })
    }

    #[inline]
    fn is_inside(&self, number: u64, answered: &Answered, now_ms: u64) -> bool {
        now_ms.saturating_sub(answered.at_ms) < self.window_ms && self.is_counted(number)
    }

    /// Whether an id is among as many as the window may have, now and before.
    #[inline]
    fn is_counted(&self, number: u64) -> bool {
        number >= self.floor && self.history.span().next - number <= self.ids_max
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

    fn check(first: u64, ops: Vec<Op>) {
        let limits = (1_000, 1_000);
        let mut window = Window::new(7, limits.0, limits.1);
        window.history = History::new(first);
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
                    assert!(left == 0 || !more, "it does what it may");
                    let surplus = pair.window.len() - pair.model.len();
                    assert!(more || surplus < 1_024, "at most a chunk is behind");
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
        fn a_window_is_a_list_of_ids(
            // The lowest bits of numbers come again every 2^23.
            first in prop_oneof![Just(0), Just((1 << 23) - 700), Just((1 << 32) - 700)],
            ops in prop::collection::vec(op(), 1..120),
        ) {
            check(first, ops);
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

    /// Prints what a window of a million ids costs, a clock reading for each batch included:
    /// `cargo test --release --package ringway-shards --lib dedup -- --ignored --nocapture`.
    #[test]
    #[ignore = "takes seconds, and its figures mean something in release only"]
    fn a_million_ids() {
        const COUNT: u64 = 1_000_000;
        let mut window = Window::new(1, 1_000_000, COUNT as u32);
        let mut first = 0;
        for (name, batch) in [("filling", 1), ("full", 1), ("full", 256), ("full", 256)] {
            let mut calls = hdrhistogram::Histogram::<u64>::new(3).expect("three digits");
            let (mut digests, mut found) = (Vec::new(), 0);
            let mut begun = Instant::now();
            for from in (first..first + COUNT).step_by(batch) {
                let ids = (from..from + batch as u64).map(u128::from);
                digests.extend(ids.map(|id| window.digest(&id.to_le_bytes())));
                if batch > 1 {
                    digests.iter().for_each(|digest| window.prefetch(*digest));
                }
                for digest in digests.drain(..) {
                    found += u64::from(window.find(digest, 0).is_some());
                    window.insert(digest, from, 0);
                }
                let end = Instant::now();
                calls.record((end - begun).as_nanos() as u64).expect("it grows as needed");
                begun = end;
            }
            first += 2 * COUNT;
            let each = |ns: f64| ns / batch as f64;
            println!(
                "{name:8} batches of {batch:3}: mean {:6.1} ns, p50 {:6.1} ns an id; \
                 the longest {:.1} us; {:.1} B an id",
                each(calls.mean()),
                each(calls.value_at_quantile(0.5) as f64),
                calls.max() as f64 / 1e3,
                window.bytes() as f64 / window.len() as f64,
            );
            assert_eq!(found, 0);
            assert!((COUNT..COUNT + 1_024).contains(&(window.len() as u64)));
        }
    }
}
