//! Memory of segments: appended to by one owner, read and sent from by many, freed after the last
//! of them.
//!
//! Every byte below the length is immutable until the memory is cleared, and it is cleared only
//! when no slice of it is held anywhere. So a slice handed to the kernel stays true however the
//! queue moves on.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

/// Segments start on a cache line of their own.
const ALIGNMENT: usize = 64;

/// Bytes that get their pages together, where memory is used for the first time: a fault for each
/// page costs twice as much.
const POPULATED_BYTES: usize = 64 << 10;
/// Bytes of a segment from which on that is worth it. In a smaller one each page has its fault: of
/// many queues that hold little, most segments stay empty but for their beginning.
const POPULATED_FROM_BYTES: usize = 256 << 10;
const PAGE_BYTES: usize = 4 << 10;

struct Block {
    memory: NonNull<u8>,
    capacity: usize,
}

impl Block {
    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, ALIGNMENT).expect("a segment is below isize::MAX bytes")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `SegmentMemory::new` with this layout and freed only here.
        unsafe { dealloc(self.memory.as_ptr(), Self::layout(self.capacity)) }
    }
}

/// The appending end of a segment's memory. There is one for each block.
///
/// Invariant: bytes `0..length` are initialised; length <= capacity.
pub struct SegmentMemory {
    block: Rc<Block>,
    /// The block's, so that reading does not look there: it lies by itself, mostly far away.
    memory: NonNull<u8>,
    capacity: usize,
    length: usize,
    /// Bytes that have their pages, or are left to get them one by one.
    populated: usize,
}

impl SegmentMemory {
    /// Memory for `capacity` bytes, at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a segment holds at least one byte");
        let layout = Block::layout(capacity);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        let populated = if capacity < POPULATED_FROM_BYTES { capacity } else { 0 };
        let block = Rc::new(Block { memory, capacity });
        Self { block, memory, capacity, length: 0, populated }
    }

    /// Has the kernel give pages to the next bytes, up to `end` at least.
    #[cold]
    fn populate(&mut self, end: usize) {
        let end = end.next_multiple_of(POPULATED_BYTES).min(self.capacity());
        let start = self.memory.as_ptr() as usize;
        let pages = (start + self.populated).next_multiple_of(PAGE_BYTES)..start + end;
        self.populated = end;
        if !pages.is_empty() {
            // SAFETY: it changes no byte, and all of these are in the block. An old kernel refuses:
            // then the pages come one by one.
            unsafe {
                let start = pages.start as *mut libc::c_void;
                libc::madvise(start, pages.len(), libc::MADV_POPULATE_WRITE);
            }
        }
    }

    /// How many bytes fit in all.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes were appended.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was appended.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all of `bytes` and says where they start, or `None` if they do not fit.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) -> Option<usize> {
        let start = self.len();
        if bytes.len() > self.capacity() - start {
            return None;
        }
        if start + bytes.len() > self.populated {
            self.populate(start + bytes.len());
        }
        // SAFETY: `start + bytes.len() <= capacity`, `bytes` cannot overlap memory past the length,
        // which no slice refers to, and `&mut self` is the only appender.
        unsafe {
            let to = self.memory.as_ptr().add(start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        self.length = start + bytes.len();
        Some(start)
    }

    /// The appended bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: bytes below the length are initialised and immutable while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.length) }
    }

    /// Asks for the place where the next bytes go.
    #[inline]
    pub fn prefetch_end(&self) {
        prefetch_at(self.memory.as_ptr().wrapping_add(self.length));
    }

    /// A slice of the appended bytes that keeps the memory alive. Panics past the length.
    #[inline]
    pub fn pin(&self, start: usize, length: usize) -> PinnedSlice {
        assert!(start <= self.len() && length <= self.len() - start, "a pin within the segment");
        PinnedSlice { block: self.block.clone(), start, length }
    }

    /// Whether any slice is still held.
    #[inline]
    pub fn is_pinned(&self) -> bool {
        Rc::strong_count(&self.block) > 1
    }

    /// Forgets the appended bytes. Panics if a slice is still held.
    #[inline]
    pub fn clear(&mut self) {
        assert!(!self.is_pinned(), "a pinned segment is never cleared");
        self.length = 0;
    }
}

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Asks for the cache line in which something begins, without waiting for it.
#[inline]
pub fn prefetch<T: ?Sized>(what: &T) {
    prefetch_at(std::ptr::from_ref(what).cast());
}

/// Asks for all cache lines of something, without waiting for them.
#[inline]
pub fn prefetch_all<T>(what: &T) {
    let start: *const u8 = std::ptr::from_ref(what).cast();
    (0..size_of::<T>()).step_by(LINE_BYTES).for_each(|at| prefetch_at(start.wrapping_add(at)));
}

#[inline]
fn prefetch_at(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint: it reads nothing, and faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl std::fmt::Debug for SegmentMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment of {} of {} bytes", self.len(), self.capacity())
    }
}

/// Immutable bytes of a segment; the segment is not reused while this exists.
#[derive(Clone)]
pub struct PinnedSlice {
    block: Rc<Block>,
    start: usize,
    length: usize,
}

impl Deref for PinnedSlice {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: checked against the length in `pin`; bytes below it do not change while this pin
        // exists.
        unsafe {
            std::slice::from_raw_parts(self.block.memory.as_ptr().add(self.start), self.length)
        }
    }
}

impl std::fmt::Debug for PinnedSlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pin of {} bytes at {}", self.length, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_appended_whole_or_not_at_all() {
        let mut memory = SegmentMemory::new(10);
        assert_eq!((memory.append(b"abcd"), memory.append(b"efgh")), (Some(0), Some(4)));
        assert_eq!(memory.append(b"ijk"), None);
        assert_eq!((memory.len(), memory.as_slice()), (8, &b"abcdefgh"[..]));
        assert_eq!((memory.append(b""), memory.append(b"ij")), (Some(8), Some(8)));
        assert_eq!((memory.append(b"k"), memory.append(b"")), (None, Some(10)));
        assert_eq!((memory.capacity(), memory.as_slice()), (10, &b"abcdefghij"[..]));
    }

    #[test]
    fn a_pin_reads_the_same_while_more_is_appended() {
        let mut memory = SegmentMemory::new(64);
        memory.append(b"first");
        let pins: Vec<_> = (0..=5).map(|start| memory.pin(start, 5 - start)).collect();
        let clone = pins[1].clone();
        while memory.append(b"more").is_some() {
            assert_eq!(&pins[0][..], b"first");
            assert_eq!((&clone[..], pins[5].len()), (&b"irst"[..], 0));
        }
        assert!(memory.is_pinned());
        drop((pins, clone));
        assert!(!memory.is_pinned());
    }

    #[test]
    fn a_pin_outlives_its_segment() {
        let mut memory = SegmentMemory::new(16);
        memory.append(b"outlives");
        let pin = memory.pin(3, 5);
        drop(memory);
        assert_eq!(&pin[..], b"lives");
    }

    #[test]
    fn cleared_memory_starts_again() {
        let mut memory = SegmentMemory::new(4);
        memory.append(b"abcd");
        drop(memory.pin(0, 4));
        memory.clear();
        assert!(memory.is_empty() && memory.as_slice().is_empty());
        assert_eq!((memory.append(b"xy"), memory.as_slice()), (Some(0), &b"xy"[..]));
    }

    #[test]
    #[should_panic(expected = "a pinned segment is never cleared")]
    fn pinned_memory_is_not_cleared() {
        let mut memory = SegmentMemory::new(4);
        memory.append(b"abcd");
        let _pin = memory.pin(0, 1);
        memory.clear();
    }

    #[test]
    #[should_panic(expected = "a pin within the segment")]
    fn a_pin_stays_within_what_was_appended() {
        let mut memory = SegmentMemory::new(16);
        memory.append(b"abcd");
        let _pin = memory.pin(2, 3);
    }

    #[test]
    #[should_panic(expected = "a pin within the segment")]
    fn a_pin_cannot_wrap_around() {
        let mut memory = SegmentMemory::new(16);
        memory.append(b"abcd");
        let _pin = memory.pin(1, usize::MAX);
    }

    #[test]
    #[should_panic(expected = "at least one byte")]
    fn a_segment_is_not_empty() {
        let _memory = SegmentMemory::new(0);
    }

    #[test]
    fn memory_is_aligned_to_cache_lines() {
        let mut memory = SegmentMemory::new(100);
        memory.append(b"x");
        assert_eq!(memory.as_slice().as_ptr() as usize % ALIGNMENT, 0);
    }
}
