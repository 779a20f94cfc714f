//! Subscriptions to queues that are spread.

use crate::peer::{Peer, Received, plane};
use crate::spread::{declare, figure, peers};
use ringway_protocol::frame::REPLY;
use ringway_protocol::request::{Credit, Subscribe};
use ringway_protocol::{Code, GroupId, Kind, QueueId, Reply, Request, SpreadOrder, SubscriptionId};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn subscribe(queue: QueueId, messages: u32) -> Subscribe {
    let group = GroupId::DEFAULT;
    Subscribe { queue, group, messages, bytes: 0, batch_max: 0, lease_ms: 0, rate: 0 }
}

/// Subscribes, and returns the subscription and the number of the request.
fn subscribed(peer: &mut Peer, subscribe: Subscribe) -> (SubscriptionId, u32) {
    let received = peer.ask(Request::Subscribe(subscribe));
    let Reply::Subscribed { subscription } = received.reply() else { panic!("{received:?}") };
    (subscription, received.header.request)
}

/// A delivery of a subscription.
fn pushed(received: &Received, request: u32) -> Vec<Vec<u8>> {
    assert_eq!(
        (received.header.kind, received.header.request),
        (Kind::Take as u8 | REPLY, request)
    );
    received.delivered().payloads
}

#[test]
fn what_any_part_gets_is_pushed() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "pushed", 2, SpreadOrder::Relaxed);
    for address in plane.shard_addresses() {
        let mut consumer = Peer::connect(*address);
        let (subscription, request) = subscribed(&mut consumer, subscribe(queue, 64));
        for round in 0..3 {
            for (number, peer) in peers.iter_mut().enumerate() {
                peer.put(queue, &[&[round, number as u8]]);
                let received = consumer.next();
                assert_eq!(pushed(&received, request), [vec![round, number as u8]]);
                let lease = received.delivered().lease;
                assert_eq!(consumer.ack(queue, lease, 1), (1, 0, 0));
            }
        }
        assert_eq!(figure(&mut peers[1], queue, "subscriptions"), 2, "one on each part");
        let ended = consumer.ask(Request::Unsubscribe { queue, subscription });
        assert!(matches!(ended.reply(), Reply::Unsubscribed(0)), "{ended:?}");
        assert_eq!(figure(&mut peers[2], queue, "subscriptions"), 0);
        let again = consumer.ask(Request::Unsubscribe { queue, subscription });
        assert_eq!(again.code(), Code::NoSuchLease);
    }
}

#[test]
fn credit_is_shared_out_and_comes_back() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "credit", 2, SpreadOrder::Relaxed);
    for peer in &mut peers {
        peer.put(queue, &[b"1", b"2", b"3", b"4", b"5"]);
    }
    let mut consumer = Peer::connect(plane.address());
    let (subscription, request) = subscribed(&mut consumer, subscribe(queue, 4));
    let first: Vec<_> = (0..2).map(|_| consumer.next()).collect();
    let count = |all: &[Received]| all.iter().map(|it| pushed(it, request).len()).sum::<usize>();
    assert_eq!(count(&first), 4, "two from each part, and no more");
    assert_eq!(figure(&mut peers[0], queue, "leased"), 4);
    // More credit brings more at once; what comes first may be either reply.
    let credit = Credit { queue, subscription, messages: 8, bytes: 0 };
    let number = consumer.send(Request::Credit(credit));
    let mut more: Vec<_> = (0..3).map(|_| consumer.next()).collect();
    let done = more.iter().position(|it| it.header.request == number).expect("a reply");
    assert!(matches!(more.swap_remove(done).reply(), Reply::Done));
    assert_eq!(count(&more), 4);
    for delivery in first.iter().chain(&more) {
        let delivered = delivery.delivered();
        let messages = delivered.payloads.len() as u32;
        consumer.say(&{
            let mut bytes = Vec::new();
            let all = [ringway_protocol::request::Range { first: 0, count: messages }];
            let lease = (queue, delivered.lease);
            ringway_protocol::request::encode_settle(Kind::Ack, lease, &all, (0, 0), &mut bytes);
            bytes
        });
    }
    let mut last = 0;
    while last < 2 {
        let received = consumer.next();
        if received.header.kind == Kind::Take as u8 | REPLY {
            last += pushed(&received, request).len();
        }
    }
    let ended = consumer.ask(Request::Unsubscribe { queue, subscription });
    assert!(matches!(ended.reply(), Reply::Unsubscribed(2)), "{ended:?}");
    assert_eq!(figure(&mut peers[1], queue, "ready"), 2, "what it held came back");
}

#[test]
fn a_subscription_ends_with_its_connection_and_with_its_queue() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "ends", 2, SpreadOrder::Relaxed);
    for address in plane.shard_addresses() {
        let mut gone = Peer::connect(*address);
        subscribed(&mut gone, subscribe(queue, 8));
        for peer in &mut peers {
            peer.put(queue, &[b"message"]);
        }
        gone.next();
        gone.next();
        drop(gone);
        let started = Instant::now();
        while figure(&mut peers[0], queue, "ready") < 2 {
            assert!(started.elapsed() < Duration::from_secs(5), "what it held comes back");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(figure(&mut peers[0], queue, "subscriptions"), 0);
        for peer in &mut peers {
            assert_eq!(peer.drain(queue).len(), 1);
        }
    }
    let (_, request) = subscribed(&mut peers[1], subscribe(queue, 8));
    let deleted = peers[0].ask(Request::Delete { queue });
    assert!(matches!(deleted.reply(), Reply::Removed(0)), "{deleted:?}");
    let last = peers[1].next();
    assert_eq!((last.header.request, last.code()), (request, Code::NoSuchQueue));
    assert_eq!(last.header.kind, Kind::Subscribe as u8 | REPLY);
    // Nothing else comes of it, and its connection is served.
    let pong = peers[1].ask(Request::Ping);
    assert!(matches!(pong.reply(), Reply::Pong), "{pong:?}");
    let late = peers[1].ask(Request::Subscribe(subscribe(queue, 8)));
    assert_eq!(late.code(), Code::NoSuchQueue);
}

#[test]
fn many_subscriptions_share_what_comes() {
    const EACH: u32 = 400;
    let plane = plane(3);
    let queue = declare(&mut Peer::connect(plane.address()), "shared", 3, SpreadOrder::Relaxed);
    let addresses = plane.shard_addresses();
    let seen = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let mut peer = Peer::connect(addresses[number % 3]);
                    let (_, request) = subscribed(&mut peer, subscribe(queue, 30));
                    let mut seen = Vec::new();
                    // A message that says so ends the consumer.
                    loop {
                        let received = peer.next();
                        if received.header.request != request {
                            continue;
                        }
                        let delivered = received.delivered();
                        let count = delivered.payloads.len() as u32;
                        let is_last = delivered.payloads.iter().any(Vec::is_empty);
                        seen.extend(delivered.payloads);
                        let (mut bytes, all) = (Vec::new(), [(0, count)]);
                        let all = all.map(|(first, count)| ringway_protocol::request::Range {
                            first,
                            count,
                        });
                        let lease = (queue, delivered.lease);
                        let kind = Kind::Ack;
                        let name = (0, u32::MAX);
                        ringway_protocol::request::encode_settle(
                            kind, lease, &all, name, &mut bytes,
                        );
                        peer.say(&bytes);
                        if is_last {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        let producers: Vec<_> = addresses
            .iter()
            .enumerate()
            .map(|(number, address)| {
                scope.spawn(move || {
                    let mut peer = Peer::connect(*address);
                    for message in 0..EACH {
                        peer.put(queue, &[&(number as u32 * EACH + message).to_le_bytes()]);
                    }
                })
            })
            .collect();
        producers.into_iter().for_each(|it| it.join().expect("no panic"));
        let mut watcher = Peer::connect(addresses[0]);
        while figure(&mut watcher, queue, "messages") > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Each consumer must get an end: those that have ended leave the rest to the others.
        let mut left = consumers;
        let mut seen = Vec::new();
        while !left.is_empty() {
            watcher.put(queue, &[b""]);
            std::thread::sleep(Duration::from_millis(2));
            let (ended, rest) = left.into_iter().partition(|it| it.is_finished());
            let ended: Vec<std::thread::ScopedJoinHandle<'_, Vec<Vec<u8>>>> = ended;
            seen.extend(ended.into_iter().flat_map(|it| it.join().expect("no panic")));
            left = rest;
        }
        seen
    });
    let numbers: Vec<u32> = seen
        .iter()
        .filter_map(|payload| payload[..].try_into().ok().map(u32::from_le_bytes))
        .collect();
    assert_eq!(numbers.len(), 3 * EACH as usize, "each once");
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 3 * EACH as usize);
}
