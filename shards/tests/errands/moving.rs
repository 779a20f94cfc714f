//! Messages that are moved from queue to queue, wherever the queues live.

use crate::peer::{Peer, name_on, plane, take};
use ringway_protocol::record::{self, Attribute};
use ringway_protocol::reply::Moved;
use ringway_protocol::request::{HeaderFilter, Move, Put};
use ringway_protocol::{Code, GroupId, QueueId, QueueOptions, Records, Reply, Request};
use std::time::Duration;

fn wanted(from: QueueId, to: Option<QueueId>) -> Move<'static> {
    Move { from, to, group: GroupId::DEFAULT, limit: 1024, redrive: false, filter: None }
}

fn moved(peer: &mut Peer, wanted: Move<'_>) -> Moved {
    match peer.ask(Request::Move(wanted)).reply() {
        Reply::Moved(moved) => moved,
        other => panic!("{other:?}"),
    }
}

/// Puts one message with these headers.
fn put<'a>(peer: &mut Peer, queue: QueueId, headers: &[(&'a str, &'a str)], payload: &[u8]) {
    let mut bytes = Vec::new();
    let header = |(name, value): &(&'a str, &'a str)| {
        let value = value.as_bytes();
        Attribute::Header { name, value }
    };
    let attributes: Vec<_> = headers.iter().map(header).collect();
    record::write(&mut bytes, &attributes, payload);
    let records = Records::parse(&bytes, 1).expect("a record");
    let reply = peer.ask(Request::Put(Put::new(queue, records)));
    assert!(matches!(reply.reply(), Reply::Put(_)), "{reply:?}");
}

/// The headers of each message that is ready, which goes.
fn headers(peer: &mut Peer, queue: QueueId) -> Vec<Vec<(String, String)>> {
    let mut take = take(queue, 100);
    take.acknowledged = true;
    let received = peer.ask(Request::Take(take));
    let Reply::Delivery(delivery) = received.reply() else { panic!("{received:?}") };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let records = delivery.records.iter().flat_map(|records| records.iter());
    records
        .map(|record| record.headers().map(|(name, it)| (name.to_owned(), text(it))).collect())
        .collect()
}

#[test]
fn messages_move_between_any_two_shards_in_order() {
    const SHARDS: usize = 3;
    let plane = plane(SHARDS);
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for (source, target) in (0..9).map(|pair| (pair % 3, pair / 3)) {
            let from = peer.declare(&name_on((source, SHARDS), "from"));
            let to = peer.declare(&name_on((target, SHARDS), "to"));
            let payloads: Vec<_> = (0..1500_u32).map(u32::to_le_bytes).collect();
            let payloads: Vec<_> = payloads.iter().map(|payload| &payload[..]).collect();
            peer.put(from, &payloads);
            let (mut requests, mut count) = (0, 0);
            loop {
                let Moved { moved, refused, more } = moved(&mut peer, wanted(from, Some(to)));
                assert!(moved <= 1024 && refused == 0);
                (requests, count) = (requests + 1, count + moved);
                if !more {
                    break;
                }
            }
            assert_eq!((requests, count), (2, 1500));
            assert_eq!(peer.drain(to), payloads, "from {source} to {target}");
            assert!(peer.take(from, 1).payloads.is_empty());
        }
    }
}

#[test]
fn what_the_target_refuses_stays_as_if_it_had_not_been_touched() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    for (source, target) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let from = peer.declare(&name_on((source, 2), "stays"));
        let options = QueueOptions { messages_max: 2, ..QueueOptions::default() };
        let name = name_on((target, 2), "small");
        let request = Request::Declare { name: &name, options: Some(options) };
        let Reply::Declared { queue: to, .. } = peer.ask(request).reply() else {
            panic!("declared");
        };
        peer.put(from, &[b"one", b"two", b"three"]);
        let outcome = moved(&mut peer, wanted(from, Some(to)));
        assert_eq!(outcome, Moved { moved: 2, refused: 1, more: false }, "as many as have room");
        let missing = QueueId::new(9, target as u8, 99);
        if source == target {
            let refused = peer.ask(Request::Move(wanted(from, Some(missing))));
            assert_eq!(refused.code(), Code::NoSuchQueue);
        } else {
            assert_eq!(moved(&mut peer, wanted(from, Some(missing))).refused, 1);
        }
        let left = peer.take(from, 9);
        assert_eq!((left.payloads, left.deliveries), (vec![b"three".to_vec()], 1));
        assert_eq!(peer.drain(to).len(), 2);
        let gone = peer.ask(Request::Move(wanted(missing, Some(to))));
        assert_eq!(gone.code(), Code::NoSuchQueue);
        peer.ack(from, left.lease, 1);
    }
}

#[test]
fn a_filter_moves_only_what_carries_the_header() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.shard_addresses()[1]);
    for (source, target) in [(0, 0), (0, 1), (1, 0)] {
        let from = peer.declare(&name_on((source, 2), "mixed"));
        let to = peer.declare(&name_on((target, 2), "sorted"));
        for number in 0..20_u8 {
            let color = if number % 3 == 0 { "red" } else { "blue" };
            put(&mut peer, from, &[("color", color)], &[number]);
        }
        let filter = Some(HeaderFilter { name: "color", value: b"red" });
        let outcome = moved(&mut peer, Move { filter, ..wanted(from, Some(to)) });
        assert_eq!((outcome.moved, outcome.refused), (7, 0));
        let reds: Vec<_> = (0..20).step_by(3).map(|number| vec![number]).collect();
        assert_eq!(peer.drain(to), reds);
        let blues = peer.take(from, 20);
        assert_eq!((blues.payloads.len(), blues.deliveries), (13, 1), "they were not delivered");
        assert_eq!(peer.ack(from, blues.lease, 13), (13, 0, 0));
    }
}

#[test]
fn a_redrive_brings_each_message_to_the_queue_that_it_names() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    for source in [0, 1] {
        let names = [0, 1].map(|shard| name_on((shard, 2), "origin"));
        let origins = [&names[0], &names[1]].map(|name| peer.declare(name));
        let dead = peer.declare(&name_on((source, 2), "dead-letters"));
        for number in 0..10_u8 {
            let name = &names[usize::from(number % 2)];
            let headers = [("ringway-queue", &**name), ("ringway-reason", "expired"), ("a", "b")];
            put(&mut peer, dead, &headers, &[number]);
        }
        put(&mut peer, dead, &[], b"names no queue");
        put(&mut peer, dead, &[("ringway-queue", "nowhere")], b"names a queue that is not there");
        let outcome = moved(&mut peer, Move { redrive: true, ..wanted(dead, None) });
        assert_eq!((outcome.moved, outcome.refused), (10, 2));
        for (first, origin) in origins.into_iter().enumerate() {
            let taken = peer.take(origin, 9);
            let expected: Vec<_> =
                (first as u8..10).step_by(2).map(|number| vec![number]).collect();
            assert_eq!(taken.payloads, expected);
            peer.ack(origin, taken.lease, 5);
        }
        assert_eq!(peer.drain(dead).len(), 2);
        // Without a redrive the headers stay.
        put(&mut peer, dead, &[("ringway-queue", &names[1]), ("a", "b")], b"kept");
        assert_eq!(moved(&mut peer, wanted(dead, None)).moved, 1);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = vec![vec![pair("ringway-queue", &names[1]), pair("a", "b")]];
        assert_eq!(headers(&mut peer, origins[1]), expected);
        put(&mut peer, dead, &[("ringway-queue", &names[0]), ("a", "b")], b"stripped");
        assert_eq!(moved(&mut peer, Move { redrive: true, ..wanted(dead, None) }).moved, 1);
        assert_eq!(headers(&mut peer, origins[0]), [[pair("a", "b")]]);
    }
}

/// The move is under way when its connection goes: each message is in one queue, none in both.
#[test]
fn a_connection_that_is_gone_loses_nothing_that_it_moved() {
    let plane = plane(2);
    let mut watcher = Peer::connect(plane.address());
    let from = watcher.declare(&name_on((0, 2), "left"));
    let to = watcher.declare(&name_on((1, 2), "taken"));
    for round in 0..20 {
        watcher.put(from, &[b"one", b"two", b"three"]);
        let mut peer = Peer::connect(plane.shard_addresses()[round % 2]);
        peer.send(Request::Move(wanted(from, Some(to))));
        drop(peer);
        let mut all = 0;
        for _ in 0..500 {
            all += watcher.drain(from).len() + watcher.drain(to).len();
            if all == 3 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(all, 3, "round {round}");
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(watcher.drain(from).len() + watcher.drain(to).len(), 0, "none was there twice");
}
