//! The queues of one shard alone on one thread: what a put, a take and an acknowledgement cost.
//!
//! Messages of 100 bytes, as everywhere in the benchmarks. Each operation puts a batch, takes it
//! in each group, looks at it, lets go of it and acknowledges it. With a backlog the queue never
//! runs empty, so records come and go in different cache lines and segments are recycled.
//!
//! | file | what |
//! |---|---|
//! | `requests` | what is asked of the queue, and the bytes of it |
//! | `percentiles` | what one call costs |

mod percentiles;
mod requests;

use std::hint::black_box;

use ringway_protocol::request::{BACK_OFF, GroupFlags, Producer, Put, Ranges, Settle, Start, Take};
use ringway_protocol::{GroupId, LeaseId, QueueId, QueueOptions, Records};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};
use ringway_shards::world::Now;

pub use percentiles::{Percentiles, percentiles};
pub use requests::{Requests, Work};

/// Bytes of a message's payload.
pub const PAYLOAD_BYTES: usize = 100;
/// Nanoseconds that an operation lets pass on the store's clock.
const OPERATION_NS: u64 = 100;
/// Operations between two calls of `expire`, which a shard makes once a turn.
const OPERATIONS_PER_TURN: u64 = 64;

/// The asker that no answer goes to.
pub(crate) const NOBODY: Origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };

/// A store for a few queues, as a shard makes its own.
pub(crate) fn store() -> Store {
    Store::new(StoreConfig {
        shard: 0,
        defaults: QueueOptions::default(),
        queues_max: 16,
        leases_max: 1 << 20,
        waits_max: 1 << 10,
        seed: 1,
    })
}

/// A store with one queue, and what is asked of it.
#[derive(Debug)]
pub struct Subject<'a> {
    store: Store,
    queue: QueueId,
    groups: Vec<GroupId>,
    batches: Vec<Records<'a>>,
    /// The batch that is put next.
    turn: usize,
    producer: Option<Producer>,
    ranges: Ranges<'a>,
    take: Take,
    taken: Taken,
    stored: Stored,
    verdicts: Vec<ringway_protocol::reply::RangeVerdict>,
    now_ns: u64,
    operations: u64,
}

impl<'a> Subject<'a> {
    /// A queue that holds `backlog` batches that nobody takes.
    pub fn new(requests: &'a Requests, backlog: usize) -> Self {
        let (mut store, work) = (store(), requests.work);
        let (queue, _) = store.declare("bench", Some(work.options())).expect("a valid name");
        let group = |number: u32| match number {
            0 => GroupId::DEFAULT,
            number => {
                let (name, flags) = (format!("group-{number}"), GroupFlags::default());
                let now = Now::default();
                let made = store.create_group(queue, &name, Start::Earliest, flags, now);
                made.expect("a queue has room for a few groups").0
            }
        };
        let groups = (0..work.groups()).map(group).collect();
        let take = Take {
            queue,
            messages_max: requests.count,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        let mut subject = Self {
            store,
            queue,
            groups,
            batches: requests.batches(),
            turn: 0,
            producer: (work == Work::Producer).then_some(Producer { id: 1, sequence: 0 }),
            ranges: requests.ranges(),
            take,
            taken: Taken::new(),
            stored: Stored::new(),
            verdicts: Vec::new(),
            now_ns: 1,
            operations: 0,
        };
        (0..backlog).for_each(|_| subject.put());
        subject
    }

    fn now(&self) -> Now {
        Now { ns: self.now_ns, wall_ms: 0 }
    }

    /// Puts the next batch.
    #[inline]
    pub fn put(&mut self) {
        let records = self.batches[self.turn];
        self.turn = if self.turn + 1 < self.batches.len() { self.turn + 1 } else { 0 };
        let mut put = Put::new(self.queue, black_box(records));
        put.producer = self.producer;
        if let Some(producer) = &mut self.producer {
            producer.sequence += u64::from(records.count());
        }
        let now = self.now();
        let admission = self.store.put(&put, NOBODY, now, &mut self.stored);
        black_box(admission.expect("the queue has room"));
        assert!(!self.stored.is_duplicate(), "what is put for the first time is no repeat");
        black_box(self.stored.first_sequence());
    }

    /// Takes a batch, looks at its first byte and lets go of it; its lease is returned.
    #[inline]
    pub fn take(&mut self, group: GroupId) -> LeaseId {
        let take = Take { group, ..self.take };
        let outcome = self.store.take(&take, self.now(), &mut self.taken);
        outcome.expect("the queue gives leases");
        assert!(self.taken.count == self.take.messages_max, "a whole batch is ready");
        for run in &self.taken.runs {
            black_box(run.slice[0]);
        }
        let lease = self.taken.lease;
        self.taken.clear();
        lease
    }

    /// Acknowledges a whole lease.
    #[inline]
    pub fn ack(&mut self, lease: LeaseId) {
        let settle = Settle { queue: self.queue, lease, ranges: self.ranges, delay_ms: BACK_OFF };
        let settlement = self.store.ack(&settle, self.now(), &mut self.verdicts);
        let settled = settlement.expect("the queue exists").settled;
        assert!(settled == self.take.messages_max, "the lease is settled whole");
    }

    /// Puts a batch and takes it, acknowledged at once: an operation without a lease.
    #[inline]
    pub fn put_and_take(&mut self) {
        self.put();
        self.take_for_good();
    }

    /// Takes a batch, acknowledged at once.
    #[inline]
    pub fn take_for_good(&mut self) {
        let take = Take { acknowledged: true, ..self.take };
        let outcome = self.store.take(&take, self.now(), &mut self.taken);
        outcome.expect("the queue has messages");
        black_box(&self.taken);
        self.taken.clear();
    }

    /// Puts a batch; takes and acknowledges one in each group.
    #[inline]
    pub fn operation(&mut self) {
        self.put();
        for index in 0..self.groups.len() {
            let lease = self.take(self.groups[index]);
            self.ack(lease);
        }
        self.now_ns += OPERATION_NS;
        self.operations += 1;
        if self.operations.is_multiple_of(OPERATIONS_PER_TURN) {
            self.store.expire(self.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operations on a queue with a backlog leave it as it was, and allocate nothing once warm.
    fn check(batch: u32, backlog: usize, work: Work) {
        let requests = Requests::new(batch, work);
        let backlog = backlog.max(requests.backlog());
        let mut subject = Subject::new(&requests, backlog);
        (0..300 + requests.warm_up()).for_each(|_| subject.operation());
        let counted = allocation_counter::measure(|| (0..300).for_each(|_| subject.operation()));
        assert_eq!(counted.count_total, 0, "{work:?}, batches of {batch} allocate");
        let ready = backlog as u64 * u64::from(batch * work.groups());
        assert_eq!(subject.store.ready_and_leased(), (ready, 0), "{work:?}");
    }

    #[test]
    fn an_operation_leaves_the_queue_as_it_was_and_allocates_nothing() {
        for (batch, backlog) in [(1, 0), (1, 50), (256, 0), (256, 3)] {
            check(batch, backlog, Work::Plain);
        }
        for work in [Work::Groups, Work::Producer, Work::Ids, Work::Keys] {
            check(256, 3, work);
        }
    }

    #[test]
    fn a_batch_that_is_acknowledged_at_once_is_gone() {
        let requests = Requests::new(256, Work::Plain);
        let mut subject = Subject::new(&requests, 3);
        let times = percentiles(300, || subject.put_and_take());
        assert!(times.p50_ns <= times.p99_ns && times.unclocked_ns > 0.0);
        assert_eq!(subject.store.ready_and_leased(), (3 * 256, 0));
    }
}
