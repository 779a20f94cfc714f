//! The segments of a shard, and the pool that recycles them.
//!
//! A segment is recycled when all of its messages are gone, unless a send still refers to it.
//!
//! ```text
//!   open -> Open <-> Sparse       Open: in the order of its log
//!             |        |          Sparse: the same, and a third of it dead: to be compacted
//!             +--------+          Limbo: all dead, but a send refers to it
//!                 v
//!       Limbo -> free or given back
//! ```

use std::collections::VecDeque;

use super::handles::Handles;
use super::segment::{NIL, Segment};
use crate::limits::{SEGMENT_BYTES, SEGMENT_POOL_BYTES_MAX};
use crate::world::SegmentMemory;

/// Every segment of a shard, in use or kept for reuse.
#[derive(Debug)]
pub(in crate::path::queue) struct Segments {
    slots: Vec<Segment>,
    /// Free segments with memory of each size, and free slots without memory.
    free: [u32; SEGMENT_BYTES.len()],
    bare: u32,
    pooled_bytes: usize,
    pub(in crate::path::queue) handles: Handles,
    /// Queues with puts in line for room, and those of them that may have some now.
    pub watched: u32,
    pub room: VecDeque<u32>,
}

impl Segments {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: [NIL; SEGMENT_BYTES.len()],
            bare: NIL,
            pooled_bytes: 0,
            handles: Handles::new(),
            watched: 0,
            room: VecDeque::new(),
        }
    }

    /// An empty segment of one of the sizes for a queue, the one that was given back last if there
    /// is one.
    #[inline]
    pub fn open(&mut self, size: usize, queue: u32, first_sequence: u64) -> u32 {
        let pooled = self.free[size];
        let slot = if pooled != NIL {
            self.free[size] = self[pooled].next;
            self.pooled_bytes -= SEGMENT_BYTES[size];
            pooled
        } else {
            self.create(size)
        };
        self[slot].open(queue, first_sequence);
        slot
    }

    #[cold]
    fn create(&mut self, size: usize) -> u32 {
        if self.bare == NIL {
            self.slots.push(Segment::bare());
            self.bare = (self.slots.len() - 1) as u32;
        }
        let slot = self.bare;
        self.bare = self[slot].next;
        self[slot].fill(SegmentMemory::new(SEGMENT_BYTES[size]));
        slot
    }

    /// Takes back a segment that nothing refers to. The pool keeps its memory if it has room.
    #[inline]
    pub fn give_back(&mut self, slot: u32) {
        if self[slot].handle != NIL {
            self.close_handle(slot);
        }
        let segment = &mut self.slots[slot as usize];
        segment.close();
        let capacity = segment.capacity() as usize;
        let size = SEGMENT_BYTES.iter().position(|bytes| *bytes == capacity);
        let fits = self.pooled_bytes + capacity <= SEGMENT_POOL_BYTES_MAX;
        match size.filter(|_| fits && !segment.is_compacted()) {
            Some(size) => {
                segment.next = std::mem::replace(&mut self.free[size], slot);
                self.pooled_bytes += capacity;
            }
            None => self.strip(slot),
        }
    }

    /// Takes back a segment of a queue that is deleted: memory that a send refers to is freed after
    /// that send.
    pub fn abandon(&mut self, slot: u32) {
        if !self[slot].is_pinned() {
            return self.give_back(slot);
        }
        if self[slot].handle != NIL {
            self.close_handle(slot);
        }
        self.strip(slot);
    }

    /// Gives the memory of a free segment to the allocator and keeps its slot.
    #[cold]
    fn strip(&mut self, slot: u32) {
        self[slot].strip();
        self[slot].next = std::mem::replace(&mut self.bare, slot);
    }

    /// Notes that messages or memory of a queue are gone, if anybody waits for that.
    #[inline]
    pub fn note_room(&mut self, queue: u32) {
        if self.watched > 0 && self.room.back() != Some(&queue) {
            self.room.push_back(queue);
        }
    }
}

impl std::ops::Index<u32> for Segments {
    type Output = Segment;

    #[inline]
    fn index(&self, slot: u32) -> &Segment {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Segments {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Segment {
        &mut self.slots[slot as usize]
    }
}
