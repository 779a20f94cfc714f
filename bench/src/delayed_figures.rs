//! Messages with a delay, alone on one thread: the memory that they need until they are due, and
//! what it costs to schedule and to deliver one.
//!
//! ```text
//! put in batches, with delays at random | a millisecond passes: expire, take, acknowledge | ...
//! ```
//! All messages are put before the first one is due. They become due at random, one every 60 us on
//! average however many there are, so that each is somewhere else in memory than the one before.
//!
//! Costs are CPU time. Asking for that costs a system call, so what is used while messages are
//! delivered is divided between becoming due and being taken as the time on the clock is.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringway_protocol::request::{BACK_OFF, Put, Settle, Take};
use ringway_protocol::{Attribute, GroupId, QueueId, QueueOptions, Records, record};
use ringway_shards::machine::clock::thread_cpu_ns;
use ringway_shards::path::queue::{Store, Stored, Taken};
use ringway_shards::world::Now;

use crate::queue_figures::{NOBODY, PAYLOAD_BYTES, Requests, Work, store};

/// Messages of a put, and most of a take.
const BATCH: u32 = 256;
/// Batches that are encoded before the clock runs, and put again and again.
const BATCHES: u64 = 256;
/// Nanoseconds that a put lets pass on the store's clock: a million messages a second.
const PUT_NS: u64 = 256_000;
/// Nanoseconds from one message that is due to the next, on average.
const BETWEEN_DUE_NS: u64 = 60_000;
/// Nanoseconds that pass on the store's clock between two looks at what is due.
const STEP_NS: u64 = 1_000_000;

/// What delayed messages cost.
#[derive(Clone, Copy, Debug)]
pub struct DelayedFigures {
    /// Nanoseconds to schedule a message: its share of a put.
    pub schedule_ns: f64,
    /// Nanoseconds in which a message becomes due.
    pub due_ns: f64,
    /// Nanoseconds to take a message and acknowledge it.
    pub deliver_ns: f64,
    /// The longest call that made messages due.
    pub longest: Duration,
}

impl DelayedFigures {
    /// Nanoseconds to schedule and deliver a message.
    #[must_use]
    pub fn total_ns(&self) -> f64 {
        self.schedule_ns + self.due_ns + self.deliver_ns
    }
}

/// When the messages of a run are due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// One after the other, at random.
    Scattered,
    /// All in the same millisecond.
    Together,
}

/// A store with a queue of delayed messages.
#[derive(Debug)]
pub struct Delayed {
    store: Store,
    queue: QueueId,
    messages: u64,
    due: Due,
    now_ns: u64,
    scheduled_cpu_ns: u64,
}

impl Delayed {
    /// An empty queue for so many messages, rounded up to whole batches.
    #[must_use]
    pub fn new(messages: u64, due: Due) -> Self {
        let mut store = store();
        let options =
            QueueOptions { messages_max: u64::MAX, bytes_max: u64::MAX, ..QueueOptions::default() };
        let (queue, _) = store.declare("delayed", Some(options)).expect("a valid declaration");
        let messages = messages.div_ceil(BATCH.into()) * u64::from(BATCH);
        Self { store, queue, messages, due, now_ns: 0, scheduled_cpu_ns: 0 }
    }

    /// Bytes of the payloads of all messages.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.messages * PAYLOAD_BYTES as u64
    }

    /// Bytes of one message's record.
    #[must_use]
    pub fn record_bytes() -> usize {
        let mut record = Vec::new();
        record::write(&mut record, &[Attribute::DelayMs(1)], &[0; PAYLOAD_BYTES]);
        record.len()
    }

    /// How many messages there are.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The delays of a run: the first message is due after the last was put.
    fn batches(&self) -> Vec<Vec<u8>> {
        let puts = self.messages / u64::from(BATCH);
        let first_ms = (puts * PUT_NS).div_ceil(1_000_000) + 1;
        let span_ms = (self.messages * BETWEEN_DUE_NS).div_ceil(1_000_000);
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut batch = || {
            let mut records = Vec::new();
            for _ in 0..BATCH {
                let delay_ms = first_ms + chance.below(span_ms);
                let delay = [Attribute::DelayMs(delay_ms)];
                record::write(&mut records, &delay, &[0x5a; PAYLOAD_BYTES]);
            }
            records
        };
        (0..BATCHES.min(puts)).map(|_| batch()).collect()
    }

    /// What is allocated meanwhile stays with the queue; encoding the batches is no part of it.
    pub fn fill(&mut self, count_held: &mut dyn FnMut(&mut dyn FnMut())) {
        match self.due {
            Due::Scattered => {
                let batches = self.batches();
                self.put_all(&batches, PUT_NS, count_held);
            }
            Due::Together => {
                let mut records = Vec::new();
                let delay = [Attribute::DelayMs(1_000)];
                (0..BATCH).for_each(|_| record::write(&mut records, &delay, &[0; PAYLOAD_BYTES]));
                self.put_all(&[records], 0, count_held);
            }
        }
    }

    fn put_all(
        &mut self,
        batches: &[Vec<u8>],
        put_ns: u64,
        count_held: &mut dyn FnMut(&mut dyn FnMut()),
    ) {
        let parsed = |bytes| Records::parse(bytes, BATCH).expect("valid records");
        let batches: Vec<_> = batches.iter().map(|bytes| parsed(bytes)).collect();
        let puts = (self.messages / u64::from(BATCH)) as usize;
        count_held(&mut || {
            let (mut stored, before_ns) = (Stored::new(), thread_cpu_ns());
            for records in batches.iter().cycle().take(puts) {
                let put = Put::new(self.queue, black_box(*records));
                let now = Now { ns: self.now_ns, wall_ms: self.now_ns / 1_000_000 };
                let admission = self.store.put(&put, NOBODY, now, &mut stored);
                black_box(admission.expect("the queue has room"));
                self.now_ns += put_ns;
            }
            self.scheduled_cpu_ns = thread_cpu_ns() - before_ns;
        });
        assert!(self.store.ready_and_leased() == (0, 0), "nothing is due before all are put");
    }

    /// Delivers every message as it becomes due.
    #[must_use]
    pub fn deliver(mut self) -> DelayedFigures {
        let requests = Requests::new(BATCH, Work::Plain);
        let ranges = requests.ranges();
        let take = Take {
            queue: self.queue,
            messages_max: BATCH,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        let (mut taken, mut verdicts) = (Taken::new(), Vec::new());
        let (mut expiring, mut longest) = (Duration::ZERO, Duration::ZERO);
        let (mut delivered, began, before_ns) = (0, Instant::now(), thread_cpu_ns());
        while delivered < self.messages {
            self.now_ns += STEP_NS;
            let now = Now { ns: self.now_ns, wall_ms: self.now_ns / 1_000_000 };
            let before = Instant::now();
            self.store.expire(now);
            let took = before.elapsed();
            expiring += took;
            longest = longest.max(took);
            loop {
                self.store.take(&take, now, &mut taken).expect("the queue gives leases");
                let (count, lease) = (taken.count, taken.lease);
                if count == 0 {
                    break;
                }
                for run in &taken.runs {
                    black_box(run.slice[0]);
                }
                taken.clear();
                delivered += u64::from(count);
                // The ranges are of a whole batch; what the lease does not have is unknown.
                let settle = Settle { queue: self.queue, lease, ranges, delay_ms: BACK_OFF };
                let settled = self.store.ack(&settle, now, &mut verdicts);
                assert!(settled.expect("the queue exists").settled == count, "all of a lease");
            }
        }
        let share = expiring.as_secs_f64() / began.elapsed().as_secs_f64();
        assert!(self.store.messages() == 0, "each message is delivered once");
        let a_message = |cpu_ns: u64| cpu_ns as f64 / self.messages as f64;
        let deliveries_ns = a_message(thread_cpu_ns() - before_ns);
        DelayedFigures {
            schedule_ns: a_message(self.scheduled_cpu_ns),
            due_ns: deliveries_ns * share,
            deliver_ns: deliveries_ns * (1.0 - share),
            longest,
        }
    }
}

/// Numbers that look like chance and come again in every run.
pub(crate) struct Chance(pub u64);

impl Chance {
    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scheduled_is_held_and_then_delivered_once() {
        for due in [Due::Scattered, Due::Together] {
            let mut delayed = Delayed::new(5_000, due);
            assert_eq!(delayed.messages(), 20 * 256);
            let mut held = 0;
            delayed.fill(&mut |fill| held = allocation_counter::measure(fill).bytes_current);
            assert!(held as u64 > delayed.payload_bytes(), "{due:?}: {held} B hold the payloads");
            let figures = delayed.deliver();
            assert!(figures.schedule_ns > 1.0 && figures.due_ns > 1.0 && figures.deliver_ns > 1.0);
            assert!(figures.longest > Duration::ZERO);
        }
    }
}
