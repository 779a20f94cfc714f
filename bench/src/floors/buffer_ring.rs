//! A ring of receive buffers that the kernel picks from (`IORING_REGISTER_PBUF_RING`).
//!
//! ```text
//! ring page   [addr len bid | addr len bid | ... ]   tail lives in the first entry's padding
//! memory      [ buffer 0 | buffer 1 | ... | buffer N-1 ]
//! ```
//!
//! A buffer belongs to the kernel from `give_back` until a completion names it, then to the caller
//! until he gives it back.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// Few buffers: 16 of 64 KiB stay in the second-level cache, 256 cost a fifth of a stream's speed.
pub(super) const BUFFERS: u16 = 16;
/// Bytes of one buffer.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

const _: () = assert!(BUFFERS.is_power_of_two(), "the kernel masks the tail");
const _: () = assert!(BUFFERS as usize * size_of::<BufRingEntry>() <= PAGE_BYTES, "one page");

const PAGE_BYTES: usize = 4096;

/// Page-aligned memory, which the kernel asks for.
#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

/// The buffers of one ring, group 0. Must outlive every receive and send that refers to it.
pub(super) struct BufferRing {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl BufferRing {
    /// Registers all buffers with `ring`; the memory stays until the process ends.
    ///
    /// It is leaked (1 MiB a server) because a kernel that still fills a buffer of a failed server
    /// would otherwise write into memory that belongs to somebody else by then.
    pub(super) fn register(ring: &IoUring) -> io::Result<Self> {
        let page = Box::leak(Box::new(Page([0; PAGE_BYTES])));
        let entries: *mut BufRingEntry = page.0.as_mut_ptr().cast();
        let memory = vec![0u8; usize::from(BUFFERS) * BUFFER_BYTES].leak().as_mut_ptr();
        // SAFETY: `entries` leads to a leaked page with room for BUFFERS entries, so it stays valid
        // for as long as the ring.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, 0, 0)?;
        }
        let mut buffers = Self { entries, memory, tail: 0 };
        (0..BUFFERS).for_each(|id| buffers.give_back(id));
        Ok(buffers)
    }

    /// Where buffer `id` starts.
    pub(super) fn at(&self, id: u16) -> *const u8 {
        assert!(id < BUFFERS, "the kernel names only buffers it was given");
        // SAFETY: `id` was checked, so the sum stays within the allocation.
        unsafe { self.memory.add(usize::from(id) * BUFFER_BYTES) }
    }

    /// Hands buffer `id` back to the kernel.
    pub(super) fn give_back(&mut self, id: u16) {
        let address = self.at(id) as u64;
        let slot = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: `slot` is below BUFFERS, and the kernel reads no entry at or after the tail, so
        // this one is ours until the store below publishes it.
        let entry = unsafe { &mut *self.entries.add(slot) };
        entry.set_addr(address);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry of the ring is `entries` itself, and the tail in it is a u16 that
        // both sides access atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        // Pairs with the kernel's acquire of the tail: it sees the entry whole.
        tail.store(self.tail, Ordering::Release);
    }
}
