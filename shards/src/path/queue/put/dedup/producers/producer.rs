//! One producer: its batches in the order of their numbers, and its place in a list.

use std::collections::VecDeque;

use super::{ProducersConfig, Seen, Stretch};

/// No slot.
pub const NIL: u32 = u32::MAX;

/// A batch and how it was answered. It was stored in one stretch, as a rule.
#[derive(Debug)]
struct Batch {
    number: u64,
    at_ms: u64,
    count: u32,
    /// What became of its only stretch.
    what: u32,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// The first sequence of its only stretch.
    One(u64),
    Several(Box<[Stretch]>),
}

const _: () = assert!(size_of::<Batch>() == 40, "a thousand batches are 40 KB");

impl Batch {
    /// The number after its last message's, which may be the last number.
    fn end(&self) -> u128 {
        u128::from(self.number) + u128::from(self.count)
    }

    fn write_answer(&self, answer: &mut Vec<Stretch>) {
        match &self.answer {
            Answer::One(first_sequence) => answer.push(Stretch {
                first_sequence: *first_sequence,
                count: self.count,
                what: self.what,
            }),
            Answer::Several(stretches) => answer.extend_from_slice(stretches),
        }
    }
}

/// What is remembered of a producer.
///
/// Invariant: the batches are in the order of their numbers and do not overlap, and the first one
/// begins at `floor` or later.
#[derive(Debug)]
pub struct Producer {
    pub id: u64,
    /// When a batch was recorded last.
    pub last_ms: u64,
    /// Below this number, what was recorded may be forgotten.
    floor: u128,
    batches: VecDeque<Batch>,
    /// Neighbours in its list.
    previous: u32,
    next: u32,
}

impl Producer {
    pub const fn new(id: u64) -> Self {
        let batches = VecDeque::new();
        Self { id, last_ms: 0, floor: 0, batches, previous: NIL, next: NIL }
    }

    /// Bytes of its batches.
    pub fn batches_bytes(&self) -> usize {
        let stretches = self.batches.iter().map(|batch| match &batch.answer {
            Answer::One(_) => 0,
            Answer::Several(stretches) => size_of_val(&**stretches),
        });
        self.batches.capacity() * size_of::<Batch>() + stretches.sum::<usize>()
    }

    pub fn has_no_batches(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether all of its batches are out of the window.
    pub fn is_over(&self, config: &ProducersConfig, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) >= config.window_ms
    }

    /// Whether it is out of everybody's memory.
    pub fn is_silent(&self, config: &ProducersConfig, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) >= config.silence_ms
    }

    /// What is known of a batch.
    pub fn look(
        &self,
        number: u64,
        count: u32,
        now_ms: u64,
        config: &ProducersConfig,
        answer: &mut Vec<Stretch>,
    ) -> Seen {
        let forgotten = self.forgotten(now_ms, config);
        let floor = match forgotten {
            0 => self.floor,
            forgotten => self.batches[forgotten - 1].end(),
        };
        let (begin, end) = (u128::from(number), u128::from(number) + u128::from(count));
        if begin < floor {
            return Seen::OutOfWindow;
        }
        let at = self.batches.partition_point(|batch| batch.end() <= begin);
        match self.batches.get(at) {
            Some(batch) if (batch.number, batch.count) == (number, count) => {
                batch.write_answer(answer);
                Seen::Repeat
            }
            Some(batch) if u128::from(batch.number) < end => Seen::Overlaps,
            _ => Seen::New,
        }
    }

    /// Records a batch that is new, and forgets what is out of the window.
    pub fn record(
        &mut self,
        number: u64,
        count: u32,
        answer: &[Stretch],
        now_ms: u64,
        config: &ProducersConfig,
    ) {
        debug_assert!(count > 0, "a batch has messages");
        let forgotten = self.forgotten(now_ms, config);
        self.forget(forgotten);
        self.last_ms = now_ms;
        let (what, answer) = match answer {
            [only] => (only.what, Answer::One(only.first_sequence)),
            several => (0, Answer::Several(several.into())),
        };
        let at = self.batches.partition_point(|batch| batch.end() <= number.into());
        self.batches.insert(at, Batch { number, at_ms: now_ms, count, what, answer });
        self.forget(self.batches.len().saturating_sub(config.batches_max));
    }

    /// Forgets every batch, and gives their memory back.
    pub fn forget_batches(&mut self) {
        self.forget(self.batches.len());
        self.batches = VecDeque::new();
    }

    /// How many batches are out of the window, from the lowest on.
    fn forgotten(&self, now_ms: u64, config: &ProducersConfig) -> usize {
        let crowded = self.batches.len().saturating_sub(config.batches_max);
        let over = |batch: &Batch| now_ms.saturating_sub(batch.at_ms) >= config.window_ms;
        crowded + self.batches.range(crowded..).take_while(|batch| over(batch)).count()
    }

    fn forget(&mut self, batches: usize) {
        for batch in self.batches.drain(..batches) {
            self.floor = batch.end();
        }
    }
}

/// Producers in the order of their last recording.
#[derive(Debug)]
pub struct List {
    pub first: u32,
    last: u32,
}

impl List {
    pub const EMPTY: Self = Self { first: NIL, last: NIL };

    /// Appends a producer that is in no list.
    pub fn append(&mut self, slots: &mut [Producer], slot: u32) {
        let last = std::mem::replace(&mut self.last, slot);
        match slots.get_mut(last as usize) {
            Some(last) => last.next = slot,
            None => self.first = slot,
        }
        let producer = &mut slots[slot as usize];
        (producer.previous, producer.next) = (last, NIL);
    }

    /// Takes out a producer of this list.
    pub fn unlink(&mut self, slots: &mut [Producer], slot: u32) {
        let Producer { previous, next, .. } = slots[slot as usize];
        match slots.get_mut(previous as usize) {
            Some(producer) => producer.next = next,
            None => self.first = next,
        }
        match slots.get_mut(next as usize) {
            Some(producer) => producer.previous = previous,
            None => self.last = previous,
        }
    }
}
