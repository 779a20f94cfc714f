//! What is used, and what goes because nobody uses it.
//!
//! A queue is in use while it holds something that somebody needs, or somebody waits at it. One
//! with `idle_ms` goes that long after it was put to or taken from or was in use last. A queue that
//! is spread over shards stays: that one part is quiet says nothing of the others.

use std::collections::VecDeque;

use ringway_protocol::QueueId;

use crate::path::queue::catalog::Queue;
use crate::path::queue::quota::Ledger;
use crate::path::queue::{Store, Timer};
use crate::world::Now;

/// What a store knows of the use of its queues.
#[derive(Debug, Default)]
pub(in crate::path::queue) struct Uses {
    /// The monotonic clock as the store was told last, for what has no other reading of it.
    pub clock_ns: u64,
    /// Queues that went by themselves, until somebody asks for them.
    deleted: VecDeque<QueueId>,
    /// What queues under quotas hold, if the plane has quotas.
    pub ledger: Option<Box<Ledger>>,
}

impl Uses {
    /// Something happened to a queue: it is used, and may hold more or less than before.
    #[inline]
    pub fn note(&mut self, queue: &mut Queue, now_ns: u64) {
        queue.used_ns = now_ns;
        if queue.quotas != 0
            && let Some(ledger) = &mut self.ledger
        {
            ledger.note(queue);
        }
    }
}

impl Queue {
    /// Whether it holds something, or somebody waits at it.
    pub fn is_in_use(&self) -> bool {
        self.bands.live() > 0 || self.groups.are_attended() || self.line.puts > 0
    }

    /// When it is to go if nobody uses it from now on.
    fn idle_at_ns(&self) -> Option<u64> {
        let goes = self.options.idle_ms > 0 && self.options.parts() == 1;
        goes.then(|| self.used_ns.saturating_add(self.options.idle_ms.saturating_mul(1_000_000)))
    }
}

impl Store {
    /// Tells the store the time, for what follows. Once a turn, before anything else.
    #[inline]
    pub fn tell_time(&mut self, now: Now) {
        self.uses.clock_ns = now.ns;
    }

    /// A queue that went by itself since the last call, for want of use.
    pub fn next_deleted(&mut self) -> Option<QueueId> {
        self.uses.deleted.pop_front()
    }

    /// Something happened to a queue: it is used, and may hold more or less than before.
    #[inline]
    pub(in crate::path::queue) fn stir(&mut self, id: QueueId, now_ns: u64) {
        if let Ok(queue) = self.catalog.get_mut(id) {
            self.uses.note(queue, now_ns);
        }
    }

    /// A queue may hold more or less than before.
    pub(in crate::path::queue) fn note_held(&mut self, id: QueueId) {
        if let Some(ledger) = &mut self.uses.ledger
            && let Ok(queue) = self.catalog.get_mut(id)
            && queue.quotas != 0
        {
            ledger.note(queue);
        }
    }

    /// Sees to it that a queue goes when it is not used, if it is of that kind.
    pub(in crate::path::queue) fn watch_use(&mut self, slot: u32) {
        let queue = self.catalog.at_mut(slot);
        let at_ns = queue.idle_at_ns();
        if let Some(timer) = queue.known_rare().and_then(|rare| rare.idle) {
            self.wheel.disarm(timer);
            queue.rare().idle = None;
        }
        if let Some(at_ns) = at_ns {
            queue.rare().idle = Some(self.wheel.arm(at_ns, Timer::Idle(slot)));
        }
    }

    /// A queue may have been idle for long enough: it goes, or is looked at again.
    pub(in crate::path::queue) fn look_at_use(&mut self, slot: u32, now: Now) {
        let queue = self.catalog.at_mut(slot);
        queue.rare().idle = None;
        if queue.is_in_use() {
            queue.used_ns = now.ns;
        } else if queue.idle_at_ns().is_some_and(|at_ns| at_ns <= now.ns) {
            let id = queue.id;
            self.delete(id).expect("the queue was just looked at");
            self.uses.deleted.push_back(id);
            return;
        }
        self.watch_use(slot);
    }

    /// Forgets what was to happen to a queue that is being deleted.
    pub(in crate::path::queue) fn forget_use(&mut self, slot: u32) {
        let queue = self.catalog.at_mut(slot);
        if let Some(ledger) = &mut self.uses.ledger {
            ledger.forget(queue);
        }
        if queue.known_rare().is_none() {
            return;
        }
        let rare = queue.rare();
        for timer in [rare.idle.take(), rare.kept.take(), rare.memory.take()].into_iter().flatten()
        {
            self.wheel.disarm(timer);
        }
    }
}
