//! Finds an id's number by its digest, in one cache line as a rule: linear hashing over buckets of
//! fifteen.
//!
//! A slot is a tag, nine bits of the digest, over the lowest 23 bits of the id's number; the id
//! itself, in the history, says whether it is the one. A bucket's slots lie in the order in which
//! they came, the newest first. Nothing is taken out: the last slot drops out when another comes,
//! and if its number is still remembered, it moves to a bucket that is chained to this one. That
//! happens to a few in a thousand. The index grows and shrinks by one bucket at a time, so no call
//! moves more than a few ids.
//!
//! A number's lowest bits come again after eight million. Until then a sweep has emptied each slot
//! whose number was forgotten, some buckets at a time, so that an old slot never seems to be young.

use super::bucket::{Bucket, IDS_MAX, NUMBER_MASK, NUMBERS, Pages, Span};
use super::history::CHUNK_ENTRIES;
use super::window::Digest;
use crate::world::prefetch;

/// Ids a bucket, on average, at which the index grows.
const LOAD_MAX: usize = 7;
/// Ids a bucket, on average, below which it shrinks.
const LOAD_MIN: usize = 2;
/// Sweeps, one for each chunk of ids, in which each bucket gets its turn.
const SWEEPS: usize = IDS_MAX as usize / CHUNK_ENTRIES;

// A round of sweeps takes twice as long at most, if the index grows meanwhile.
const _: () = assert!(2 * IDS_MAX as u64 + 2 * (SWEEPS * CHUNK_ENTRIES) as u64 <= NUMBERS);

/// Numbers by digest.
#[derive(Debug, Default)]
pub struct Index {
    buckets: Pages,
    /// Buckets that are chained to full ones, and the first of them that is free.
    chained: Pages,
    free: u32,
    /// The bucket that is swept next.
    swept: usize,
    /// Slots on their way from bucket to bucket.
    gathered: Vec<u32>,
}

/// A digest's tag, where a slot has it. It is never 0.
#[inline]
fn tag_of(digest: Digest) -> u32 {
    (digest.high() as u32 & !NUMBER_MASK).max(NUMBER_MASK + 1)
}

/// The one of so many buckets that a digest belongs to; `round` is the next power of two.
#[inline]
fn bucket_of(digest: Digest, (buckets, round): (usize, usize)) -> usize {
    let bucket = digest.low() as usize & (round - 1);
    if bucket < buckets { bucket } else { bucket - round / 2 }
}

/// The bucket that the last of so many buckets was a part of.
#[inline]
fn whole_of(buckets: usize) -> usize {
    buckets - 1 - buckets.next_power_of_two() / 2
}

impl Index {
    pub fn bytes(&self) -> usize {
        self.buckets.bytes() + self.chained.bytes()
    }

    /// The bucket that a digest belongs to.
    #[inline]
    fn bucket_of(&self, digest: Digest) -> usize {
        bucket_of(digest, (self.buckets.len, self.buckets.round))
    }

    /// Asks for a digest's bucket.
    #[inline]
    pub fn prefetch(&self, digest: Digest) {
        if self.buckets.len > 0 {
            prefetch(self.buckets.get(self.bucket_of(digest)));
        }
    }

    /// The first answer to a number that may be this digest's.
    #[inline]
    pub fn find<T>(
        &self,
        digest: Digest,
        span: Span,
        mut answer: impl FnMut(u64) -> Option<T>,
    ) -> Option<T> {
        if self.buckets.len == 0 {
            return None;
        }
        let tag = tag_of(digest);
        let mut bucket = self.buckets.get(self.bucket_of(digest));
        loop {
            if bucket.may_have(tag) {
                let alike = bucket.slots().iter().filter(|slot| **slot & !NUMBER_MASK == tag);
                let mut numbers = alike.filter_map(|slot| span.number(*slot));
                if let Some(found) = numbers.find_map(&mut answer) {
                    return Some(found);
                }
            }
            if bucket.more() == 0 {
                return None;
            }
            bucket = self.chained.get(bucket.more() as usize - 1);
        }
    }

    /// Notes the number of a digest. `digest_of` says it of each number that is remembered.
    #[inline]
    pub fn insert(
        &mut self,
        digest: Digest,
        number: u64,
        span: Span,
        digest_of: impl Fn(u64) -> Digest,
    ) {
        if span.len as usize >= self.buckets.len * LOAD_MAX {
            self.split(span, digest_of);
        }
        let slot = tag_of(digest) | number as u32 & NUMBER_MASK;
        self.place(self.bucket_of(digest), slot, span);
    }

    /// Adds a bucket, and gives it its part of the ids of the one that it was a part of.
    #[cold]
    fn split(&mut self, span: Span, digest_of: impl Fn(u64) -> Digest) {
        self.buckets.push(Bucket::EMPTY);
        let (buckets, round) = (self.buckets.len, self.buckets.round);
        if buckets > 1 {
            self.gather(whole_of(buckets), span);
            self.place_gathered(span, |slot| {
                let number = span.number(slot).expect("what was gathered is remembered");
                bucket_of(digest_of(number), (buckets, round))
            });
        }
    }

    /// Takes away up to `count` buckets, as far as the index has too many, and gives their ids to
    /// those of which they were a part.
    #[cold]
    pub fn shrink(&mut self, count: usize, span: Span) {
        if span.len == 0 {
            *self = Self::default();
        }
        for _ in 0..count {
            let buckets = self.buckets.len;
            if buckets < 2 || span.len as usize >= buckets * LOAD_MIN {
                break;
            }
            self.gather(whole_of(buckets), span);
            self.gather(buckets - 1, span);
            self.buckets.pop();
            self.place_gathered(span, |_| whole_of(buckets));
        }
    }

    /// Empties slots whose numbers are forgotten, in some buckets. For once a chunk of ids.
    #[cold]
    pub fn sweep(&mut self, span: Span) {
        for _ in 0..self.buckets.len.div_ceil(SWEEPS) {
            self.swept = (self.swept + 1) % self.buckets.len;
            let bucket = self.buckets.get_mut(self.swept);
            bucket.sweep(span);
            let start = bucket.more();
            if start != 0 && self.sweep_chain(start, span) {
                self.buckets.get_mut(self.swept).set_more(0);
                self.free_chain(start);
            }
        }
    }

    /// Sweeps a chain, and says whether all of it is empty.
    fn sweep_chain(&mut self, mut link: u32, span: Span) -> bool {
        let mut empty = true;
        while link != 0 {
            let chained = self.chained.get_mut(link as usize - 1);
            chained.sweep(span);
            empty &= chained.slots()[0] == 0;
            link = chained.more();
        }
        empty
    }

    /// Empties a bucket and those chained to it, and gathers those of their slots that are in use.
    fn gather(&mut self, bucket: usize, span: Span) {
        let mut emptied = std::mem::replace(self.buckets.get_mut(bucket), Bucket::EMPTY);
        loop {
            self.gathered.extend(emptied.slots().iter().filter(|slot| span.has(**slot)));
            let more = emptied.more();
            if more == 0 {
                return;
            }
            emptied = *self.chained.get(more as usize - 1);
            self.set_free(more);
        }
    }

    /// Places what was gathered, the oldest first.
    fn place_gathered(&mut self, span: Span, bucket_of: impl Fn(u32) -> usize) {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.sort_unstable_by_key(|slot| span.number(*slot));
        for slot in gathered.drain(..) {
            self.place(bucket_of(slot), slot, span);
        }
        self.gathered = gathered;
    }

    #[inline]
    fn place(&mut self, bucket: usize, slot: u32, span: Span) {
        let first = self.buckets.get_mut(bucket);
        let last = first.put(slot);
        let more = first.more();
        if more != 0 || span.has(last) {
            let more = self.chain(more, last, span);
            self.buckets.get_mut(bucket).set_more(more);
        }
    }

    /// Puts a slot that dropped out of a bucket in front of the chain that starts there; if its
    /// number is forgotten, so are all in the chain, which are older. Returns the start.
    #[cold]
    fn chain(&mut self, start: u32, mut slot: u32, span: Span) -> u32 {
        if !span.has(slot) {
            self.free_chain(start);
            return 0;
        }
        let mut link = start;
        while link != 0 {
            let chained = self.chained.get_mut(link as usize - 1);
            slot = chained.put(slot);
            let more = chained.more();
            if !span.has(slot) {
                chained.set_more(0);
                self.free_chain(more);
                return start;
            }
            if more == 0 {
                let added = self.add_chained(slot);
                self.chained.get_mut(link as usize - 1).set_more(added);
                return start;
            }
            link = more;
        }
        self.add_chained(slot)
    }

    fn add_chained(&mut self, slot: u32) -> u32 {
        let mut bucket = Bucket::EMPTY;
        bucket.put(slot);
        if self.free == 0 {
            self.chained.push(bucket);
            return self.chained.len as u32;
        }
        let link = self.free;
        let place = self.chained.get_mut(link as usize - 1);
        self.free = std::mem::replace(place, bucket).more();
        link
    }

    fn free_chain(&mut self, mut link: u32) {
        while link != 0 {
            let more = self.chained.get(link as usize - 1).more();
            self.set_free(link);
            link = more;
        }
    }

    fn set_free(&mut self, link: u32) {
        self.chained.get_mut(link as usize - 1).set_more(self.free);
        self.free = link;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::queue::lease::backoff::Random;
    use crate::path::queue::put::dedup::Window;

    /// Ids by number, of a window whose seed keeps them alike from run to run.
    fn digest_of(number: u64) -> Digest {
        Window::new(1, 1, 1).digest(&number.to_le_bytes())
    }

    /// What the history would say: whether it is the one.
    fn exactly(number: u64) -> impl FnMut(u64) -> Option<u64> {
        move |found| (found == number).then_some(found)
    }

    fn slots_in_use(index: &Index) -> usize {
        let buckets = (0..index.buckets.len).map(|at| index.buckets.get(at));
        let chained = (0..index.chained.len).map(|at| index.chained.get(at));
        let slots = buckets.chain(chained).flat_map(|bucket| bucket.slots());
        slots.filter(|slot| **slot != 0).count()
    }

    #[test]
    fn a_round_of_sweeps_empties_what_is_forgotten_and_nothing_else() {
        let mut index = Index::default();
        for number in 0..50_000 {
            index.insert(digest_of(number), number, Span { next: number, len: number }, digest_of);
        }
        let span = Span { next: 50_000, len: 20_000 };
        (0..SWEEPS).for_each(|_| index.sweep(span));
        assert_eq!(slots_in_use(&index), 20_000 + freed_slots(&index));
        for number in 0..50_000 {
            let found = index.find(digest_of(number), span, exactly(number));
            assert_eq!(found.is_some(), number >= 30_000, "{number}");
        }
        (0..SWEEPS).for_each(|_| index.sweep(Span { next: 100_000, len: 0 }));
        assert_eq!(slots_in_use(&index), freed_slots(&index));
    }

    /// Slots of chained buckets that are free, which nobody looks at.
    fn freed_slots(index: &Index) -> usize {
        let (mut link, mut slots) = (index.free, 0);
        while link != 0 {
            let freed = index.chained.get(link as usize - 1);
            slots += freed.slots().iter().filter(|slot| **slot != 0).count();
            link = freed.more();
        }
        slots
    }

    /// Ids that belong to few buckets make long chains. None is lost on the way to other buckets,
    /// and what is forgotten leaves nothing behind.
    #[test]
    fn chains_hold_what_buckets_cannot() {
        let alike: Vec<u64> =
            (0..4_000).filter(|id| bucket_of(digest_of(*id), (16, 16)) % 8 == 3).collect();
        let digest_of = |number: u64| digest_of(alike[number as usize % alike.len()]);
        let mut random = Random::new(1);
        let (mut index, mut span, mut longest) = (Index::default(), Span { next: 0, len: 0 }, 0);
        for _ in 0..600 {
            // More and fewer are remembered in turn, so that buckets split and join.
            let most = if span.next / 1_000 % 2 == 0 { 400 } else { 20 };
            for _ in 0..random.next() % 40 {
                index.insert(digest_of(span.next), span.next, span, digest_of);
                (span.next, span.len) = (span.next + 1, span.len + 1);
            }
            span.len = span.len.min(most - random.next() % 20);
            index.shrink(random.next() as usize % 20, span);
            for number in span.next - span.len..span.next {
                let found = index.find(digest_of(number), span, exactly(number));
                assert_eq!(found, Some(number));
            }
            longest = longest.max(index.chained.len);
        }
        assert!(longest >= 10, "there were chains");
        (0..SWEEPS).for_each(|_| index.sweep(Span { next: span.next, len: 0 }));
        let (mut link, mut free) = (index.free, 0);
        while link != 0 {
            (link, free) = (index.chained.get(link as usize - 1).more(), free + 1);
        }
        assert_eq!(free, index.chained.len, "all chained buckets are free again");
    }

    #[test]
    fn a_chain_goes_with_what_it_held() {
        let mut index = Index::default();
        let insert = |index: &mut Index, number: u64, len: u64| {
            // One bucket gets all, as if their digests were contrived.
            index.place(0, tag_of(digest_of(number)) | number as u32, Span { next: number, len });
        };
        index.buckets.push(Bucket::EMPTY);
        (0..200).for_each(|number| insert(&mut index, number, number));
        assert_eq!(index.chained.len, 13);
        (200..240).for_each(|number| insert(&mut index, number, 10));
        assert_eq!(index.buckets.get(0).more(), 0);
    }
}
