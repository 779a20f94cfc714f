//! Messages given back with a delay, or as their queue's back-off says.

use ringway_protocol::reply::Standing;
use ringway_protocol::request::{Browse, GroupFlags, MessageState, Start, Take};
use ringway_protocol::{Attribute, QueueOptions};
use ringway_shards::path::origin::Origin;
use ringway_shards::path::queue::{Stored, Taken};

use crate::stage::{START_MS, Stage, take_of};

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
    stage.advance(31_000);
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
    stage.store.wait(&Take { wait_ms: 9_000, ..take }, origin, stage.now).unwrap();
    let (mut taken, mut stored) = (Taken::new(), Stored::new());
    assert!(stage.store.next_answer(stage.now, &mut taken, &mut stored).is_none());
    stage.advance(203);
    let answer = stage.store.next_answer(stage.now, &mut taken, &mut stored).expect("it is back");
    assert_eq!((answer.origin, taken.count), (origin, 1));
}

#[test]
fn what_waits_is_shown_and_can_be_removed_one_by_one() {
    let mut stage = Stage::new();
    let queue = stage.declare("q", QueueOptions::default());
    let (k, l) = ([Attribute::Key(b"k")], [Attribute::Key(b"l")]);
    stage.put_with(queue, &[("k1", &k), ("l1", &l), ("a", &[]), ("b", &[]), ("k2", &k)]);
    let (lease, taken) = stage.take(queue, 5);
    assert_eq!(taken.len(), 4, "the second of a key waits for the first");
    stage.nack_for(queue, lease, &[(0, 4)], 500);
    let shown = |stage: &Stage, cursor, limit| {
        let (group, state, bytes_max) = (Default::default(), MessageState::Delayed, 0);
        let browse = Browse { queue, group, state, cursor, limit, bytes_max };
        let mut shown = Vec::new();
        let visit = |standing: &Standing, _: &[u8]| {
            shown.push((standing.sequence, standing.due_ms - START_MS, standing.deliveries));
        };
        let next = stage.store.browse(&browse, stage.now, visit).expect("a page");
        (shown, next)
    };
    assert_eq!(shown(&stage, 0, 3), (vec![(0, 500, 1), (1, 500, 1), (2, 500, 1)], 3));
    assert_eq!(shown(&stage, 3, 3), (vec![(3, 500, 1)], 0));
    // The middle one goes, and the first: what was behind its key is free.
    let removal = stage.store.remove(queue, [1, 0, 9].into_iter()).expect("the queue is there");
    assert_eq!((removal.removed, removal.missing), (2, 1));
    assert_eq!(stage.figures(queue, ["delayed", "removed", "messages"]), [2, 2, 3]);
    assert_eq!(stage.payloads(queue, 5), ["k2"]);
    assert_eq!(shown(&stage, 0, 9), (vec![(2, 500, 1), (3, 500, 1)], 0));
    stage.advance(502);
    assert_eq!(stage.payloads(queue, 5), ["a", "b"]);
    assert_eq!(shown(&stage, 0, 9), (vec![], 0));
}
