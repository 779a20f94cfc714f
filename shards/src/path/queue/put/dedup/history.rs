//! Ids in the order in which they came, with their answers: a queue that grows and shrinks by
//! chunks, so that nothing large is ever copied, and forgetting a thousand ids frees one chunk.

use std::collections::VecDeque;

use super::bucket::Span;
use super::window::Digest;

/// Entries of a chunk: 32 KiB.
pub const CHUNK_ENTRIES: usize = 1024;
/// Chunks that the list of an empty history has room for.
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
/// Invariant: all chunks but the last are full, and the first one's entries begin with `first`.
#[derive(Debug)]
pub struct History {
    chunks: VecDeque<Vec<Answered>>,
    first: u64,
    next: u64,
    /// An emptied chunk for the next one.
    spare: Vec<Answered>,
}

impl History {
    /// An empty history whose numbers begin with `first`.
    pub const fn new(first: u64) -> Self {
        Self { chunks: VecDeque::new(), first, next: first, spare: Vec::new() }
    }

    /// How many entries there are, up to which number.
    #[inline]
    pub fn span(&self) -> Span {
        Span { next: self.next, len: self.next - self.first }
    }

    pub fn bytes(&self) -> usize {
        let entries: usize = self.chunks.iter().map(Vec::capacity).sum();
        (entries + self.spare.capacity()) * size_of::<Answered>()
            + self.chunks.capacity() * size_of::<Vec<Answered>>()
    }

    /// The entry of this number, which must be in the span.
    #[inline]
    pub fn get(&self, number: u64) -> &Answered {
        let at = (number - self.first) as usize;
        &self.chunks[at / CHUNK_ENTRIES][at % CHUNK_ENTRIES]
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

    /// The last entry of the first chunk, with its number: when it is forgotten, the chunk can be.
    #[inline]
    pub fn first_chunk_last(&self) -> Option<(u64, &Answered)> {
        let chunk = self.chunks.front()?;
        Some((self.first + chunk.len() as u64 - 1, chunk.last()?))
    }

    /// Forgets the first chunk.
    pub fn forget_chunk(&mut self) {
        let mut chunk = self.chunks.pop_front().expect("a chunk that is forgotten is there");
        self.first += chunk.len() as u64;
        if self.first == self.next {
            self.chunks.shrink_to(LIST_KEPT_MAX);
            self.spare = Vec::new();
        } else {
            chunk.clear();
            self.spare = chunk;
        }
    }
}
