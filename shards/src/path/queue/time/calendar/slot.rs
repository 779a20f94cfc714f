//! The entries of one slot of a calendar, first in, first out, and the memory that slots share.
//!
//! A slot's first chunk is small, so that a hundred slots of one entry each cost little; the next
//! are larger, and the later ones so large that their list stays short: ten million entries in one
//! slot are ten thousand chunks, and the longest copy when that list grows is 240 KB.

use std::collections::VecDeque;

/// Entries of a chunk: of a slot's first, of its next ones, of all after those.
const CHUNK_ENTRIES: [usize; 3] = [16, 128, 1024];
/// Full chunks of a slot from which on the next is of the largest size.
const SHORT_CHUNKS: usize = 8;
/// Chunks of each size that are kept for reuse: 64, 64 and 128 KiB.
const SPARES_MAX: [usize; 3] = [256, 32, 8];
/// Chunks that an emptied slot keeps room for in its list.
const LIST_KEPT_MAX: usize = 16;

/// What is due, and when.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub due_ns: u64,
    pub place: u64,
}

const _: () = assert!(size_of::<Entry>() == 16, "ten million entries are 160 MB");

/// The entries of one slot.
///
/// Invariant: `open` is empty only if `full` is, no other chunk is empty, and `read` entries of the
/// first chunk are gone, fewer than it has.
#[derive(Debug)]
pub struct Slot {
    /// The last chunk: what comes next goes there.
    open: Vec<Entry>,
    full: VecDeque<Vec<Entry>>,
    read: u32,
    /// The earliest tick since the slot was empty last.
    pub earliest: u64,
}

impl Slot {
    pub const fn new() -> Self {
        Self { open: Vec::new(), full: VecDeque::new(), read: 0, earliest: 0 }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether it may hold more than a few hundred entries.
    #[inline]
    pub fn is_long(&self) -> bool {
        self.full.len() > 1
    }

    /// Bytes of the list of chunks, without the chunks.
    pub fn list_bytes(&self) -> usize {
        self.full.capacity() * size_of::<Vec<Entry>>()
    }

    /// Appends an entry; `fresh` says that the slot is empty.
    #[inline]
    pub fn append(&mut self, entry: Entry, tick: u64, fresh: bool, chunks: &mut Chunks) {
        self.earliest = if fresh { tick } else { self.earliest.min(tick) };
        if self.open.len() == self.open.capacity() {
            self.open_chunk(chunks);
        }
        self.open.push(entry);
    }

    #[cold]
    fn open_chunk(&mut self, chunks: &mut Chunks) {
        let size = match self.full.len() {
            _ if self.open.is_empty() => 0,
            full if full < SHORT_CHUNKS => 1,
            _ => 2,
        };
        let full = std::mem::replace(&mut self.open, chunks.get(size));
        if !full.is_empty() {
            self.full.push_back(full);
        }
    }

    /// Takes out the first entry. The slot must not be empty.
    #[inline]
    pub fn take(&mut self, chunks: &mut Chunks) -> Entry {
        let chunk = self.full.front().unwrap_or(&self.open);
        let entry = chunk[self.read as usize];
        self.read += 1;
        if self.read as usize == chunk.len() {
            let (chunk, _) = self.take_chunk();
            chunks.give_back(chunk);
        }
        entry
    }

    /// Takes out the first chunk, and says how many of its entries are gone. The slot must not be
    /// empty.
    pub fn take_chunk(&mut self) -> (Vec<Entry>, usize) {
        let read = std::mem::take(&mut self.read) as usize;
        let Some(chunk) = self.full.pop_front() else {
            return (std::mem::take(&mut self.open), read);
        };
        self.shorten();
        (chunk, read)
    }

    /// Gives the list's memory back if it has become empty.
    fn shorten(&mut self) {
        if self.full.is_empty() && self.full.capacity() > LIST_KEPT_MAX {
            self.full = VecDeque::new();
        }
    }

    /// Takes out of the chunk of an index what is not to be kept, and joins the rest to the chunk
    /// before it if that has room. Says how many entries it looked at, and how many are gone; the
    /// index is of what to look at next. `None` after the last chunk.
    pub fn sweep(
        &mut self,
        at: &mut usize,
        chunks: &mut Chunks,
        mut keep: impl FnMut(u64) -> bool,
    ) -> Option<(usize, usize)> {
        let (index, last) = (*at, self.full.len());
        if index > last || self.is_empty() {
            return None;
        }
        let chunk = if index < last { &mut self.full[index] } else { &mut self.open };
        if index == 0 {
            chunk.drain(..std::mem::take(&mut self.read) as usize);
        }
        let looked_at = chunk.len();
        chunk.retain(|entry| keep(entry.place));
        let left = chunk.len();
        let has_room = |before: &Vec<Entry>| before.len() + left <= before.capacity();
        if left > 0 && !(index > 0 && has_room(&self.full[index - 1])) {
            *at += 1;
            return Some((looked_at, looked_at - left));
        }
        let (mut chunk, before) = if index < last {
            (
                self.full.remove(index).expect("a chunk of the list"),
                self.full.get_mut(index.wrapping_sub(1)),
            )
        } else {
            let before = self.full.pop_back().unwrap_or_default();
            (std::mem::replace(&mut self.open, before), Some(&mut self.open))
        };
        if left > 0 {
            before.expect("the chunk has one before it").append(&mut chunk);
        }
        chunks.give_back(chunk);
        self.shorten();
        Some((looked_at, looked_at - left))
    }

    /// Puts the first chunk back, of which `read` entries are gone now.
    pub fn put_back(&mut self, chunk: Vec<Entry>, read: usize) {
        debug_assert!(read < chunk.len());
        self.read = read as u32;
        if self.open.is_empty() {
            self.open = chunk;
        } else {
            self.full.push_front(chunk);
        }
    }
}

/// The chunks of a calendar: some that are free, and how many bytes all of them have.
#[derive(Debug)]
pub struct Chunks {
    spare: [Vec<Vec<Entry>>; 3],
    entries: usize,
}

impl Chunks {
    pub const fn new() -> Self {
        Self { spare: [const { Vec::new() }; 3], entries: 0 }
    }

    /// Bytes of all chunks, the free ones and their list included.
    pub fn bytes(&self) -> usize {
        let lists: usize = self.spare.iter().map(Vec::capacity).sum();
        self.entries * size_of::<Entry>() + lists * size_of::<Vec<Entry>>()
    }

    fn get(&mut self, size: usize) -> Vec<Entry> {
        self.spare[size].pop().unwrap_or_else(|| {
            let chunk = Vec::with_capacity(CHUNK_ENTRIES[size]);
            self.entries += chunk.capacity();
            chunk
        })
    }

    pub fn give_back(&mut self, mut chunk: Vec<Entry>) {
        let size = CHUNK_ENTRIES.partition_point(|entries| *entries < chunk.capacity()).min(2);
        if self.spare[size].len() < SPARES_MAX[size] {
            chunk.clear();
            self.spare[size].push(chunk);
        } else {
            self.entries -= chunk.capacity();
        }
    }
}
