//! A shard's receive buffers as the kernel sees them: free, or lent to the shard.

use ringway_shards::world::{BufferId, BufferSize};

/// One group of provided buffers.
#[derive(Debug)]
pub struct Buffers {
    size: BufferSize,
    bytes: usize,
    /// Invariant: a buffer is either here or lent, never both.
    free: Vec<u16>,
    lent: Vec<bool>,
}

impl Buffers {
    /// A group of free buffers.
    pub fn new(size: BufferSize, (count, bytes): (u16, usize)) -> Self {
        Self {
            size,
            bytes,
            free: (0..count).rev().collect(),
            lent: vec![false; usize::from(count)],
        }
    }

    /// Bytes of each buffer.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A buffer for received bytes, unless the shard holds them all.
    pub fn lend(&mut self) -> Option<BufferId> {
        let index = self.free.pop()?;
        let was_lent = std::mem::replace(&mut self.lent[usize::from(index)], true);
        assert!(!was_lent, "a free buffer is not lent");
        Some(BufferId { size: self.size, index })
    }

    /// The shard is done with a buffer.
    pub fn give_back(&mut self, index: u16) {
        let was_lent = std::mem::replace(&mut self.lent[usize::from(index)], false);
        assert!(was_lent, "{:?} buffer {index} was given back twice", self.size);
        self.free.push(index);
    }

    /// Whether the shard holds this buffer.
    pub fn is_lent(&self, index: u16) -> bool {
        self.lent[usize::from(index)]
    }

    /// How many buffers the shard holds.
    pub fn lent_count(&self) -> usize {
        self.lent.len() - self.free.len()
    }
}
