//! Receive buffers: two groups of one size each, out of which the kernel picks.
//!
//! A buffer is free (published to the kernel, or in the list of a plain group) or lent (a
//! completion named it and its stage has not given it back). Memory is one mapping a group:
//!
//! ```text
//! | buffer 0 | buffer 1 | ... | entries, from a page boundary on |
//! ```
//!
//! The kernel reads the entries and writes the buffers, so a mapping is unmapped only when the ring
//! has no operation under way.

use super::ring::Ring;
use crate::world::{BufferId, BufferSize};
use io_uring::types::BufRingEntry;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// A huge page on x86-64 and on most arm64: what the kernel can map at once, if aligned.
const HUGE_PAGE_BYTES: usize = 2 << 20;
const PAGE_BYTES: usize = 4 << 10;
/// In a buffer's number for the kernel: it is of the large group. A completion does not name the
/// group otherwise.
const LARGE_BIT: u16 = 1 << 15;
/// Most buffers of a group: what leaves room for [`LARGE_BIT`], and what the kernel takes.
pub const BUFFERS_MAX: u16 = 1 << 14;

/// The number under which the kernel knows a group.
pub fn group(size: BufferSize) -> u16 {
    match size {
        BufferSize::Small => 0,
        BufferSize::Large => 1,
    }
}

/// The name of the buffer that the kernel has numbered so.
pub fn buffer_of(number: u16) -> BufferId {
    let size = if number & LARGE_BIT == 0 { BufferSize::Small } else { BufferSize::Large };
    BufferId { size, index: number & !LARGE_BIT }
}

/// Buffers of one size.
///
/// Invariant: a buffer is free or lent, never both; `free + lent == count`.
#[derive(Debug)]
pub struct BufferGroup {
    size: BufferSize,
    buffer_bytes: usize,
    count: u16,
    memory: Mapping,
    /// How free buffers get to the kernel, or who keeps them.
    free: Free,
    lent: Vec<bool>,
    lent_count: u16,
}

#[derive(Debug)]
enum Free {
    /// Published in the group's entries, up to this tail.
    Provided(u16),
    /// Kept here, for kernels on which provided buffers cannot be used.
    Plain(Vec<u16>),
}

impl BufferGroup {
    /// Buffers that the kernel picks itself.
    ///
    /// # Errors
    /// When there is no memory, or the kernel refuses the registration.
    pub fn provided(
        ring: &Ring,
        size: BufferSize,
        buffer_bytes: usize,
        count: u16,
    ) -> io::Result<Self> {
        let mut group = Self::new(size, buffer_bytes, count, Free::Provided(0))?;
        // SAFETY: the mapping has room for `count` entries from there on, is page-aligned, and
        // lives until `Self::leave` or the ring's end, as `LinuxWorld`'s drop sees to.
        unsafe { ring.register_buffers(group.entries(), count, self::group(size))? };
        for index in 0..count {
            group.publish(index);
        }
        Ok(group)
    }

    /// Buffers that are handed out by [`Self::next_plain`].
    ///
    /// # Errors
    /// When there is no memory.
    pub fn plain(size: BufferSize, buffer_bytes: usize, count: u16) -> io::Result<Self> {
        Self::new(size, buffer_bytes, count, Free::Plain((0..count).rev().collect()))
    }

    fn new(size: BufferSize, buffer_bytes: usize, count: u16, free: Free) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= BUFFERS_MAX, "{count} buffers in a group");
        assert!(buffer_bytes > 0 && u32::try_from(buffer_bytes).is_ok(), "a buffer's size");
        let entries_bytes = usize::from(count) * size_of::<BufRingEntry>();
        let bytes = Self::entries_offset(buffer_bytes, count) + entries_bytes;
        let memory = Mapping::new(bytes)?;
        Ok(Self {
            size,
            buffer_bytes,
            count,
            memory,
            free,
            lent: vec![false; usize::from(count)],
            lent_count: 0,
        })
    }

    fn entries_offset(buffer_bytes: usize, count: u16) -> usize {
        (buffer_bytes * usize::from(count)).next_multiple_of(PAGE_BYTES)
    }

    fn entries(&self) -> NonNull<BufRingEntry> {
        let offset = Self::entries_offset(self.buffer_bytes, self.count);
        // SAFETY: within the mapping, as `new` has sized it.
        unsafe { self.memory.start.add(offset) }.cast()
    }

    /// How many bytes a buffer has.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// How many buffers nobody has been lent.
    pub fn free(&self) -> u16 {
        self.count - self.lent_count
    }

    /// A free buffer of a plain group, to receive into, or `None` if all are lent. It stays free
    /// until [`Self::mark_lent`].
    pub fn next_plain(&mut self) -> Option<(u16, &mut [u8])> {
        let Free::Plain(free) = &self.free else { return None };
        let index = *free.last()?;
        let at = usize::from(index) * self.buffer_bytes;
        // SAFETY: within the mapping; only lent buffers are read by others, and this one is free.
        let buffer = unsafe {
            std::slice::from_raw_parts_mut(self.memory.start.as_ptr().add(at), self.buffer_bytes)
        };
        Some((index, buffer))
    }

    /// Notes that a completion has lent this buffer to its stage.
    #[inline]
    pub fn mark_lent(&mut self, index: u16) {
        let lent = &mut self.lent[usize::from(index)];
        assert!(!*lent, "the kernel chose a buffer that was lent already");
        *lent = true;
        self.lent_count += 1;
        if let Free::Plain(free) = &mut self.free {
            let last = free.pop();
            debug_assert_eq!(last, Some(index), "the one that `next_plain` named");
        }
    }

    /// The first bytes of a lent buffer.
    #[inline]
    pub fn received(&self, index: u16, length: usize) -> &[u8] {
        assert!(self.lent[usize::from(index)], "only a lent buffer can be read");
        assert!(length <= self.buffer_bytes, "a buffer holds {} bytes", self.buffer_bytes);
        let at = usize::from(index) * self.buffer_bytes;
        // SAFETY: within the mapping, which was zeroed by the kernel; nobody writes to a lent
        // buffer, and `give_back` needs `self` for itself.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().add(at), length) }
    }

    /// Makes a lent buffer free again. Panics if it is not lent.
    #[inline]
    pub fn give_back(&mut self, index: u16) {
        let lent = &mut self.lent[usize::from(index)];
        assert!(*lent, "a buffer is given back once");
        *lent = false;
        self.lent_count -= 1;
        match &mut self.free {
            Free::Provided(_) => self.publish(index),
            Free::Plain(free) => free.push(index),
        }
    }

    /// Writes the buffer into the entry at the tail, then moves the tail.
    #[inline]
    fn publish(&mut self, index: u16) {
        let Free::Provided(tail) = self.free else { return };
        let entries = self.entries();
        let at = usize::from(index) * self.buffer_bytes;
        let number = index | if self.size == BufferSize::Large { LARGE_BIT } else { 0 };
        let place = usize::from(tail & (self.count - 1));
        let next = tail.wrapping_add(1);
        // SAFETY: `place < count`, so the entry is within the mapping; it is free, because there
        // are as many entries as buffers, so the kernel does not read it before the tail moves.
        // The tail lies in the unused part of the first entry, which the setters leave alone, and
        // is aligned for an `AtomicU16`.
        unsafe {
            let entry = &mut *entries.as_ptr().add(place);
            entry.set_addr(self.memory.start.as_ptr().add(at) as u64);
            entry.set_len(self.buffer_bytes as u32);
            entry.set_bid(number);
            let tail = BufRingEntry::tail(entries.as_ptr()).cast_mut();
            // Pairs with the kernel's acquiring load: it sees the entry when it sees the tail.
            AtomicU16::from_ptr(tail).store(next, Ordering::Release);
        }
        self.free = Free::Provided(next);
    }

    /// Ends the registration, before the memory goes.
    pub fn leave(&self, ring: &Ring) {
        if let Free::Provided(_) = self.free {
            // It fails only if there is no such registration, which is what we want.
            let _ = ring.unregister_buffers(group(self.size));
        }
    }
}

/// Anonymous memory of one owner, zeroed, each page touched on the thread that asks for it.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(bytes: usize) -> io::Result<Self> {
        let length = bytes.next_multiple_of(PAGE_BYTES);
        // What is large enough for a huge page is also aligned to one, by cutting a larger mapping.
        let spare = if length >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { 0 };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let none = std::ptr::null_mut();
        // SAFETY: a fresh anonymous mapping at a place of the kernel's choice.
        let base = unsafe { libc::mmap(none, length + spare, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = base.cast::<u8>();
        let skip = if spare == 0 { 0 } else { base.align_offset(HUGE_PAGE_BYTES) };
        // SAFETY: `skip <= spare`: the three parts make up the mapping; the outer two are unused.
        // Advice may be refused where huge pages are off, which changes nothing.
        unsafe {
            let start = base.add(skip);
            if skip > 0 {
                libc::munmap(base.cast(), skip);
            }
            if spare > skip {
                libc::munmap(start.add(length).cast(), spare - skip);
            }
            if spare > 0 {
                libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE);
            }
            // A child process would share the pages, and the kernel would fill only one's copy.
            libc::madvise(start.cast(), length, libc::MADV_DONTFORK);
            for page in (0..length).step_by(PAGE_BYTES) {
                start.add(page).write_volatile(0);
            }
            Ok(Self { start: NonNull::new_unchecked(start), length })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; the owner has seen to it that the kernel does
        // not use it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_group_lends_each_buffer_once() {
        let mut group = BufferGroup::plain(BufferSize::Large, 64, 4).expect("memory");
        let mut lent = Vec::new();
        while let Some((index, buffer)) = group.next_plain() {
            buffer.fill(index as u8 + 1);
            group.mark_lent(index);
            lent.push(index);
        }
        assert_eq!((lent.len(), group.free()), (4, 0));
        for index in lent {
            assert_eq!(group.received(index, 64), [index as u8 + 1; 64]);
            group.give_back(index);
        }
        assert_eq!(group.free(), 4);
    }

    #[test]
    fn misuse_is_caught() {
        let panics = |misuse: fn(&mut BufferGroup)| {
            let mut group = BufferGroup::plain(BufferSize::Small, 64, 2).expect("memory");
            let attempt = std::panic::AssertUnwindSafe(|| misuse(&mut group));
            std::panic::catch_unwind(attempt).is_err()
        };
        assert!(panics(|group| group.give_back(1)), "giving back what is not lent");
        assert!(panics(|group| drop(group.received(1, 1).to_vec())), "reading what is not lent");
        assert!(panics(|group| {
            group.next_plain();
            group.mark_lent(0);
            group.received(0, 65);
        }));
    }

    #[test]
    fn a_mapping_of_a_huge_page_or_more_is_aligned_to_it() {
        let large = Mapping::new(HUGE_PAGE_BYTES + 1).expect("memory");
        assert_eq!(large.start.as_ptr() as usize % HUGE_PAGE_BYTES, 0);
        assert_eq!(large.length, HUGE_PAGE_BYTES + PAGE_BYTES);
    }

    #[test]
    fn numbers_tell_the_group() {
        let large = BufferId { size: BufferSize::Large, index: 5 };
        assert_eq!(buffer_of(LARGE_BIT | 5), large);
        assert_eq!(buffer_of(5), BufferId { size: BufferSize::Small, index: 5 });
    }
}
