//! What is put is pushed, within credit and rate.

use super::peer::{Peer, on_planes, subscribe};
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{QueueOptions, Reply, Request};
use std::time::{Duration, Instant};

#[test]
fn pushes_go_on_as_far_as_the_credit_goes() {
    on_planes(|plane, shard| {
        let (mut consumer, mut producer) = (Peer::connect(plane), Peer::connect(plane));
        let queue = producer.declare(shard, "credit", QueueOptions::default());
        let (subscription, asked) = consumer.subscribe(subscribe(queue, 3)).expect("room for one");
        assert_eq!(subscription.shard(), shard);
        producer.put(queue, &["a", "b", "c", "d", "e"]);
        let first = consumer.pushed();
        assert_eq!(first.header.request, asked, "it names the subscribe");
        let (lease, payloads, deliveries) = first.delivered();
        assert_eq!((&payloads.join(" ")[..], deliveries), ("a b c", 1));
        consumer.is_quiet();
        // What is acknowledged brings as much again.
        consumer.ack(queue, (lease, 2));
        let (_, more) = consumer.pushed_messages(2);
        assert_eq!(more, ["d", "e"]);
        assert_eq!(consumer.unsubscribe(queue, subscription), 3);
        producer.put(queue, &["f"]);
        consumer.is_quiet();
        assert_eq!(producer.figure(queue, "subscriptions"), 0);
        assert_eq!((producer.figure(queue, "ready"), producer.figure(queue, "leased")), (4, 0));
    });
}

#[test]
fn credit_is_stated_anew() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let queue = peer.declare(shard, "anew", QueueOptions::default());
        let (subscription, _) = peer.subscribe(subscribe(queue, 1)).expect("room for one");
        peer.put(queue, &["a", "b", "c"]);
        assert_eq!(peer.pushed_messages(1).1, ["a"]);
        let mut credit = |messages| {
            let credit = Credit { queue, subscription, messages, bytes: 1 << 20 };
            let done = peer.ask(Request::Credit(credit));
            assert_eq!(done.reply(), Reply::Done);
        };
        credit(0);
        credit(2);
        assert_eq!(peer.pushed_messages(1).1, ["b"]);
        peer.is_quiet();
        // Another connection's credit is not changed.
        let mut other = Peer::connect(plane);
        let credit = Credit { queue, subscription, messages: 9, bytes: 0 };
        assert!(matches!(other.ask(Request::Credit(credit)).reply(), Reply::Refused { .. }));
        let unsubscribe = Request::Unsubscribe { queue, subscription };
        assert!(matches!(other.ask(unsubscribe).reply(), Reply::Refused { .. }));
        peer.is_quiet();
    });
}

#[test]
fn each_of_several_gets_its_part() {
    on_planes(|plane, shard| {
        let mut consumers: Vec<_> = (0..3).map(|_| Peer::connect(plane)).collect();
        let mut producer = Peer::connect(plane);
        let queue = producer.declare(shard, "shared", QueueOptions::default());
        for consumer in &mut consumers {
            consumer.subscribe(subscribe(queue, 1000)).expect("room for one");
        }
        producer.put(queue, &["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        for consumer in &mut consumers {
            assert_eq!(consumer.pushed_messages(3).1.len(), 3);
        }
    });
}

#[test]
fn a_rate_is_kept() {
    on_planes(|plane, shard| {
        let mut peer = Peer::connect(plane);
        let queue = peer.declare(shard, "rate", QueueOptions::default());
        let messages: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        let messages: Vec<_> = messages.iter().map(|message| &message[..]).collect();
        peer.put(queue, &messages);
        let started = Instant::now();
        peer.subscribe(Subscribe { rate: 50, ..subscribe(queue, 100) }).expect("room for one");
        let mut came = 0;
        while came < 20 {
            came += peer.pushed().delivered().1.len();
            let allowed = 5.0 + 50.0 * started.elapsed().as_secs_f64();
            assert!(came as f64 <= allowed + 1.0, "{came} messages after {:?}", started.elapsed());
        }
        assert!(started.elapsed() > Duration::from_millis(250), "{:?}", started.elapsed());
    });
}
