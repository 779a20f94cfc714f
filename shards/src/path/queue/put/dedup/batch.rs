//! The deduplication ids of one batch: what they are known by, and which of its records repeat an
//! earlier one of the same batch.

use ringway_protocol::Records;

use super::window::{Digest, Window};

/// Room for the ids of one batch, used again for the next.
///
/// Invariant: a place holds 0, or one more than the index of a record whose digest belongs there.
#[derive(Debug, Default)]
pub struct Batch {
    digests: Vec<Option<Digest>>,
    /// Open addressing with at least twice as many places as records, a power of two.
    places: Vec<u16>,
}

impl Batch {
    /// Nothing of it has an id.
    #[inline]
    pub fn clear(&mut self) {
        self.digests.clear();
    }

    /// Hashes the ids of records, and asks for what a window knows of each: that comes while the
    /// next ones are hashed.
    pub fn read(&mut self, records: Records<'_>, window: &Window) {
        self.digests.clear();
        let ids = records.iter().map(|record| record.traits().deduplication);
        self.digests.extend(ids.map(|id| {
            let digest = window.digest(id?);
            window.prefetch(digest);
            Some(digest)
        }));
        assert!(self.digests.len() < usize::from(u16::MAX), "a place holds the index of a record");
        self.places.clear();
        self.places.resize((2 * self.digests.len()).next_power_of_two(), 0);
    }

    /// Whether nothing of it has an id.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// What its records are known by, in order; none if nothing of it has an id.
    pub fn digests(&self) -> &[Option<Digest>] {
        &self.digests
    }

    /// What a record is known by, if it has an id.
    #[inline]
    pub fn digest(&self, index: usize) -> Option<Digest> {
        self.digests.get(index).copied().flatten()
    }

    /// The first record of the batch with the id of this one, which is noted if there is none
    /// before it. For each record with an id once, in order.
    #[inline]
    pub fn earlier(&mut self, index: usize, digest: Digest) -> Option<usize> {
        let last = self.places.len() - 1;
        // Not the bits that choose the bucket of the window.
        let mut at = (digest.low() >> 32) as usize & last;
        loop {
            match self.places[at] {
                0 => {
                    self.places[at] = (index + 1) as u16;
                    return None;
                }
                taken if self.digests[usize::from(taken) - 1] == Some(digest) => {
                    return Some(usize::from(taken) - 1);
                }
                _ => at = (at + 1) & last,
            }
        }
    }
}
