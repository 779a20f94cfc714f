//! Spread queues as ends of other errands: transfers, bindings, moves, dead letters.

use crate::peer::{Peer, name_on, plane, take};
use crate::spread::{declare, figure, keyed, peers};
use ringway_protocol::pattern::Pattern;
use ringway_protocol::reply::Moved;
use ringway_protocol::request::{
    Binding, Move, Publish, Put, Range, Take, encode_nack, encode_transfer,
};
use ringway_protocol::{
    Code, FullPolicy, GroupId, LeaseId, QueueId, QueueOptions, Records, Reply, Request,
    SpreadOrder, record,
};
use std::collections::BTreeMap;

/// Takes everything for good, over and over; the numbers by key, in the order of delivery.
fn drain_keyed(peer: &mut Peer, queue: QueueId) -> BTreeMap<Vec<u8>, Vec<u32>> {
    let mut all: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    loop {
        let received = peer.ask(Request::Take(Take { acknowledged: true, ..take(queue, 100) }));
        let Reply::Delivery(delivery) = received.reply() else { panic!("{received:?}") };
        let Some(records) = delivery.records else { return all };
        for record in records.iter() {
            let number = u32::from_le_bytes(record.payload.try_into().expect("4 bytes"));
            all.entry(record.traits().key.expect("a key").to_vec()).or_default().push(number);
        }
    }
}

#[test]
fn a_transfer_acknowledges_a_part_and_puts_to_several() {
    let plane = plane(3);
    for (round, peer) in peers(&plane).iter_mut().enumerate() {
        let jobs = declare(peer, "jobs", 3, SpreadOrder::Relaxed);
        let results = declare(peer, "results", 3, SpreadOrder::PerKey);
        let messages: Vec<(String, u32)> =
            (0..12).map(|number| (format!("key-{}", number % 6), number)).collect();
        let messages: Vec<_> = messages.iter().map(|(key, number)| (&**key, *number)).collect();
        let bytes = keyed(&messages);
        let put = Put::new(results, Records::parse(&bytes, 12).expect("valid records"));
        peer.put(jobs, &[b"job"]);
        let lease = peer.take(jobs, 1).lease;
        for expected in [(1, 0), (0, 1)] {
            let (mut request, number) = (Vec::new(), peer.number());
            let all = [Range { first: 0, count: 1 }];
            encode_transfer((jobs, lease), &all, &put, (0, number), &mut request);
            peer.say(&request);
            let received = peer.next();
            let Reply::Transferred(settled, receipt) = received.reply() else {
                panic!("{received:?}")
            };
            assert_eq!((settled.settled, settled.stale), expected, "round {round}");
            assert_eq!((receipt.count, receipt.runs().map(|run| run.count).sum()), (12, 12));
        }
        let got = drain_keyed(peer, results);
        assert_eq!(got.len(), 6);
        for (key, numbers) in got {
            let first = numbers[0];
            assert_eq!(numbers, [first, first + 6, first, first + 6], "{key:?}: both times");
        }
    }
}

#[test]
fn what_is_published_reaches_spread_queues_once() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queues = [
        declare(&mut peers[0], "relaxed", 3, SpreadOrder::Relaxed),
        declare(&mut peers[1], "per-key", 2, SpreadOrder::PerKey),
        peers[2].declare(&name_on((0, 3), "plain")),
    ];
    for (number, queue) in queues.into_iter().enumerate() {
        let pattern = Pattern::new("news.*").expect("a valid pattern");
        let bound = peers[number].ask(Request::Bind(Binding { queue, pattern }));
        assert!(matches!(bound.reply(), Reply::Bound { changed: true }), "{bound:?}");
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        let first = 100 * number as u32;
        let bytes = keyed(&[("a", first), ("b", first + 1), ("c", first + 2), ("d", first + 3)]);
        let records = Records::parse(&bytes, 4).expect("valid records");
        let published = peer.ask(Request::Publish(Publish { name: "news.today", records }));
        let Reply::Published(published) = published.reply() else { panic!("{published:?}") };
        assert_eq!((published.matched, published.stored, published.refused), (3, 3, 0));
    }
    for queue in queues {
        let got = drain_keyed(&mut peers[0], queue);
        assert_eq!(got.values().map(Vec::len).sum::<usize>(), 12);
        assert_eq!(got.len(), 4);
    }
}

#[test]
fn messages_move_between_spread_queues() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let from = declare(&mut peers[0], "moved-from", 3, SpreadOrder::Relaxed);
    let to = declare(&mut peers[0], "moved-to", 3, SpreadOrder::PerKey);
    for (number, peer) in peers.iter_mut().enumerate() {
        let first = 10 * number as u32;
        let bytes = keyed(&[("a", first), ("b", first), ("c", first), ("a", first + 1)]);
        let records = Records::parse(&bytes, 4).expect("valid records");
        let stored = peer.ask(Request::Put(Put::new(from, records)));
        assert!(matches!(stored.reply(), Reply::Put(_)), "{stored:?}");
    }
    let (mut count, mut requests) = (0, 0);
    loop {
        let (group, limit, filter) = (GroupId::DEFAULT, 1024, None);
        let wanted = Move { from, to: Some(to), group, limit, redrive: false, filter };
        let reply = peers[requests % 3].ask(Request::Move(wanted));
        let Reply::Moved(Moved { moved, refused: 0, more }) = reply.reply() else {
            panic!("{reply:?}")
        };
        (count, requests) = (count + moved, requests + 1);
        if !more {
            break;
        }
    }
    // A request moves what one part can give: of one key a message at a time.
    assert_eq!((count, requests), (12, 6));
    let got = drain_keyed(&mut peers[1], to);
    let numbers = |key: &str| got[key.as_bytes()].clone();
    for pair in numbers("a").chunks(2) {
        assert_eq!(pair[0] + 1, pair[1], "the order within a part is kept");
    }
    assert_eq!((numbers("b").len(), numbers("c").len()), (3, 3));
    assert_eq!(figure(&mut peers[2], from, "messages"), 0);
}

#[test]
fn dead_letters_of_all_parts_are_one_queue() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let options = QueueOptions { spread: 3, deliveries_max: 1, ..QueueOptions::default() };
    let declared = peers[0].ask(Request::Declare { name: "mortal", options: Some(options) });
    let Reply::Declared { queue, .. } = declared.reply() else { panic!("{declared:?}") };
    for peer in &mut peers {
        peer.put(queue, &[b"one", b"two"]);
    }
    for _ in 0..3 {
        let lease = peers[0].take(queue, 2).lease;
        let (mut request, number) = (Vec::new(), peers[0].number());
        let all = [Range { first: 0, count: 2 }];
        encode_nack((queue, lease), &all, 0, (0, number), &mut request);
        peers[0].say(&request);
        let settled = peers[0].next();
        let Reply::Settled(settled, _) = settled.reply() else { panic!("{settled:?}") };
        assert_eq!(settled.settled, 2);
    }
    let dead = peers[1].declare("mortal.dead");
    assert_eq!(figure(&mut peers[1], dead, "ready"), 6);
    let (group, limit) = (GroupId::DEFAULT, 1024);
    let mut count = 0;
    for _ in 0..3 {
        let wanted = Move { from: dead, to: None, group, limit, redrive: true, filter: None };
        let Reply::Moved(moved) = peers[2].ask(Request::Move(wanted)).reply() else {
            panic!("a move")
        };
        count += moved.moved;
    }
    assert_eq!(count, 6);
    assert_eq!(figure(&mut peers[0], queue, "ready"), 6);
}

/// An id that a client makes up may name any shard.
#[test]
fn a_shard_that_is_not_there_is_no_end_of_an_errand() {
    let plane = plane(2);
    for peer in &mut peers(&plane) {
        let spread = declare(peer, "real", 2, SpreadOrder::Relaxed);
        let nowhere = QueueId::new(1, 200, 7);
        let mut bytes = Vec::new();
        record::write(&mut bytes, &[], b"message");
        let records = Records::parse(&bytes, 1).expect("a record");
        for (from, to) in [(spread, nowhere), (nowhere, spread)] {
            let (mut request, number) = (Vec::new(), peer.number());
            let (put, all) = (Put::new(to, records), [Range { first: 0, count: 1 }]);
            let lease = LeaseId::new(1, 200, 7);
            encode_transfer((from, lease), &all, &put, (0, number), &mut request);
            peer.say(&request);
            assert_eq!(peer.next().code(), Code::NoSuchQueue, "a transfer {from:?} {to:?}");
            let (to, group) = (Some(to), GroupId::DEFAULT);
            let wanted = Move { from, to, group, limit: 1, redrive: false, filter: None };
            let moved = peer.ask(Request::Move(wanted));
            assert_eq!(moved.code(), Code::NoSuchQueue, "a move {from:?} {to:?}");
        }
        assert!(peer.drain(spread).is_empty(), "nothing was put before the refusal");
    }
}

/// What is held counts against its connection and ends with it; an errand's put does neither.
#[test]
fn what_an_errand_puts_is_never_held() {
    let plane = plane(3);
    for (round, peer) in peers(&plane).iter_mut().enumerate() {
        let options = QueueOptions {
            spread: 3,
            spread_order: SpreadOrder::PerKey,
            messages_max: 100,
            full_policy: FullPolicy::Hold,
            ..QueueOptions::default()
        };
        let name = format!("full-{round}");
        let declared = peer.ask(Request::Declare { name: &name, options: Some(options) });
        let Reply::Declared { queue, .. } = declared.reply() else { panic!("{declared:?}") };
        let bound = format!("news-{round}");
        let pattern = Pattern::new(&bound).expect("a valid pattern");
        peer.ask(Request::Bind(Binding { queue, pattern }));
        let keys: Vec<String> = (0..60).map(|key| format!("key-{key}")).collect();
        let messages: Vec<_> = keys.iter().map(|key| (&**key, 0)).collect();
        let bytes = keyed(&messages);
        let records = Records::parse(&bytes, 60).expect("valid records");
        let refused = (0..9).find_map(|_| {
            let code = peer.ask(Request::Put(Put::new(queue, records))).code();
            (code != Code::Ok).then_some(code)
        });
        assert_eq!(refused, Some(Code::QueueFull), "at once");
        let published = peer.ask(Request::Publish(Publish { name: &bound, records }));
        let Reply::Published(published) = published.reply() else { panic!("{published:?}") };
        assert_eq!((published.stored, published.refused), (0, 1));
        assert_eq!(figure(peer, queue, "held_puts"), 0);
    }
}
