//! Held bytes stay within 1.5 times the live ones, whatever order messages go in: each test settles
//! all but every hundredth of so many that a few segments more or less do not matter, and measures.

mod support;

use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::{GroupFlags, Put, Start, Take};
use ringway_protocol::{Attribute, GroupId, LeaseId, QueueId, QueueOptions, Records, record};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};

use self::support::{at, figure, settle, settle_with};

/// Messages, and the bytes of each: 1 % of them are more than six of the largest segments.
const MESSAGES: u32 = 200_000;
const BYTES: usize = 4_000;
const BATCH: u32 = 100;
/// Of so many messages one stays.
const STAYS: u32 = 100;
const NOBODY: Origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };

struct Stage {
    store: Store,
    queue: QueueId,
    taken: Taken,
}

impl Stage {
    fn new() -> Self {
        let defaults = QueueOptions::default();
        let (queues_max, leases_max, waits_max) = (10, 100_000, 10);
        let mut store = Store::new(StoreConfig {
            shard: 0,
            defaults,
            queues_max,
            leases_max,
            waits_max,
            seed: 1,
        });
        let options = QueueOptions { bytes_max: 2 << 30, lease_ms: 3_600_000, ..defaults };
        let (queue, _) = store.declare("queue", Some(options)).expect("a valid queue");
        Self { store, queue, taken: Taken::new() }
    }

    /// Puts all messages, the attributes of each by its number, and returns their sequences.
    fn fill<'a>(&mut self, attributes: impl Fn(u32) -> Vec<Attribute<'a>>) -> Vec<u64> {
        let (mut bytes, mut sequences, payload) = (Vec::new(), Vec::new(), vec![7; BYTES]);
        let mut stored = Stored::new();
        for first in (0..MESSAGES).step_by(BATCH as usize) {
            bytes.clear();
            for number in first..first + BATCH {
                record::write(&mut bytes, &attributes(number), &payload);
            }
            let records = Records::parse(&bytes, BATCH).expect("whole records");
            let put = Put::new(self.queue, records);
            self.store.put(&put, NOBODY, at(0), &mut stored).expect("the queue has room");
            for run in stored.runs() {
                sequences.extend(run.first_sequence..run.first_sequence + u64::from(run.count));
            }
        }
        assert_eq!(sequences.len(), MESSAGES as usize);
        sequences
    }

    /// Takes everything for a group, in leases of a batch each.
    fn lease_all(&mut self, group: GroupId) -> Vec<(LeaseId, u32)> {
        let (queue, bytes_max) = (self.queue, 900_000);
        let (messages_max, wait_ms, lease_ms, acknowledged) = (BATCH, 0, 0, false);
        let take = Take { queue, messages_max, bytes_max, wait_ms, lease_ms, group, acknowledged };
        let mut leases = Vec::new();
        loop {
            self.store.take(&take, at(0), &mut self.taken).expect("a valid take");
            if self.taken.count == 0 {
                return leases;
            }
            leases.push((self.taken.lease, self.taken.count));
        }
    }

    /// Acknowledges all of a lease's messages but every hundredth, which `after` is done to.
    fn ack_most(
        &mut self,
        (lease, count): (LeaseId, u32),
        after: impl Fn(&mut Self, (LeaseId, u32)),
    ) {
        let stays = count.min(STAYS) / 2;
        let (mut frame, mut verdicts) = (Vec::new(), Vec::new());
        let ranges = [(0, stays), (stays + 1, count - stays - 1)];
        let ranges: Vec<_> = ranges.into_iter().filter(|(_, count)| *count > 0).collect();
        let request = settle(self.queue, lease, &ranges, &mut frame);
        let settled = self.store.ack(&request, at(0), &mut verdicts).expect("a live lease").settled;
        assert_eq!(settled, count - 1);
        after(self, (lease, stays));
    }

    fn figure(&self, column: &str) -> u64 {
        let row: [u64; QUEUE_COLUMNS.len()] =
            self.store.stat(self.queue, at(0)).expect("the queue is there");
        figure(&row, column)
    }

    /// Measures, once what sends referred to has been given back.
    fn check(&mut self, what: &str) {
        self.taken.clear();
        (0..100).for_each(|_| self.store.expire(at(0)));
        let (held, live) = (self.figure("held_bytes"), self.figure("live_bytes"));
        let ratio = held as f64 / live as f64;
        println!("{what}: {held} bytes held for {live} live ones, {ratio:.3} times as many");
        assert!(live >= 7 << 20, "{live} live bytes are too few to measure");
        assert!(2 * held <= 3 * live, "{what}: {held} bytes held for {live} live ones");
    }
}

/// Each number once, in an order that is none.
fn shuffled<T>(mut all: Vec<T>) -> Vec<T> {
    let mut random = 1_u64;
    for index in (1..all.len()).rev() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        all.swap(index, (random >> 33) as usize % (index + 1));
    }
    all
}

#[test]
fn settled_out_of_order_and_leased_long() {
    let mut stage = Stage::new();
    stage.fill(|_| Vec::new());
    for lease in shuffled(stage.lease_all(GroupId::DEFAULT)) {
        stage.ack_most(lease, |_, _| ());
    }
    assert!(stage.figure("leased") >= u64::from(MESSAGES / STAYS));
    stage.check("under leases");
}

#[test]
fn given_back_with_a_delay() {
    let mut stage = Stage::new();
    stage.fill(|_| Vec::new());
    for lease in shuffled(stage.lease_all(GroupId::DEFAULT)) {
        stage.ack_most(lease, |stage, (lease, stays)| {
            let (mut frame, mut verdicts) = (Vec::new(), Vec::new());
            let place = (stage.queue, lease);
            let request = settle_with(place, &[(stays, 1)], Some(3_600_000), &mut frame);
            stage.store.nack(&request, at(0), &mut verdicts).expect("a live lease");
        });
    }
    assert!(stage.figure("delayed") >= u64::from(MESSAGES / STAYS));
    stage.check("given back with a delay");
}

#[test]
fn prioritised() {
    let mut stage = Stage::new();
    stage.fill(|number| vec![Attribute::Priority((number % 8) as u8)]);
    for lease in shuffled(stage.lease_all(GroupId::DEFAULT)) {
        stage.ack_most(lease, |_, _| ());
    }
    stage.check("in eight bands");
}

#[test]
fn settled_by_several_groups() {
    let mut stage = Stage::new();
    let flags = GroupFlags::default();
    let made = stage.store.create_group(stage.queue, "other", Start::Earliest, flags, at(0));
    let (other, _) = made.expect("a valid group");
    stage.fill(|_| Vec::new());
    for group in [GroupId::DEFAULT, other] {
        for lease in shuffled(stage.lease_all(group)) {
            stage.ack_most(lease, |_, _| ());
        }
    }
    stage.check("by two groups");
}

/// Removes all but every hundredth of some sequences, in no order.
fn remove_most(stage: &mut Stage, sequences: &[u64]) {
    let each = |chunk: &[u64]| chunk.iter().copied().skip(1).collect::<Vec<_>>();
    let most = sequences.chunks(STAYS as usize).flat_map(each).collect();
    for some in shuffled(most).chunks(1_000) {
        let removal = stage.store.remove(stage.queue, some.iter().copied()).expect("a queue");
        assert_eq!(removal.removed as usize, some.len());
    }
    assert_eq!(stage.figure("removed"), u64::from(MESSAGES - MESSAGES / STAYS));
}

#[test]
fn removed_before_anybody_has_seen_them() {
    let mut stage = Stage::new();
    let sequences = stage.fill(|_| Vec::new());
    remove_most(&mut stage, &sequences);
    stage.check("removed unseen");
    let leases = stage.lease_all(GroupId::DEFAULT);
    let taken: u32 = leases.iter().map(|(_, count)| count).sum();
    assert_eq!(taken, MESSAGES / STAYS, "what is left is still to be taken");
}

#[test]
fn cancelled_before_they_were_due() {
    let mut stage = Stage::new();
    let sequences = stage.fill(|number| vec![Attribute::DelayMs(60_000 + u64::from(number))]);
    remove_most(&mut stage, &sequences);
    assert_eq!(stage.figure("scheduled"), u64::from(MESSAGES / STAYS));
    stage.check("scheduled");
    // Those that were cancelled are looked at as well, a bounded number a turn.
    (0..1_000).for_each(|turn| stage.store.expire(at(1_000_000_000 * (turn + 1))));
    assert_eq!(stage.figure("ready"), u64::from(MESSAGES / STAYS), "all that is left came due");
}
