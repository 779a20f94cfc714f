//! Puts that find their queue full wait for room, where the queue holds them.

use super::peer::{PATIENCE, Peer, on_planes};
use ringway_protocol::{Code, FullPolicy, GroupId, QueueOptions, Reply};
use ringway_shards::plane::{Plane, PlaneConfig};
use std::time::Duration;

/// Of queues with room for one message.
fn options() -> QueueOptions {
    QueueOptions { messages_max: 1, full_policy: FullPolicy::Hold, ..QueueOptions::default() }
}

#[test]
fn held_puts_are_stored_in_order_as_room_comes() {
    on_planes(|plane, shard| {
        let (mut producer, mut consumer) = (Peer::connect(plane), Peer::connect(plane));
        let queue = consumer.declare(shard, "held", options());
        producer.put(queue, &["a"]);
        let (b, c) = (producer.send_put(queue, &["b"]), producer.send_put(queue, &["c"]));
        producer.is_quiet();
        // What else it asks is answered meanwhile.
        assert_eq!(producer.figure(queue, "held_puts"), 2);
        for (number, payload, sequence) in [(Some(b), "a", 1), (Some(c), "b", 2), (None, "c", 0)] {
            let (lease, payloads, _) = consumer.take(queue, GroupId::DEFAULT, 0).delivered();
            assert_eq!(payloads, [payload]);
            consumer.ack(queue, (lease, 1));
            let Some(number) = number else { continue };
            match producer.reply_to(number).reply() {
                Reply::Put(receipt) => assert_eq!(receipt.first_sequence, sequence),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_held_put_of_a_connection_that_goes_is_dropped() {
    on_planes(|plane, shard| {
        let (mut goes, mut stays) = (Peer::connect(plane), Peer::connect(plane));
        let mut consumer = Peer::connect(plane);
        let queue = consumer.declare(shard, "dropped", options());
        consumer.put(queue, &["a"]);
        goes.send_put(queue, &["b"]);
        consumer.until(queue, "held_puts", 1);
        let waits = stays.send_put(queue, &["c"]);
        consumer.until(queue, "held_puts", 2);
        goes.reset();
        consumer.until(queue, "held_puts", 1);
        let (lease, ..) = consumer.take(queue, GroupId::DEFAULT, 0).delivered();
        consumer.ack(queue, (lease, 1));
        assert!(matches!(stays.reply_to(waits).reply(), Reply::Put(_)));
        assert_eq!(consumer.take(queue, GroupId::DEFAULT, 0).delivered().1, ["c"]);
    });
}

#[test]
fn a_put_is_held_for_as_long_as_its_queue_says() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let options = QueueOptions { wait_max_ms: 50, ..options() };
        let queue = peer.declare(shard, "patience", options);
        peer.put(queue, &["a"]);
        let number = peer.send_put(queue, &["b"]);
        assert_eq!(peer.reply_to(number).code(), Code::QueueFull);
        assert_eq!(peer.figure(queue, "held_puts"), 0);
    });
}

#[test]
fn a_plane_that_drains_holds_nothing() {
    for shards in [1, 2] {
        let config = PlaneConfig { shards, ..PlaneConfig::default() };
        let plane = Plane::start(config).expect("this host can run it");
        let mut peer = Peer::connect(&plane);
        let numbers: Vec<_> = (0..shards)
            .map(|shard| {
                let queue = peer.declare(shard, "drained", options());
                peer.put(queue, &["a"]);
                let number = peer.send_put(queue, &["b"]);
                peer.until(queue, "held_puts", 1);
                number
            })
            .collect();
        let reader = std::thread::spawn(move || {
            let mut codes: Vec<_> = numbers
                .iter()
                .map(|_| peer.receive(PATIENCE).expect("an answer"))
                .map(|received| (received.header.request, received.code()))
                .collect();
            codes.sort_unstable_by_key(|(number, _)| *number);
            let expected: Vec<_> = numbers.iter().map(|n| (*n, Code::Draining)).collect();
            assert_eq!(codes, expected);
        });
        plane.drain(Duration::from_secs(5), || reader.is_finished()).expect("shards end");
        reader.join().expect("it was told");
    }
}
