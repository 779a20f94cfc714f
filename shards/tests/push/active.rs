//! A group with a single active consumer: one connection gets everything, and the next when it has
//! gone.

use super::peer::{Peer, on_planes, subscribe};
use ringway_protocol::QueueOptions;
use ringway_protocol::request::Subscribe;

#[test]
fn the_next_takes_over_from_a_subscriber_that_goes() {
    on_planes(|plane, shard| {
        let (mut first, mut second) = (Peer::connect(plane), Peer::connect(plane));
        let mut producer = Peer::connect(plane);
        let queue = producer.declare(shard, "fail-over", QueueOptions::default());
        let group = producer.single_active(queue);
        let one = Subscribe { group, ..subscribe(queue, 10) };
        first.subscribe(one).expect("room for one");
        let (standing_by, _) = second.subscribe(one).expect("room for one");
        producer.put(queue, &["a", "b"]);
        let (leases, payloads) = first.pushed_messages(2);
        assert_eq!(payloads, ["a", "b"]);
        first.ack(queue, (leases[0].0, 1));
        second.is_quiet();
        first.reset();
        let (lease, payloads, deliveries) = second.pushed().delivered();
        assert_eq!((&payloads.join(" ")[..], deliveries), ("b", 2));
        producer.put(queue, &["c"]);
        assert_eq!(second.pushed_messages(1).1, ["c"]);
        second.ack(queue, (lease, 1));
        // Whoever unsubscribes makes room for the next, too.
        let mut third = Peer::connect(plane);
        third.subscribe(one).expect("room for one");
        third.is_quiet();
        assert_eq!(second.unsubscribe(queue, standing_by), 1);
        let (_, payloads, deliveries) = third.pushed().delivered();
        assert_eq!((&payloads.join(" ")[..], deliveries), ("c", 2));
    });
}

#[test]
fn the_next_takes_over_from_a_taker_that_goes() {
    on_planes(|plane, shard| {
        let (mut first, mut second) = (Peer::connect(plane), Peer::connect(plane));
        let mut producer = Peer::connect(plane);
        let queue = producer.declare(shard, "takers", QueueOptions::default());
        let group = producer.single_active(queue);
        producer.put(queue, &["a", "b"]);
        // It takes without waiting: nothing of it is left behind but who it was.
        assert_eq!(first.take(queue, group, 0).delivered().1, ["a"]);
        assert!(second.take(queue, group, 0).delivered().1.is_empty());
        let waits = second.send_take(queue, group, 10_000);
        second.is_quiet();
        drop(first);
        assert_eq!(second.reply_to(waits).delivered().1, ["b"]);
    });
}
