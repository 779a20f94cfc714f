//! Memory of segments: appended to by one owner, read and sent from by many, freed after the last of them.
//!
//! Every byte below the length is immutable until the memory is cleared, and it is cleared only when no slice
//! of it is held anywhere. So a slice handed to the kernel stays true however the queue moves on.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

/// Segments start on a cache line of their own.
const ALIGNMENT: usize = 64;

struct Block {
    memory: NonNull<u8>,
    capacity: usize,
    /// Invariant: bytes `0..length` are initialised; length <= capacity.
    length: Cell<usize>,
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
pub struct SegmentMemory {
    block: Rc<Block>,
}

impl SegmentMemory {
    /// Memory for `capacity` bytes, at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a segment holds at least one byte");
        let layout = Block::layout(capacity);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc(layout) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout));
        Self { block: Rc::new(Block { memory, capacity, length: Cell::new(0) }) }
    }

    /// How many bytes fit in all.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.block.capacity
    }

    /// How many bytes were appended.
    #[inline]
    pub fn len(&self) -> usize {
        self.block.length.get()
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
        // SAFETY: `start + bytes.len() <= capacity`, `bytes` cannot overlap memory past the length, which no
        // slice refers to, and `&mut self` is the only appender.
        unsafe {
            let to = self.block.memory.as_ptr().add(start);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        self.block.length.set(start + bytes.len());
        Some(start)
    }

    /// The appended bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: bytes below the length are initialised and immutable while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.block.memory.as_ptr(), self.len()) }
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
        self.block.length.set(0);
    }
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
        // SAFETY: checked against the length in `pin`; bytes below it do not change while this pin exists.
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
