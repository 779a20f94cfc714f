//! What has been made as safe as its queue promises; until then no reply leaves.
//!
//! Every change gets a position. Replies carry the position that they depend on and pass when the
//! mark `committed` has reached it. Memory is the only level so far, so each commit moves the mark
//! to the last change at once; a journal and replicas will move it later, and nothing else changes.

/// The mark that replies wait for.
///
/// Invariant: `committed <= appended`.
#[derive(Debug, Default)]
pub struct Journal {
    appended: u64,
    committed: u64,
}

impl Journal {
    /// Records that something changed; its position is [`Journal::appended`] from now on.
    #[inline]
    pub fn append(&mut self) {
        self.appended += 1;
    }

    /// The position of the last change.
    #[inline]
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Up to where replies may leave.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Makes every change as safe as the level asks for: in memory it already is.
    #[inline]
    pub fn commit(&mut self) {
        self.committed = self.appended;
    }
}
