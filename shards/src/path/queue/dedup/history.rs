//! Ids in the order in which they came, with their answers: a queue that grows by chunks, so that
//! nothing large is ever copied.

use std::collections::VecDeque;

use super::window::Digest;

/// Entries of a chunk: 32 KiB.
const CHUNK_ENTRIES: usize = 1024;
/// Entries of a chunk that an empty history keeps: 2 KiB.
const KEPT_ENTRIES_MAX: usize = 64;
/// Chunks that an empty history has room for in its list.
const LIST_KEPT_MAX: usize = 4;

/// An id and how it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub digest: Digest,
    pub sequence: u64,
    pub at_ms: u64,
}

const _: () = assert!(size_of::<Answered>() == 32, "a million entries are 32 MB");

/// Every id remembered, numbered in the order in which they came.
///
/// Invariant: chunk `n` holds the entries from `base + n * CHUNK_ENTRIES` on, all chunks but the
/// last are full, and `base <= first <= next`.
#[derive(Debug)]
pub struct History {
    chunks: VecDeque<Vec<Answered>>,
    base: u64,
    first: u64,
    next: u64,
    spare: Vec<Answered>,
}

impl History {
    pub const fn new() -> Self {
        Self { chunks: VecDeque::new(), base: 0, first: 0, next: 0, spare: Vec::new() }
    }

    #[inline]
    pub fn len(&self) -> usize {
        (self.next - self.first) as usize
    }

    /// The number of the oldest entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next entry gets.
    #[inline]
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn bytes(&self) -> usize {
        let entries: usize = self.chunks.iter().map(Vec::capacity).sum();
        (entries + self.spare.capacity()) * size_of::<Answered>()
            + self.chunks.capacity() * size_of::<Vec<Answered>>()
    }

    /// The entry of this number, if it is remembered.
    #[inline]
    pub fn get(&self, number: u64) -> Option<&Answered> {
        let remembered = self.first <= number && number < self.next;
        remembered.then(|| {
            let at = (number - self.base) as usize;
            &self.chunks[at / CHUNK_ENTRIES][at % CHUNK_ENTRIES]
        })
    }

    /// The whole number of the entry whose lowest bits these are.
    #[inline]
    pub fn number(&self, low: u32) -> u64 {
        self.first + u64::from(low.wrapping_sub(self.first as u32))
    }

    /// The oldest entry and its number.
    #[inline]
    pub fn oldest(&self) -> Option<(u64, &Answered)> {
        self.get(self.first).map(|oldest| (self.first, oldest))
    }

    /// Remembers an entry.
    #[inline]
    pub fn push(&mut self, answered: Answered) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_ENTRIES => chunk.push(answered),
            _ => {
                let mut chunk = std::mem::take(&mut self.spare);
                chunk.push(answered);
                self.chunks.push_back(chunk);
            }
        }
        self.next += 1;
    }

    /// Forgets the oldest entry.
    pub fn pop(&mut self) {
        debug_assert!(self.first < self.next);
        self.first += 1;
        let full = self.first - self.base == CHUNK_ENTRIES as u64;
        if full || self.first == self.next {
            let chunk = self.chunks.pop_front().expect("an entry has a chunk");
            self.base = self.first;
            self.keep(chunk);
        }
    }

    /// Keeps the larger one of an emptied chunk and the spare one, a small one if nothing is left.
    fn keep(&mut self, mut chunk: Vec<Answered>) {
        chunk.clear();
        if chunk.capacity() > self.spare.capacity() {
            self.spare = chunk;
        }
        if self.first == self.next {
            self.chunks.shrink_to(LIST_KEPT_MAX);
            self.spare.shrink_to(KEPT_ENTRIES_MAX);
        }
    }
}
