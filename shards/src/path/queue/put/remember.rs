//! What a queue remembers of earlier puts is forgotten in time, also when nobody puts any more.

use crate::path::queue::{Store, Timer};
use crate::world::Now;

/// Producers and blocks of ids that one look at a queue forgets, at most.
const FORGOTTEN_PER_LOOK_MAX: usize = 64;

impl Store {
    /// Sees to it that what the queue in a slot remembers is looked at when it is old.
    #[inline]
    pub(super) fn watch_memory(&mut self, slot: u32) {
        let queue = self.catalog.at_mut(slot);
        if queue.options.dedup_ms > 0 && queue.known_memory().is_some() {
            self.arm_memory(slot);
        }
    }

    fn arm_memory(&mut self, slot: u32) {
        let queue = self.catalog.at_mut(slot);
        if queue.rare().memory.is_some() {
            return;
        }
        let Some(memory) = queue.known_memory() else { return };
        let times = [memory.window.next_forget_ms(), memory.producers.next_forget_ms()];
        if let Some(at_ms) = times.into_iter().flatten().min() {
            let at_ns = at_ms.saturating_mul(1_000_000);
            queue.rare().memory = Some(self.wheel.arm(at_ns, Timer::Memory(slot)));
        }
    }

    /// Forgets some of what is old, and says when to look again.
    pub(in crate::path::queue) fn look_at_memory(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        queue.rare().memory = None;
        if let Some(memory) = queue.known_memory() {
            let mut budget = FORGOTTEN_PER_LOOK_MAX;
            memory.window.forget_old(now.ms(), &mut budget);
            memory.producers.forget_old(now.ms(), &mut budget);
        }
        self.arm_memory(slot);
    }
}
