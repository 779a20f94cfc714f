//! Groups, keys, priorities, schedules, times to live and deduplication, against the store alone.

mod support;

use ringway_protocol::limits::FRAME_BYTES_MAX;
use ringway_protocol::reply::{PutOutcome, PutRun, RangeVerdict};
use ringway_protocol::request::{GroupFlags, Producer, Put, Start, Take};
use ringway_protocol::{
    Attribute, Code, GroupId, LeaseId, PriorityOrder, QueueId, QueueOptions, Records, record,
};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};
use ringway_shards::world::Now;

use self::support::{at, figure, settle};

const MS: u64 = 1_000_000;
const NOBODY: Origin = Origin { shard: 0, peer: 0, stream: 0, request: 0 };

/// A store and its clock.
struct Stage {
    store: Store,
    now: Now,
}

/// A message: its payload and its attributes.
type Message<'a> = (&'a str, &'a [Attribute<'a>]);

impl Stage {
    fn new() -> Self {
        let config = StoreConfig {
            shard: 0,
            defaults: QueueOptions::default(),
            queues_max: 100,
            leases_max: 100_000,
            waits_max: 1_000,
            seed: 1,
        };
        let mut stage = Self { store: Store::new(config), now: at(0) };
        stage.advance(1_000);
        stage
    }

    fn advance(&mut self, ms: u64) {
        self.now.ns += ms * MS;
        self.now.wall_ms += ms;
        (0..4).for_each(|_| self.store.expire(self.now));
    }

    fn declare(&mut self, options: QueueOptions) -> QueueId {
        self.store.declare("queue", Some(options)).unwrap().0
    }

    fn try_put(
        &mut self,
        queue: QueueId,
        messages: &[Message<'_>],
        producer: Option<Producer>,
    ) -> Result<Vec<PutRun>, Code> {
        let mut bytes = Vec::new();
        for (payload, attributes) in messages {
            record::write(&mut bytes, attributes, payload.as_bytes());
        }
        let records = Records::parse(&bytes, messages.len() as u32).unwrap();
        let mut stored = Stored::new();
        let put = Put { queue, producer, records };
        self.store.put(&put, NOBODY, self.now, &mut stored).map_err(|why| why.code)?;
        Ok(stored.runs().collect())
    }

    fn put(&mut self, queue: QueueId, messages: &[Message<'_>]) -> Vec<PutRun> {
        self.try_put(queue, messages, None).unwrap()
    }

    /// Takes under a lease; the payloads.
    fn take(
        &mut self,
        queue: QueueId,
        group: GroupId,
        messages_max: u32,
    ) -> (LeaseId, Vec<String>) {
        let take = Take {
            queue,
            messages_max,
            bytes_max: FRAME_BYTES_MAX as u32,
            wait_ms: 0,
            lease_ms: 0,
            group,
            acknowledged: false,
        };
        let mut taken = Taken::new();
        self.store.take(&take, self.now, &mut taken).unwrap();
        let records = taken.runs.iter().flat_map(|run| support::records_in(&run.slice));
        let payload = |payload: &[u8]| String::from_utf8(payload.to_vec()).unwrap();
        (taken.lease, records.map(|(record, _)| payload(record.payload)).collect())
    }

    fn ack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[(u32, u32)]) -> u32 {
        let (mut frame, mut verdicts) = (Vec::new(), Vec::<RangeVerdict>::new());
        let settle = settle(queue, lease, ranges, &mut frame);
        self.store.ack(&settle, self.now, &mut verdicts).unwrap().settled
    }

    fn nack(&mut self, queue: QueueId, lease: LeaseId, ranges: &[(u32, u32)]) -> u32 {
        let (mut frame, mut verdicts) = (Vec::new(), Vec::<RangeVerdict>::new());
        let settle = settle(queue, lease, ranges, &mut frame);
        self.store.nack(&settle, self.now, &mut verdicts).unwrap().settled
    }

    fn figure(&self, queue: QueueId, column: &str) -> u64 {
        figure(&self.store.stat(queue, self.now).unwrap(), column)
    }
}

fn plain<'a>(payloads: &[&'a str]) -> Vec<Message<'a>> {
    payloads.iter().map(|payload| (*payload, &[][..])).collect()
}

#[test]
fn each_group_gets_every_message_and_the_last_one_frees_it() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    stage.put(queue, &plain(&["a", "b", "c"]));
    let flags = GroupFlags::default();
    let now = stage.now;
    let mut group =
        |name: &str, start| stage.store.create_group(queue, name, start, flags, now).unwrap().0;
    let early = group("early", Start::Earliest);
    let late = group("late", Start::Latest);
    let second = group("second", Start::Sequence(1));
    stage.put(queue, &plain(&["d"]));
    let (first, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["a", "b", "c", "d"]);
    assert_eq!(stage.ack(queue, first, &[(0, 4)]), 4);
    assert_eq!(stage.figure(queue, "messages"), 4);
    let (lease, taken) = stage.take(queue, early, 2);
    assert_eq!(taken, ["a", "b"]);
    stage.ack(queue, lease, &[(0, 2)]);
    assert_eq!(stage.figure(queue, "messages"), 3, "the first is done by all");
    assert_eq!(stage.take(queue, late, 10).1, ["d"]);
    assert_eq!(stage.take(queue, second, 10).1, ["b", "c", "d"]);
    stage.store.delete_group(queue, "second").unwrap();
    assert_eq!(stage.figure(queue, "messages"), 2);
    stage.store.delete_group(queue, "early").unwrap();
    assert_eq!(stage.figure(queue, "messages"), 1);
    stage.store.delete_group(queue, "late").unwrap();
    assert_eq!((stage.figure(queue, "messages"), stage.figure(queue, "held_bytes")), (0, 0));
    assert_eq!(stage.store.delete_group(queue, "default").unwrap_err().code, Code::Conflict);
}

#[test]
fn a_key_is_in_flight_once_and_in_order() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    let (k, l): (&[Attribute<'_>], &[Attribute<'_>]) =
        (&[Attribute::Key(b"k")], &[Attribute::Key(b"l")]);
    stage.put(queue, &[("k1", k), ("k2", k), ("l1", l), ("plain", &[]), ("k3", k), ("l2", l)]);
    let (first, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["k1", "l1", "plain"]);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, [""; 0]);
    assert_eq!(stage.figure(queue, "blocked"), 3);
    assert_eq!(stage.nack(queue, first, &[(0, 1)]), 1);
    let (again, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["k1"]);
    stage.ack(queue, again, &[(0, 1)]);
    stage.ack(queue, first, &[(1, 2)]);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["k2", "l2"]);
}

#[test]
fn urgent_messages_come_first_or_more_often() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    let high: &[Attribute<'_>] = &[Attribute::Priority(7)];
    let runs = stage.put(queue, &[("a", &[]), ("b", high), ("c", &[]), ("d", high)]);
    assert_eq!(runs.len(), 4);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 3).1, ["b", "d", "a"]);
    stage.store.delete(queue).unwrap();
    let options = QueueOptions { priority: PriorityOrder::Weighted, ..QueueOptions::default() };
    let queue = stage.declare(options);
    let mut messages = vec![("high", high); 20];
    messages.extend(plain(&["low"; 20]));
    stage.put(queue, &messages);
    let taken = stage.take(queue, GroupId::DEFAULT, 18).1;
    assert_eq!(taken.iter().filter(|payload| *payload == "low").count(), 2);
    let rest = stage.take(queue, GroupId::DEFAULT, 40).1;
    assert_eq!(taken.len() + rest.len(), 40);
}

#[test]
fn delayed_messages_come_when_they_are_due() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    let at_ms = stage.now.wall_ms + 50;
    let runs = stage.put(
        queue,
        &[("later", &[Attribute::DelayMs(100)]), ("now", &[]), ("then", &[Attribute::AtMs(at_ms)])],
    );
    let outcomes: Vec<_> = runs.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, [PutOutcome::Scheduled, PutOutcome::Stored, PutOutcome::Scheduled]);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["now"]);
    assert_eq!(stage.figure(queue, "scheduled"), 2);
    stage.advance(52);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["then"]);
    stage.advance(52);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["later"]);
    stage.put(queue, &[("x", &[Attribute::DelayMs(1_000)])]);
    stage.store.delete(queue).unwrap();
    stage.advance(31_000);
    assert_eq!(stage.store.next_deadline(), None);
}

#[test]
fn a_time_of_day_follows_the_wall_clock() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    let at_ms = stage.now.wall_ms + 3_600_000;
    stage.put(queue, &[("hour", &[Attribute::AtMs(at_ms)])]);
    stage.now.wall_ms += 3_600_000;
    // One turn sees the step, a later one what is due by it.
    (0..2).for_each(|_| stage.advance(3));
    let (lease, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["hour"], "set forward");
    stage.ack(queue, lease, &[(0, 1)]);
    let at_ms = stage.now.wall_ms + 1_000;
    stage.put(queue, &[("second", &[Attribute::AtMs(at_ms)])]);
    stage.now.wall_ms -= 3_600_000;
    stage.advance(2_000);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, [""; 0], "set back");
    stage.advance(3_600_000);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["second"]);
}

/// The steps of row 33 of FAULTS are in `tests/cases/queue/clocks.txt`; this is its year 2038, when
/// 32 bits of seconds overflow.
#[test]
fn row_33_nothing_happens_in_2038() {
    const OVERFLOW_MS: u64 = (1 << 31) * 1_000;
    let mut stage = Stage::new();
    stage.now.wall_ms = OVERFLOW_MS - 5_000;
    let options = QueueOptions { lease_ms: 10_000, ttl_ms: 100_000, ..QueueOptions::default() };
    let queue = stage.declare(options);
    let at_ms = OVERFLOW_MS + 5_000;
    let delayed = &[("delayed", &[Attribute::DelayMs(10_000)][..])];
    stage.put(queue, &[("timed", &[Attribute::AtMs(at_ms)]), ("leased", &[])]);
    stage.put(queue, delayed);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["leased"]);
    stage.advance(9_900);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, [""; 0], "all of it is 100 ms away");
    stage.advance(102);
    let (_, mut taken) = stage.take(queue, GroupId::DEFAULT, 10);
    taken.sort_unstable();
    assert_eq!(taken, ["delayed", "leased", "timed"]);
    assert_eq!(stage.figure(queue, "expired"), 0);
}

#[test]
fn messages_expire_seen_or_not() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions { ttl_ms: 1_000, ..QueueOptions::default() });
    stage.put(queue, &[("short", &[Attribute::TimeToLiveMs(100)]), ("long", &[])]);
    stage.advance(200);
    assert_eq!((stage.figure(queue, "ready"), stage.figure(queue, "expired")), (1, 1));
    let (lease, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["long"]);
    stage.advance(1_500);
    assert_eq!(stage.nack(queue, lease, &[(0, 1)]), 1, "a leased message outlives its time");
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, [""; 0]);
    assert_eq!((stage.figure(queue, "messages"), stage.figure(queue, "expired")), (0, 2));
    stage.put(queue, &plain(&["a", "b", "c"]));
    stage.advance(2_100);
    assert_eq!((stage.figure(queue, "messages"), stage.figure(queue, "expired")), (0, 5));
}

#[test]
fn a_take_looks_behind_what_expired_while_its_key_was_busy() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions::default());
    let key = Attribute::Key(b"k");
    let short: &[Attribute<'_>] = &[key, Attribute::TimeToLiveMs(100)];
    let messages = [("first", &[key][..]), ("a", short), ("b", short), ("last", &[key])];
    stage.put(queue, &messages);
    let (lease, taken) = stage.take(queue, GroupId::DEFAULT, 10);
    assert_eq!(taken, ["first"]);
    stage.advance(200);
    assert_eq!(stage.ack(queue, lease, &[(0, 1)]), 1);
    assert_eq!(stage.take(queue, GroupId::DEFAULT, 10).1, ["last"]);
    assert_eq!(stage.figure(queue, "expired"), 2);
}

#[test]
fn what_expired_behind_a_key_goes_in_one_look_whatever_its_band() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions { ttl_ms: 1_000, ..QueueOptions::default() });
    let low: &[Attribute<'_>] = &[Attribute::Key(b"k")];
    let high: &[Attribute<'_>] = &[Attribute::Key(b"k"), Attribute::Priority(1)];
    stage.put(queue, &[("first", high)]);
    let lease = stage.take(queue, GroupId::DEFAULT, 1).0;
    // Taken one by one, so that they are set aside in this order.
    for _ in 0..4 {
        for traits in [high, low] {
            stage.put(queue, &[("later", traits)]);
            assert_eq!(stage.take(queue, GroupId::DEFAULT, 1).1, [""; 0]);
        }
    }
    stage.advance(1_500);
    assert_eq!(stage.ack(queue, lease, &[(0, 1)]), 1);
    stage.advance(1_100);
    assert_eq!((stage.figure(queue, "messages"), stage.figure(queue, "expired")), (0, 8));
}

#[test]
fn expired_messages_become_dead_letters_where_that_is_asked_for() {
    let mut stage = Stage::new();
    let options = QueueOptions { dead_letter_expired: true, ..QueueOptions::default() };
    let queue = stage.declare(options);
    stage.put(queue, &[("x", &[Attribute::TimeToLiveMs(10)])]);
    stage.advance(20);
    let dead = stage.store.open("queue.dead").unwrap();
    assert_eq!(stage.take(dead, GroupId::DEFAULT, 10).1, ["x"]);
    assert_eq!(stage.figure(queue, "dead_lettered"), 1);
}

#[test]
fn a_repeated_put_is_answered_as_the_first_time() {
    let mut stage = Stage::new();
    let queue = stage.declare(QueueOptions { dedup_ms: 1_000, ..QueueOptions::default() });
    let id: &[Attribute<'_>] = &[Attribute::DeduplicationId(b"id")];
    let first = stage.put(queue, &[("a", id), ("b", &[]), ("c", id)]);
    let run = |first_sequence, count, outcome| PutRun { first_sequence, count, outcome };
    assert_eq!(first, [run(0, 2, PutOutcome::Stored), run(0, 1, PutOutcome::Duplicate)]);
    assert_eq!(stage.put(queue, &[("again", id)]), [run(0, 1, PutOutcome::Duplicate)]);
    let producer = |sequence| Some(Producer { id: 9, sequence });
    let two = plain(&["x", "y"]);
    assert_eq!(stage.try_put(queue, &two, producer(5)), Ok(vec![run(2, 2, PutOutcome::Stored)]));
    let repeat = stage.try_put(queue, &two, producer(5));
    assert_eq!(repeat, Ok(vec![run(2, 2, PutOutcome::Duplicate)]));
    assert_eq!(stage.figure(queue, "duplicates"), 4);
    assert_eq!(stage.figure(queue, "ready"), 4);
    stage.advance(1_001);
    assert_eq!(stage.put(queue, &[("anew", id)]), [run(4, 1, PutOutcome::Stored)]);
    stage.take(queue, GroupId::DEFAULT, 10);
    (0..40).for_each(|_| stage.advance(1_001));
    let stat = stage.store.next_deadline();
    assert_eq!(stat, None, "nothing is remembered, and no lease runs: {stat:?}");
}
