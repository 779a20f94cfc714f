//! Where the index of a window keeps its slots: buckets of a cache line, in pages.

/// Slots of a bucket: with the link to the next, a cache line.
const SLOTS: usize = 15;
/// Buckets of a page, 256 KiB: few enough pages that their list stays in the nearest cache.
const PAGE: usize = 4096;
/// Bits of a number that a slot has.
const NUMBER_BITS: u32 = 23;
/// The part of a slot that is a number; above it is the tag.
pub const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
/// Numbers after which those lowest bits come again.
pub const NUMBERS: u64 = 1 << NUMBER_BITS;
/// Ids that may be remembered: so many that there is time to empty the slots of the forgotten ones
/// before their numbers seem to come again.
pub const IDS_MAX: u32 = 1 << (NUMBER_BITS - 2);

/// The numbers that are remembered: so many before the next one.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub next: u64,
    pub len: u64,
}

impl Span {
    /// The number of which a slot has the lowest bits, if it is remembered.
    #[inline]
    pub fn number(self, slot: u32) -> Option<u64> {
        let before_last = (self.next as u32).wrapping_sub(slot).wrapping_sub(1) & NUMBER_MASK;
        let before_last = u64::from(before_last);
        (before_last < self.len).then(|| self.next - 1 - before_last)
    }

    /// Whether a slot is in use. An empty one has no tag.
    #[inline]
    pub fn has(self, slot: u32) -> bool {
        slot > NUMBER_MASK && self.number(slot).is_some()
    }
}

/// Fifteen slots, and one more than the place of the next bucket in `chained`, 0 at the end.
#[repr(align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Bucket([u32; SLOTS + 1]);

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is a cache line");

impl Bucket {
    pub const EMPTY: Self = Self([0; SLOTS + 1]);

    #[inline]
    pub fn slots(&self) -> &[u32] {
        &self.0[..SLOTS]
    }

    #[inline]
    pub fn more(&self) -> u32 {
        self.0[SLOTS]
    }

    pub fn set_more(&mut self, more: u32) {
        self.0[SLOTS] = more;
    }

    /// Puts a slot in front of the others, and returns the last one, which drops out.
    #[inline]
    pub fn put(&mut self, slot: u32) -> u32 {
        // A copy of known size stays in registers; moving within a slice is a call.
        let before = self.0;
        self.0[1..SLOTS].copy_from_slice(&before[..SLOTS - 1]);
        self.0[0] = slot;
        before[SLOTS - 1]
    }

    /// Empties the slots whose numbers are forgotten.
    pub fn sweep(&mut self, span: Span) {
        for slot in &mut self.0[..SLOTS] {
            if !span.has(*slot) {
                *slot = 0;
            }
        }
    }

    /// Whether a slot may have this tag: all of them are compared at once, the link among them.
    #[inline]
    pub fn may_have(&self, tag: u32) -> bool {
        self.0.iter().fold(false, |found, slot| found | (slot & !NUMBER_MASK == tag))
    }
}

/// Buckets in pages, so that growing copies at most half of the first page, and nothing later.
#[derive(Debug, Default)]
pub struct Pages {
    pages: Vec<Vec<Bucket>>,
    pub len: usize,
    /// The next power of two: asked for far more often than it changes.
    pub round: usize,
}

impl Pages {
    pub fn bytes(&self) -> usize {
        // All pages but the last are full, and no page has more room than a full one.
        let last = self.pages.last().map_or(0, Vec::capacity);
        (self.pages.len().saturating_sub(1) * PAGE + last) * size_of::<Bucket>()
            + self.pages.capacity() * size_of::<Vec<Bucket>>()
    }

    #[inline]
    pub fn get(&self, at: usize) -> &Bucket {
        &self.pages[at / PAGE][at % PAGE]
    }

    #[inline]
    pub fn get_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.pages[at / PAGE][at % PAGE]
    }

    pub fn push(&mut self, bucket: Bucket) {
        if self.len.is_multiple_of(PAGE) {
            let whole = if self.len == 0 { 0 } else { PAGE };
            self.pages.push(Vec::with_capacity(whole));
        }
        self.len += 1;
        self.round = self.len.next_power_of_two();
        self.pages[(self.len - 1) / PAGE].push(bucket);
    }

    pub fn pop(&mut self) {
        self.len -= 1;
        self.round = self.len.next_power_of_two();
        self.pages[self.len / PAGE].pop();
        if self.len.is_multiple_of(PAGE) {
            self.pages.pop();
            if self.pages.capacity() > 4 * self.pages.len() {
                self.pages.shrink_to(2 * self.pages.len());
            }
        }
    }
}
