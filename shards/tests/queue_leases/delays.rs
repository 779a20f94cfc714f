//! Messages given back with a delay, or as their queue's back-off says.

use ringway_protocol::request::{GroupFlags, Start};
use ringway_protocol::{Attribute, QueueOptions};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Stored, Taken};

use crate::stage::{Stage, take_of};

/// Milliseconds after which a message comes back that 100 of a queue are given back for.
fn waits(seed: u64) -> Vec<u64> {
    let mut stage = Stage::seeded(seed);
    let options =
        QueueOptions { backoff_ms: 1_000, backoff_max_ms: 1_000, ..QueueOptions::default() };
    let queue = stage.declare("q", options);
    let payloads: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    stage.put(queue, &payloads.iter().map(String::as_str).collect::<Vec<_>>());
    let leases: Vec<_> = (0..100).map(|_| stage.take(queue, 1).0).collect();
    for lease in leases {
        assert_eq!(stage.nack(queue, lease, &[(0, 1)]), 1);
    }
    assert_eq!(stage.figures(queue, ["delayed", "ready", "leased"]), [100, 0, 0]);
    let mut waits = Vec::new();
    for ms in (0..1_300).step_by(10) {
        for payload in stage.payloads(queue, 100) {
            waits.push((payload.parse::<usize>().expect("a number"), ms));
        }
        stage.advance(10);
    }
    waits.sort_unstable();
    waits.into_iter().map(|(_, ms)| ms).collect()
}

#[test]
fn a_back_off_scatters_messages_and_its_seed_repeats_it() {
    let first = waits(7);
    assert_eq!(first.len(), 100);
    assert!(first.iter().all(|ms| (750..=1_260).contains(ms)), "{first:?}");
    let (early, late) = (first.iter().min().unwrap(), first.iter().max().unwrap());
    assert!(late - early > 300, "a quarter before and after: {early}..{late}");
    assert_eq!(first, waits(7), "one seed");
    assert_ne!(first, waits(8), "another one");
}

#[test]
fn delayed_messages_go_with_their_group_and_their_queue() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let (start, flags) = (Start::Earliest, GroupFlags::default());
    let audit = stage.store.create_group(queue, "audit", start, flags, stage.now).unwrap().0;
    stage.put(queue, &["a", "b"]);
    for group in [Default::default(), audit] {
        let (lease, _) = stage.take_of(queue, group, 2);
        assert_eq!(stage.nack_for(queue, lease, &[(0, 2)], 5_000), 2);
    }
    assert_eq!(stage.figures(queue, ["delayed", "messages"]), [4, 2]);
    stage.store.delete_group(queue, "audit").unwrap();
    assert_eq!(stage.figures(queue, ["delayed", "messages"]), [2, 2]);
    assert_eq!(stage.store.purge(queue).unwrap(), 0, "a purge drops what is ready");
    assert_eq!(stage.store.delete(queue).unwrap(), 2);
    assert_eq!((stage.store.messages(), stage.store.next_deadline()), (0, None));
}

#[test]
fn each_message_of_a_stretch_that_waits_expires_in_its_own_time() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let lives = [300, 100, 900, 200, 100].map(|ms| [Attribute::TimeToLiveMs(ms)]);
    let messages: Vec<_> =
        ["a", "b", "c", "d", "e"].into_iter().zip(lives.iter().map(|life| &life[..])).collect();
    stage.put_with(queue, &messages);
    let (lease, _) = stage.take(queue, 5);
    stage.nack_for(queue, lease, &[(0, 5)], 500);
    for (ms, delayed, expired) in [(90, 5, 0), (20, 3, 2), (100, 2, 3), (100, 1, 4)] {
        stage.advance(ms);
        assert_eq!(stage.figures(queue, ["delayed", "expired"]), [delayed, expired]);
    }
    assert_eq!(stage.payloads(queue, 5), [""; 0]);
    stage.advance(200);
    assert_eq!(stage.payloads(queue, 5), ["c"]);
    assert_eq!(stage.figures(queue, ["messages", "delayed"]), [1, 0]);
}

#[test]
fn a_lease_that_ends_late_ends_what_has_expired_meanwhile() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions { ttl_ms: 100, ..QueueOptions::default() });
    stage.put(queue, &["a", "b", "c"]);
    let leases = [0, 1, 2].map(|_| stage.take(queue, 1).0);
    stage.advance(150);
    assert_eq!(stage.figures(queue, ["leased", "expired"]), [3, 0]);
    stage.store.release(queue, leases[0], stage.now);
    stage.nack(queue, leases[1], &[(0, 1)]);
    stage.nack_for(queue, leases[2], &[(0, 1)], 1_000);
    assert_eq!(stage.figures(queue, ["expired", "delayed", "messages"]), [3, 0, 0]);
}

#[test]
fn what_waits_stays_as_it_is_while_its_segments_are_compacted() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let payloads: Vec<String> =
        (0..6_000).map(|number| format!("{number}-{}", "x".repeat(number % 97))).collect();
    for batch in payloads.chunks(500) {
        stage.put(queue, &batch.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for _ in 0..12 {
        let (lease, messages) = stage.take(queue, 500);
        assert_eq!(messages.len(), 500);
        let kept: Vec<_> = (0..500).step_by(50).map(|first| (first, 2)).collect();
        stage.nack_for(queue, lease, &kept, 1_000);
        let rest: Vec<_> = (0..500).step_by(50).map(|first| (first + 2, 48)).collect();
        assert_eq!(stage.ack(queue, lease, &rest).settled, 480);
    }
    let [delayed, held, live] = stage.figures(queue, ["delayed", "held_bytes", "live_bytes"]);
    assert_eq!(delayed, 240);
    assert!(2 * held <= 3 * live + 6 * (128 << 10), "{held} bytes held for {live}");
    stage.advance(1_010);
    let back: Vec<_> = std::iter::from_fn(|| {
        let taken = stage.payloads(queue, 100);
        (!taken.is_empty()).then_some(taken)
    })
    .flatten()
    .collect();
    let expected: Vec<_> =
        payloads.iter().enumerate().filter(|(at, _)| at % 50 < 2).map(|(_, text)| text).collect();
    assert_eq!(back.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_waiting_take_is_offered_what_is_back() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    stage.put(queue, &["a"]);
    let (lease, _) = stage.take(queue, 1);
    stage.nack_for(queue, lease, &[(0, 1)], 200);
    let origin = Origin { shard: 0, peer: 5, stream: 0, request: 0 };
    let take = take_of(queue, Default::default(), 1);
    stage
        .store
        .wait(&ringway_protocol::request::Take { wait_ms: 9_000, ..take }, origin, stage.now)
        .unwrap();
    let (mut taken, mut stored) = (Taken::new(), Stored::new());
    assert!(stage.store.next_answer(stage.now, &mut taken, &mut stored).is_none());
    stage.advance(203);
    let answer = stage.store.next_answer(stage.now, &mut taken, &mut stored).expect("it is back");
    assert_eq!((answer.origin, taken.count), (origin, 1));
}
