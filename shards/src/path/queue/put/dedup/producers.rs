//! The latest batches of each producer that numbers its messages, and how they were answered.
//!
//! A producer's batches are forgotten from the lowest number on: when there are too many of them,
//! or when their time is over and all before them are forgotten. Below the last one forgotten lies
//! its floor: what is put there again is out of the window, because nobody knows any more whether
//! it was stored. Above, a gap between batches is known to be new. The floor outlives the batches
//! until the producer was silent for long, or too many others came after it.

mod producer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::producer::{List, NIL, Producer};

/// What [`Producers`] remember.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducersConfig {
    /// Milliseconds that a batch is remembered.
    pub window_ms: u64,
    /// Batches of a producer, at least one.
    pub batches_max: usize,
    /// Milliseconds of silence after which a producer is forgotten; no less than `window_ms`.
    pub silence_ms: u64,
    /// Producers, at least one; the one that was silent the longest makes room for the next.
    pub producers_max: usize,
}

/// A part of a batch that was answered alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The sequence of its first message.
    pub first_sequence: u64,
    /// Messages whose sequences follow each other.
    pub count: u32,
    /// What became of them, in the wire's numbers.
    pub what: u32,
}

/// What is known of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing of it was recorded.
    New,
    /// It was recorded, and this was the answer.
    Repeat,
    /// It begins below what is remembered, and may have been recorded.
    OutOfWindow,
    /// It is not new, nor is it a batch that was recorded: the producer numbers its messages wrong.
    Overlaps,
}

/// The producers of a queue.
///
/// Invariant: each producer is in `ids` and in one list: in `recent` if it has batches, in `silent`
/// if not. Both are in the order of the last recording.
#[derive(Debug)]
pub struct Producers {
    config: ProducersConfig,
    slots: Vec<Producer>,
    free: Vec<u32>,
    /// Ordered, so that ids chosen to collide cost nothing.
    ids: BTreeMap<u64, u32>,
    recent: List,
    silent: List,
}

impl Producers {
    /// No producers yet, and no memory.
    pub fn new(config: ProducersConfig) -> Self {
        let (slots, free, ids) = Default::default();
        let (recent, silent) = (List::EMPTY, List::EMPTY);
        let mut producers = Self { config, slots, free, ids, recent, silent };
        producers.set_config(config);
        producers
    }

    /// Remembers more or less from now on. What a longer window brings back is still true: nothing
    /// was recorded in its place.
    pub fn set_config(&mut self, config: ProducersConfig) {
        assert!(config.batches_max > 0 && config.producers_max > 0, "there is something to do");
        let silence_ms = config.silence_ms.max(config.window_ms);
        self.config = ProducersConfig { silence_ms, ..config };
    }

    /// How many producers are in memory.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes that they hold, those of `ids` estimated. Visits each producer's batches of several
    /// stretches.
    pub fn bytes(&self) -> usize {
        let batches: usize = self.slots.iter().map(Producer::batches_bytes).sum();
        // A node holds eleven ids and is half to wholly full.
        let ids = self.ids.len() * 2 * size_of::<(u64, u32)>();
        let slots = self.slots.capacity() * size_of::<Producer>();
        size_of::<Self>() + batches + ids + slots + self.free.capacity() * size_of::<u32>()
    }

    /// What is known of a batch of `count` messages whose first one has this number. A repeat's
    /// answer is written to `answer`.
    pub fn look(
        &self,
        producer: u64,
        number: u64,
        count: u32,
        now_ms: u64,
        answer: &mut Vec<Stretch>,
    ) -> Seen {
        answer.clear();
        let found = self.ids.get(&producer).map(|slot| &self.slots[*slot as usize]);
        match found.filter(|found| !found.is_silent(&self.config, now_ms)) {
            Some(found) => found.look(number, count, now_ms, &self.config, answer),
            None => Seen::New,
        }
    }

    /// Records a batch that is new, and its answer: stretches that have `count` messages together.
    /// `now_ms` is never less than it was before.
    pub fn record(
        &mut self,
        producer: u64,
        number: u64,
        count: u32,
        answer: &[Stretch],
        now_ms: u64,
    ) {
        debug_assert_eq!(
            answer.iter().map(|part| u64::from(part.count)).sum::<u64>(),
            count.into()
        );
        let slot = self.touch(producer, now_ms);
        self.slots[slot as usize].record(number, count, answer, now_ms, &self.config);
        self.recent.append(&mut self.slots, slot);
    }

    /// Gives back the memory of producers that have been silent for long: first their batches, in
    /// the end themselves. Each takes one from `budget`, and at most its batches are freed for it.
    pub fn forget_old(&mut self, now_ms: u64, budget: &mut usize) {
        while *budget > 0 && self.next_forget_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            *budget -= 1;
            let slot = self.recent.first;
            if slot != NIL && self.slots[slot as usize].is_over(&self.config, now_ms) {
                self.recent.unlink(&mut self.slots, slot);
                self.slots[slot as usize].forget_batches();
                self.silent.append(&mut self.slots, slot);
            } else {
                self.remove(self.silent.first);
            }
        }
    }

    /// When [`Producers::forget_old`] has something to do next.
    pub fn next_forget_ms(&self) -> Option<u64> {
        let last_ms = |list: &List| Some(self.slots.get(list.first as usize)?.last_ms);
        let recent = last_ms(&self.recent).map(|ms| ms.saturating_add(self.config.window_ms));
        let silent = last_ms(&self.silent).map(|ms| ms.saturating_add(self.config.silence_ms));
        recent.into_iter().chain(silent).min()
    }

    /// The slot of a producer, on no list now: it was there, or is made, in place of another if
    /// there are too many.
    fn touch(&mut self, producer: u64, now_ms: u64) -> u32 {
        if let Some(slot) = self.ids.get(&producer).copied() {
            self.unlink(slot);
            if self.slots[slot as usize].is_silent(&self.config, now_ms) {
                self.slots[slot as usize] = Producer::new(producer);
            }
            return slot;
        }
        // Two go for one that comes, until there are as few as a smaller limit wants.
        for _ in 0..2 {
            if self.ids.len() >= self.config.producers_max {
                let silent = self.silent.first;
                self.remove(if silent == NIL { self.recent.first } else { silent });
            }
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Producer::new(producer));
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Producer::new(producer);
        self.ids.insert(producer, slot);
        slot
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let removed = std::mem::replace(&mut self.slots[slot as usize], Producer::new(0));
        self.ids.remove(&removed.id);
        self.free.push(slot);
        if self.ids.is_empty() {
            (self.slots, self.free) = Default::default();
        }
    }

    fn unlink(&mut self, slot: u32) {
        let silent = self.slots[slot as usize].has_no_batches();
        let list = if silent { &mut self.silent } else { &mut self.recent };
        list.unlink(&mut self.slots, slot);
    }
}
