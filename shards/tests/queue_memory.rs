//! What queues do with memory: none is allocated in the steady state, and none changes that a send
//! refers to.

mod support;

use ringway_protocol::request::Take;
use ringway_protocol::{FullPolicy, GroupId, LeaseId, QueueId, QueueOptions, Records};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Store, StoreConfig, Stored, Taken};
use ringway_shards::world::PinnedSlice;

use self::support::{at, figure, record_of, settle};

fn store() -> Store {
    Store::new(StoreConfig {
        shard: 0,
        defaults: QueueOptions::default(),
        queues_max: 100,
        leases_max: 100_000,
        waits_max: 1_000,
        seed: 1,
    })
}

fn put(store: &mut Store, queue: QueueId, payloads: &[Vec<u8>]) -> bool {
    let bytes = payloads.iter().flat_map(|payload| record_of(payload)).collect::<Vec<_>>();
    let records = Records::parse(&bytes, payloads.len() as u32).unwrap();
    support::put(store, queue, records, at(0)).is_ok()
}

fn take_of(queue: QueueId, messages_max: u32) -> Take {
    Take {
        queue,
        messages_max,
        bytes_max: 0,
        wait_ms: 0,
        lease_ms: 0,
        group: GroupId::DEFAULT,
        acknowledged: false,
    }
}

/// Takes messages and keeps their slices as a send would, with what they must go on saying.
fn pins(
    store: &mut Store,
    queue: QueueId,
    messages: u32,
) -> (LeaseId, Vec<(PinnedSlice, Vec<u8>)>) {
    let mut taken = Taken::new();
    store.take(&take_of(queue, messages), at(0), &mut taken).unwrap();
    let pins = taken.runs.drain(..).map(|run| (run.slice.clone(), run.slice.to_vec())).collect();
    (taken.lease, pins)
}

/// Pins the first messages of a queue of several segments, lets something happen to it, and looks
/// again.
fn check_pins(options: QueueOptions, happen: impl FnOnce(&mut Store, QueueId, LeaseId)) {
    let mut store = store();
    let (queue, _) = store.declare("q", Some(options)).unwrap();
    let payload = |number: usize| vec![number as u8; 1_000];
    for number in 0..100 {
        assert!(put(&mut store, queue, &[payload(number)]));
    }
    let (lease, pins) = pins(&mut store, queue, 60);
    assert!(pins.len() >= 2, "the messages lie in several segments");
    happen(&mut store, queue, lease);
    // Whatever is free now is written over.
    let (other, _) = store.declare("other", None).unwrap();
    for number in 0..400 {
        assert!(put(&mut store, other, &[payload(200 + number % 50)]));
        if store.stat(queue, at(0)).is_ok() {
            put(&mut store, queue, &[payload(100)]);
        }
    }
    for (slice, bytes) in &pins {
        assert_eq!(slice[..], bytes[..], "a pinned slice never changes");
    }
}

fn ack(store: &mut Store, queue: QueueId, lease: LeaseId, ranges: &[(u32, u32)]) {
    let (mut frame, mut verdicts) = (Vec::new(), Vec::new());
    store.ack(&settle(queue, lease, ranges, &mut frame), at(0), &mut verdicts).unwrap();
    assert!(verdicts.is_empty());
}

#[test]
fn a_pinned_slice_survives_acknowledgement() {
    check_pins(QueueOptions::default(), |store, queue, lease| ack(store, queue, lease, &[(0, 60)]));
}

#[test]
fn a_pinned_slice_survives_purge_and_expiry() {
    check_pins(QueueOptions::default(), |store, queue, _| {
        store.purge(queue).unwrap();
        store.expire(at(31_000_000_000));
        assert_eq!(store.purge(queue), Ok(60));
    });
}

#[test]
fn a_pinned_slice_survives_delete() {
    check_pins(QueueOptions::default(), |store, queue, _| {
        assert_eq!(store.delete(queue), Ok(100));
    });
}

#[test]
fn a_pinned_slice_survives_drop_oldest() {
    let options = QueueOptions {
        messages_max: 100,
        full_policy: FullPolicy::DropOldest,
        ..QueueOptions::default()
    };
    check_pins(options, |store, queue, lease| {
        store.release(queue, lease, at(0));
        for number in 0..100 {
            assert!(put(store, queue, &[vec![number; 1_000]]));
        }
        assert_eq!(figure(&store.stat(queue, at(0)).unwrap(), "dropped"), 100);
    });
}

#[test]
fn memory_goes_back_once_no_send_refers_to_it() {
    let mut store = store();
    let (queue, _) = store.declare("q", None).unwrap();
    for _ in 0..100 {
        put(&mut store, queue, &[vec![1; 1_000]]);
    }
    let (lease, pins) = pins(&mut store, queue, 100);
    ack(&mut store, queue, lease, &[(0, 100)]);
    let held = |store: &Store| figure(&store.stat(queue, at(0)).unwrap(), "held_bytes");
    (0..50).for_each(|_| store.expire(at(0)));
    assert!(held(&store) >= 100_000, "what a send refers to is held, and counted");
    drop(pins);
    (0..50).for_each(|_| store.expire(at(0)));
    assert_eq!(held(&store), 0);
}

/// One of everything that a shard does all day: batches, single messages, partial settlements,
/// give-backs, waits.
fn day(
    store: &mut Store,
    queue: QueueId,
    requests: &Requests<'_>,
    [taken, sending]: &mut [Taken; 2],
    hour: u64,
) {
    let mut verdicts = Vec::with_capacity(16);
    let Requests { one, many, whole, all, parts, rest } = requests;
    let now_ns = hour * 1_000_000;
    let origin = |peer| Origin { shard: 0, peer, stream: 0, request: 0 };
    for peer in 0..8 {
        store.wait(&Take { wait_ms: 1, ..take_of(queue, 1) }, origin(peer), at(now_ns)).unwrap();
    }
    for _ in 0..4 {
        support::put(store, queue, *one, at(now_ns)).unwrap();
    }
    while let Some(answer) = store.next_answer(at(now_ns), taken, &mut Stored::new()) {
        taken.runs.clear();
        let settle = ringway_protocol::request::Settle { lease: taken.lease, ..*whole };
        assert!(answer.outcome.is_ok() && taken.count <= 1);
        store.ack(&settle, at(now_ns), &mut verdicts).unwrap();
    }
    store.forget(0, 7, at(now_ns));
    for _ in 0..12 {
        support::put(store, queue, *many, at(now_ns)).unwrap();
    }
    for _ in 0..12 {
        store.take(&take_of(queue, 100), at(now_ns), taken).unwrap();
        taken.runs.clear();
        for (settle, nack) in [(parts, false), (rest, true)] {
            let settle = ringway_protocol::request::Settle { lease: taken.lease, ..*settle };
            let outcome = match nack {
                true => store.nack(&settle, at(now_ns), &mut verdicts),
                false => store.ack(&settle, at(now_ns), &mut verdicts),
            };
            outcome.unwrap();
        }
    }
    // A send refers to what was taken until after it was acknowledged and the next batches came.
    for _ in 0..12 {
        support::put(store, queue, *many, at(now_ns)).unwrap();
        store.take(&take_of(queue, 100), at(now_ns), sending).unwrap();
        let settle = ringway_protocol::request::Settle { lease: sending.lease, ..*all };
        store.ack(&settle, at(now_ns), &mut verdicts).unwrap();
        support::put(store, queue, *many, at(now_ns)).unwrap();
        store.expire(at(now_ns));
        sending.clear();
    }
    // What was given back, and half of it runs out of its lease.
    store.take(&Take { lease_ms: 1, ..take_of(queue, 50) }, at(now_ns), taken).unwrap();
    store.expire(at(now_ns + 3_000_000));
    while store.ready_and_leased().0 > 0 {
        store
            .take(&Take { acknowledged: true, ..take_of(queue, 4_096) }, at(now_ns), taken)
            .unwrap();
        taken.runs.clear();
    }
    while store.next_answer(at(now_ns), taken, &mut Stored::new()).is_some() {}
    store.expire(at(now_ns + 5_000_000));
}

struct Requests<'a> {
    one: Records<'a>,
    many: Records<'a>,
    whole: ringway_protocol::request::Settle<'a>,
    all: ringway_protocol::request::Settle<'a>,
    parts: ringway_protocol::request::Settle<'a>,
    rest: ringway_protocol::request::Settle<'a>,
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut store = store();
    let options = QueueOptions { deliveries_max: 0, ..QueueOptions::default() };
    let (queue, _) = store.declare("q", Some(options)).unwrap();
    let one = record_of(&[7; 100]);
    let many = one.repeat(100);
    let mut frames = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let [whole, all, parts, rest] = &mut frames;
    let nobody = LeaseId::new(1, 0, 0);
    let requests = Requests {
        one: Records::parse(&one, 1).unwrap(),
        many: Records::parse(&many, 100).unwrap(),
        whole: settle(queue, nobody, &[(0, 1)], whole),
        all: settle(queue, nobody, &[(0, 100)], all),
        parts: settle(queue, nobody, &[(60, 3), (0, 50), (70, 1)], parts),
        rest: settle(queue, nobody, &[(50, 10), (63, 7), (71, 29)], rest),
    };
    let mut taken = [Taken::new(), Taken::new()];
    for hour in 0..50 {
        day(&mut store, queue, &requests, &mut taken, 10 * hour);
    }
    let mut verdicts = 0;
    let counted = allocation_counter::measure(|| {
        for hour in 50..150 {
            day(&mut store, queue, &requests, &mut taken, 10 * hour);
            // The day itself makes one vector.
            verdicts += 1;
        }
    });
    assert_eq!(counted.count_total, verdicts, "only the test itself allocates");
    let counted = allocation_counter::measure(|| drop(vec![1_u8; 10]));
    assert_eq!(counted.count_total, 1, "the counter counts");
}
