//! The parked flag: how a shard goes to sleep without missing work, and without being rung awake.
//!
//! Pure protocol, no descriptors: `doorbell.rs` adds the eventfd. The atomics come from the parent
//! module under the name `atomics`, so that `tests/doorbell_model.rs` compiles this very file
//! against loom and tries every interleaving.
//!
//! Flag and ring heads form a Dekker pair: each side writes its own word, fences, and then reads
//! the other's.
//!
//! ```text
//! owner                              caller
//! parked = true                      push to the ring (moves its head)
//! fence(SeqCst)   <--- pairs with --->   fence(SeqCst)
//! look into every ring               parked? then ring
//! ```
//!
//! The two fences have an order. If the owner's comes first, the caller sees `parked` and rings;
//! if the caller's comes first, the owner sees the push and does not sleep. Both may happen, which
//! costs one needless wake-up; neither cannot.

use super::atomics::{AtomicBool, Ordering, fence};

/// Whether the owning shard sleeps or is about to.
#[derive(Debug)]
pub struct ParkedFlag {
    /// Written `true` by the owner, `false` by the owner or by the one caller that rings. All
    /// writes are swaps, so each sees the one before it and they form one chain: a caller that
    /// was slow to clear an old wish to sleep cannot clear a later one without being told to ring.
    /// (The owner's could be plain stores by the rules of the language, but loom does not order a
    /// store against a swap; next to the system call that parks, a swap costs nothing.)
    parked: AtomicBool,
}

impl ParkedFlag {
    /// A flag of a shard that is awake.
    pub fn new() -> Self {
        Self { parked: AtomicBool::new(false) }
    }

    /// Owner: announce the wish to sleep. Every ring must be looked at once more after this and
    /// before sleeping; if one holds something, call [`unpark`](Self::unpark) instead.
    pub fn prepare_to_park(&self) {
        // Pairs with the load in `must_ring`: ordered by the fence below, so relaxed is enough.
        self.parked.swap(true, Ordering::Relaxed);
        // Pairs with the fence in `must_ring`.
        fence(Ordering::SeqCst);
    }

    /// Owner: awake again, or never went to sleep.
    pub fn unpark(&self) {
        // Pairs with the load in `must_ring`. A caller that still reads `true` rings needlessly,
        // and one that reads `false` is covered by the fences of the next `prepare_to_park`.
        self.parked.swap(false, Ordering::Relaxed);
    }

    /// Caller, after its push: whether the owner must be rung.
    ///
    /// Of several callers only the first is told so; the others rely on its ring, which it must
    /// therefore not leave out.
    #[must_use = "the caller that is told to ring is the only one that is told"]
    pub fn must_ring(&self) -> bool {
        // Pairs with the fence in `prepare_to_park`.
        fence(Ordering::SeqCst);
        // The load keeps the flag's cache line shared while the owner is awake, which is nearly
        // always; the swap runs only for an owner that sleeps. It pairs with the swaps of the other
        // callers, of whom one gets `true`, and with the owner's.
        self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::Relaxed)
    }
}
