//! The queues of one shard alone on one thread: what a put, a take and an acknowledgement cost.
//!
//! Messages of 100 bytes, as everywhere in the benchmarks. Each operation puts a batch, takes it,
//! looks at it, lets go of it and acknowledges it. With a backlog the queue never runs empty, so
//! records come and go in different cache lines and segments are recycled.

use std::hint::black_box;
use std::time::Instant;

use hdrhistogram::Histogram;
use ringway_protocol::request::{BACK_OFF, Put, Range, Ranges, Settle, Take, encode_settle};
use ringway_protocol::{
    Frame, GroupId, Kind, LeaseId, QueueId, QueueOptions, Records, Request, Split, frame, record,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};
use ringway_shards::world::Now;

/// Bytes of a message's payload.
pub const PAYLOAD_BYTES: usize = 100;
/// Nanoseconds that an operation lets pass on the store's clock.
const OPERATION_NS: u64 = 100;
/// Operations between two calls of `expire`, which a shard makes once a turn.
const OPERATIONS_PER_TURN: u64 = 64;

/// The asker that no answer goes to.
const NOBODY: Origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };

/// The bytes that a client would send: a batch, and the acknowledgement of one.
#[derive(Debug)]
pub struct Requests {
    records: Vec<u8>,
    settle: Vec<u8>,
    count: u32,
}

impl Requests {
    /// Requests of `count` messages.
    pub fn new(count: u32) -> Self {
        let (mut records, mut settle) = (Vec::new(), Vec::new());
        for number in 0..count {
            record::write(&mut records, &[], &[number as u8; PAYLOAD_BYTES]);
        }
        let all = [Range { first: 0, count }];
        let nobody = (QueueId::new(1, 0, 0), LeaseId::new(1, 0, 0));
        encode_settle(Kind::Ack, nobody, &all, (0, 0), &mut settle);
        Self { records, settle, count }
    }

    fn ranges(&self) -> Ranges<'_> {
        match frame::split(&self.settle, self.settle.len()) {
            Ok(Split::Frame(frame @ Frame { .. })) => match Request::decode(frame) {
                Ok(Request::Ack(settle)) => settle.ranges,
                other => unreachable!("an acknowledgement was encoded, not {other:?}"),
            },
            other => unreachable!("a whole frame was encoded, not {other:?}"),
        }
    }
}

/// A store with one queue, and what is asked of it.
#[derive(Debug)]
pub struct Subject<'a> {
    store: Store,
    queue: QueueId,
    records: Records<'a>,
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
        let mut store = Store::new(StoreConfig {
            shard: 0,
            defaults: QueueOptions::default(),
            queues_max: 16,
            leases_max: 1 << 20,
            waits_max: 1 << 10,
            seed: 1,
        });
        let (queue, _) = store.declare("bench", None).expect("a valid name");
        let records = Records::parse(&requests.records, requests.count).expect("valid records");
        let mut stored = Stored::new();
        for _ in 0..backlog {
            let put = Put::new(queue, records);
            store
                .put(&put, NOBODY, Now::default(), &mut stored)
                .expect("the backlog is within the queue's bounds");
        }
        let take = Take {
            queue,
            messages_max: requests.count,
            bytes_max: 0,
            wait_ms: 0,
            lease_ms: 0,
            group: GroupId::DEFAULT,
            acknowledged: false,
        };
        let (taken, verdicts) = (Taken::new(), Vec::new());
        let ranges = requests.ranges();
        Self {
            store,
            queue,
            records,
            ranges,
            take,
            taken,
            stored,
            verdicts,
            now_ns: 1,
            operations: 0,
        }
    }

    fn now(&self) -> Now {
        Now { ns: self.now_ns, wall_ms: 0 }
    }

    /// Puts one batch.
    #[inline]
    pub fn put(&mut self) {
        let (put, now) = (Put::new(self.queue, black_box(self.records)), self.now());
        let admission = self.store.put(&put, NOBODY, now, &mut self.stored);
        black_box(admission.expect("the queue has room"));
        black_box(self.stored.first_sequence());
    }

    /// Takes a batch, looks at its first byte and lets go of it; its lease is returned.
    #[inline]
    pub fn take(&mut self) -> LeaseId {
        let outcome = self.store.take(&self.take, self.now(), &mut self.taken);
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

    /// Puts, takes and acknowledges a batch.
    #[inline]
    pub fn operation(&mut self) {
        self.put();
        let lease = self.take();
        self.ack(lease);
        self.now_ns += OPERATION_NS;
        self.operations += 1;
        if self.operations.is_multiple_of(OPERATIONS_PER_TURN) {
            self.store.expire(self.now());
        }
    }
}

/// What one operation costs, in nanoseconds; a clock read is subtracted from each percentile.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Percentiles {
    /// Half of the operations take at most this.
    pub p50_ns: u64,
    /// 95 of 100.
    pub p95_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1,000.
    pub p999_ns: u64,
    /// What one clock read costs (median); it was subtracted.
    pub clock_ns: u64,
    /// The median of a hundred means, each over calls without any clock read between them: what a
    /// call costs when nothing else runs on the CPU.
    pub unclocked_ns: f64,
}

/// Times `count` calls one by one, after a tenth as many to warm up.
pub fn percentiles(count: u64, mut call: impl FnMut()) -> Percentiles {
    let histogram = || Histogram::<u64>::new_with_max(1_000_000_000, 3).expect("valid bounds");
    (0..count / 10).for_each(|_| call());
    let mut clock = histogram();
    let mut before = Instant::now();
    for _ in 0..count.min(100_000) {
        let now = Instant::now();
        clock.saturating_record((now - before).as_nanos() as u64);
        before = now;
    }
    let clock_ns = clock.value_at_quantile(0.5);
    let mut calls = histogram();
    before = Instant::now();
    for _ in 0..count {
        call();
        let now = Instant::now();
        calls.saturating_record((now - before).as_nanos() as u64);
        before = now;
    }
    let stretch = (count / 100).max(1);
    let mut means: Vec<f64> = (0..100)
        .map(|_| {
            let begin = Instant::now();
            (0..stretch).for_each(|_| call());
            begin.elapsed().as_nanos() as f64 / stretch as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let at = |quantile| calls.value_at_quantile(quantile).saturating_sub(clock_ns);
    Percentiles {
        p50_ns: at(0.5),
        p95_ns: at(0.95),
        p99_ns: at(0.99),
        p999_ns: at(0.999),
        clock_ns,
        unclocked_ns: means[means.len() / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_leaves_the_queue_as_it_was() {
        for (batch, backlog) in [(1, 0), (1, 50), (256, 0), (256, 3)] {
            let requests = Requests::new(batch);
            let mut subject = Subject::new(&requests, backlog);
            let times = percentiles(300, || subject.operation());
            assert!(times.p50_ns <= times.p99_ns && times.unclocked_ns > 0.0);
            let ready = backlog as u64 * u64::from(batch);
            assert_eq!(subject.store.ready_and_leased(), (ready, 0));
            subject.put_and_take();
            assert_eq!(subject.store.ready_and_leased().0, ready);
        }
    }
}
