//! Queues that are spread when they are in use, and what hangs on them.

use crate::peer::{Peer, batch, name_on, plane, take};
use crate::spread::{declare, figure, keyed, peers};
use ringway_protocol::record::{self, Attribute};
use ringway_protocol::reply::Moved;
use ringway_protocol::request::{
    ChangeGroup, Credit, GroupFlags, GroupOperation, HeaderFilter, Move, Put, Range, Start,
    Subscribe, Take, encode_nack,
};
use ringway_protocol::{
    Code, GroupId, LeaseId, QueueId, QueueOptions, Records, Reply, Request, SpreadOrder,
    SubscriptionId,
};
use std::time::{Duration, Instant};

fn spread(peer: &mut Peer, queue: QueueId, spread: u16) -> Code {
    let options = QueueOptions { spread, ..options(peer, queue) };
    peer.ask(Request::Alter { queue, options }).code()
}

fn options(peer: &mut Peer, queue: QueueId) -> QueueOptions {
    let received = peer.ask(Request::Describe { queue });
    let Reply::Described(what) = received.reply() else { panic!("{received:?}") };
    what.options
}

fn group(peer: &mut Peer, queue: QueueId, name: &str, flags: GroupFlags) -> GroupId {
    let operation = GroupOperation::Create { start: Start::Earliest, flags };
    let received = peer.ask(Request::Group(ChangeGroup { queue, name, operation }));
    let Reply::Group { group, changed: true } = received.reply() else { panic!("{received:?}") };
    group
}

fn delete_group(peer: &mut Peer, queue: QueueId, name: &str) {
    let operation = GroupOperation::Delete;
    let received = peer.ask(Request::Group(ChangeGroup { queue, name, operation }));
    assert_eq!(received.code(), Code::Ok);
}

/// Gives messages of a lease back: at once, or as dead letters.
fn nack(peer: &mut Peer, (queue, lease): (QueueId, LeaseId), count: u32) {
    let (mut request, number) = (Vec::new(), peer.number());
    let all = [Range { first: 0, count }];
    let delay = ringway_protocol::request::DEAD_LETTER;
    encode_nack((queue, lease), &all, delay, (0, number), &mut request);
    peer.say(&request);
    let settled = peer.next();
    assert!(matches!(settled.reply(), Reply::Settled(it, _) if it.settled == count));
}

#[test]
fn groups_and_pauses_go_along() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    for asker in 0..3 {
        let name = name_on((1, 3), &format!("along-{asker}"));
        let queue = peers[asker].declare(&name);
        let brief = group(&mut peers[0], queue, "brief", GroupFlags::default());
        let old = group(&mut peers[1], queue, "old", GroupFlags::default());
        delete_group(&mut peers[2], queue, "default");
        delete_group(&mut peers[2], queue, "brief");
        peers[0].put(queue, &[b"before"]);
        peers[0].ask(Request::Pause { queue, puts: false, takes: true });
        assert_eq!(spread(&mut peers[asker], queue, 3), Code::Ok);
        for peer in &mut peers {
            peer.put(queue, &[b"after"]);
            let none = peer.ask(Request::Take(Take { group: old, ..take(queue, 9) }));
            assert!(none.delivered().payloads.is_empty(), "takes are paused on every part");
        }
        peers[0].ask(Request::Pause { queue, puts: false, takes: false });
        let new = group(&mut peers[asker], queue, "new", GroupFlags::default());
        for group in [old, new] {
            let mut got = Vec::new();
            for turn in 0..6 {
                let take = Take { group, acknowledged: true, ..take(queue, 1) };
                got.extend(peers[turn % 3].ask(Request::Take(take)).delivered().payloads);
            }
            assert_eq!(got.len(), 4, "{group:?} has a message of each part, and the one before");
        }
        for group in [GroupId::DEFAULT, brief] {
            for peer in &mut peers {
                let gone = peer.ask(Request::Take(Take { group, ..take(queue, 1) }));
                assert_eq!(gone.code(), Code::NoSuchGroup);
            }
        }
        assert_eq!(figure(&mut peers[0], queue, "messages"), 0, "nobody else holds them");
    }
}

/// Groups come and go while many spread one queue at once, over more shards or fewer.
#[test]
fn many_spread_one_queue_at_once() {
    let plane = plane(4);
    for round in 0..20 {
        let name = name_on((round % 4, 4), &format!("race-{round}"));
        let queue = Peer::connect(plane.address()).declare(&name);
        std::thread::scope(|scope| {
            for number in 0..6_usize {
                let address = plane.shard_addresses()[number % 4];
                scope.spawn(move || {
                    let mut peer = Peer::connect(address);
                    if number % 2 == 0 {
                        let name = format!("group-{number}");
                        group(&mut peer, queue, &name, GroupFlags::default());
                        return;
                    }
                    let code = spread(&mut peer, queue, 2 + number as u16 / 2);
                    let narrower = Code::InvalidOption;
                    assert!(code == Code::Ok || code == narrower, "{code:?}");
                });
            }
        });
        let mut peers = peers(&plane);
        let parts = crate::spread::parts(&mut peers[0], &name).len();
        assert_eq!(parts, 4, "as far as the widest");
        for peer in &mut peers {
            peer.put(queue, &[b"message"]);
        }
        let received = peers[0].ask(Request::Groups { queue });
        let Reply::Groups(groups) = received.reply() else { panic!("{received:?}") };
        let groups: Vec<_> = groups.iter().map(|it| (it.group, it.name.to_owned())).collect();
        assert_eq!(groups.len(), 4, "{groups:?}");
        for (group, name) in groups {
            let mut count = 0;
            for turn in 0..8 {
                let take = Take { group, acknowledged: true, ..take(queue, 9) };
                count += peers[turn % 4].ask(Request::Take(take)).delivered().payloads.len();
            }
            assert_eq!(count, 4, "{name}");
        }
        peers[0].ask(Request::Delete { queue });
    }
}

#[test]
fn who_waited_is_told_to_ask_again() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    for waiter in 0..3 {
        let queue = peers[0].declare(&name_on((1, 3), &format!("waited-{waiter}")));
        for parts in [2, 3] {
            let mut peer = Peer::connect(plane.shard_addresses()[waiter]);
            let subscribe = Subscribe {
                queue,
                group: GroupId::DEFAULT,
                messages: 2,
                bytes: 0,
                batch_max: 0,
                lease_ms: 0,
                rate: 0,
            };
            let made = peer.ask(Request::Subscribe(subscribe));
            let Reply::Subscribed { subscription } = made.reply() else { panic!("{made:?}") };
            peers[2].put(queue, &[b"pushed"]);
            assert_eq!(peer.next().delivered().payloads, [b"pushed".to_vec()]);
            peer.send(Request::Take(Take { wait_ms: 60_000, ..take(queue, 1) }));
            while figure(&mut peers[2], queue, "waiting_takes") == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(spread(&mut peers[waiter], queue, parts), Code::Ok);
            let ended = [peer.next(), peer.next()];
            assert!(ended.iter().all(|ended| ended.code() == Code::NoSuchLease), "{ended:?}");
            let credit = Credit { queue, subscription, messages: 1, bytes: 0 };
            assert_eq!(peer.ask(Request::Credit(credit)).code(), Code::NoSuchLease);
            // What was pushed came back; what is put to any part reaches who asks now.
            let mut other =
                Peer::connect(plane.shard_addresses()[(1 + usize::from(parts) - 1) % 3]);
            let back = other.take(queue, 9);
            assert_eq!((back.payloads.len(), back.deliveries), (1, 2));
            other.ack(queue, back.lease, 1);
            let number = peer.send(Request::Take(Take { wait_ms: 60_000, ..take(queue, 1) }));
            other.put(queue, &[b"later"]);
            let taken = peer.next();
            assert_eq!(taken.header.request, number);
            let taken = taken.delivered();
            assert_eq!(taken.payloads, [b"later".to_vec()]);
            peer.ack(queue, taken.lease, 1);
        }
    }
}

#[test]
fn what_cannot_be_spread_is_refused_and_nothing_is_done() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    for asker in 0..2 {
        let name = name_on((1, 2), &format!("stays-{asker}"));
        let before = QueueOptions { dedup_ms: 60_000, ..QueueOptions::default() };
        let declared = peers[0].ask(Request::Declare { name: &name, options: Some(before) });
        let Reply::Declared { queue, .. } = declared.reply() else { panic!("{declared:?}") };
        let wanted = QueueOptions { spread: 2, lease_ms: 7, ..before };
        let alter = |peer: &mut Peer, options| peer.ask(Request::Alter { queue, options }).code();
        assert_eq!(alter(&mut peers[asker], wanted), Code::InvalidOption, "it remembers puts");
        assert_eq!(options(&mut peers[asker], queue), before);
        let forgetful = QueueOptions { dedup_ms: 0, ..wanted };
        let flags = GroupFlags { single_active: true, paused: false };
        group(&mut peers[0], queue, "single", flags);
        assert_eq!(alter(&mut peers[asker], forgetful), Code::Unsupported, "a single consumer");
        assert_eq!(options(&mut peers[asker], queue), before);
        delete_group(&mut peers[0], queue, "single");
        assert_eq!(alter(&mut peers[asker], forgetful), Code::Ok);
        assert_eq!(options(&mut peers[asker], queue), forgetful);
        let narrower = QueueOptions { spread: 1, lease_ms: 8, ..forgetful };
        assert_eq!(alter(&mut peers[asker], narrower), Code::InvalidOption);
        assert_eq!(options(&mut peers[asker], queue), forgetful);
        assert_eq!(alter(&mut peers[asker], wanted), Code::Ok, "it remembers from now on");
    }
}

#[test]
fn a_purge_sees_the_puts_that_its_connection_sent_before() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let name = name_on((0, 3), "overtaken");
    let queue = declare(&mut peers[0], &name, 3, SpreadOrder::PerKey);
    for peer in &mut peers {
        for round in 0..300 {
            let key = format!("key-{round}");
            let bytes = keyed(&[(&key, 1)]);
            let records = Records::parse(&bytes, 1).expect("a record");
            peer.send(Request::Put(Put::new(queue, records)));
            peer.send(Request::Purge { queue });
            let replies = peer.all(2);
            assert!(matches!(replies[1].reply(), Reply::Removed(1)), "{round}: {replies:?}");
        }
    }
}

#[test]
fn a_filter_looks_through_every_part() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "searched", 2, SpreadOrder::Relaxed);
    let to = peers[0].declare("found");
    let header = [Attribute::Header { name: "kind", value: b"rare" }];
    let mut rare = Vec::new();
    record::write(&mut rare, &header, b"rare");
    for peer in &mut peers {
        let plain = batch(&vec![&b"x"[..]; 4000]);
        let records = Records::parse(&plain, 4000).expect("valid records");
        for _ in 0..5 {
            peer.ask(Request::Put(Put::new(queue, records)));
        }
        let records = Records::parse(&rare, 1).expect("a record");
        peer.ask(Request::Put(Put::new(queue, records)));
    }
    let filter = Some(HeaderFilter { name: "kind", value: b"rare" });
    let (group, limit) = (GroupId::DEFAULT, 1024);
    let wanted = Move { from: queue, to: Some(to), group, limit, redrive: false, filter };
    let mut found = 0;
    for request in 0.. {
        let reply = peers[1].ask(Request::Move(wanted));
        let Reply::Moved(Moved { moved, refused: 0, more }) = reply.reply() else {
            panic!("{reply:?}")
        };
        found += moved;
        if !more {
            break;
        }
        assert!(request < 10, "it comes to an end");
    }
    assert_eq!(found, 2);
}

#[test]
fn dead_letters_that_were_deleted_are_made_again_where_everybody_finds_them() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let name = name_on((0, 3), "mortal");
    let letters = format!("{name}.dead");
    let queue = declare(&mut peers[0], &name, 3, SpreadOrder::Relaxed);
    for shard in [1, 2, 0] {
        let dead = peers[0].declare(&letters);
        peers[0].ask(Request::Delete { queue: dead });
        peers[shard].put(queue, &[b"poison"]);
        let lease = peers[shard].take(queue, 1).lease;
        nack(&mut peers[shard], (queue, lease), 1);
        let started = Instant::now();
        loop {
            let opened = peers[0].ask(Request::Open { name: &letters });
            if let Reply::Opened { queue: dead } = opened.reply()
                && figure(&mut peers[1], dead, "ready") == 1
            {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(15), "no letter of shard {shard}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn dead_letters_that_are_wider_stay_so() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let name = name_on((0, 3), "narrow");
    let letters = format!("{name}.dead");
    let wide = QueueOptions { spread: 3, deliveries_max: 0, ..QueueOptions::default() };
    let made = peers[0].ask(Request::Declare { name: &letters, options: Some(wide) });
    let Reply::Declared { queue: dead, .. } = made.reply() else { panic!("{made:?}") };
    for peer in &mut peers {
        peer.put(dead, &[b"letter"]);
    }
    declare(&mut peers[1], &name, 2, SpreadOrder::Relaxed);
    assert_eq!(figure(&mut peers[2], dead, "ready"), 3);
    let received = peers[2].ask(Request::Describe { queue: dead });
    let Reply::Described(what) = received.reply() else { panic!("{received:?}") };
    assert_eq!((what.parts, what.options.spread), (3, 3));
}

#[test]
fn a_part_is_not_administered_alone() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    let name = name_on((0, 2), "whole");
    let queue = declare(&mut peers[0], &name, 2, SpreadOrder::Relaxed);
    let part = QueueId::new(1, 1, queue.slot() as u32);
    let subscription = SubscriptionId::new(1, 1, 0);
    for peer in &mut peers {
        peer.put(queue, &[b"message"]);
        for request in [
            Request::Delete { queue: part },
            Request::Purge { queue: part },
            Request::Describe { queue: part },
            Request::Stat { queue: Some(part) },
            Request::Alter { queue: part, options: QueueOptions::default() },
            Request::Pause { queue: part, puts: true, takes: true },
            Request::Unsubscribe { queue: part, subscription },
        ] {
            let refused = peer.ask(request);
            let Reply::Refused { code: Code::NoSuchQueue, sentence } = refused.reply() else {
                panic!("{refused:?}")
            };
            assert!(sentence.contains("a part of a spread queue"), "{sentence}");
        }
    }
    let listed = crate::spread::parts(&mut peers[0], &name);
    assert_eq!(listed, [(queue, 1), (queue, 1)], "a row for each part, by the queue's id");
}

#[test]
fn letters_come_back_to_a_queue_that_has_another_name() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    for shard in 0..2 {
        let [before, after] = ["before", "after"].map(|stem| name_on((shard, 2), stem));
        let queue = peers[0].declare(&before);
        peers[1].put(queue, &[b"poison"]);
        let lease = peers[1].take(queue, 1).lease;
        nack(&mut peers[1], (queue, lease), 1);
        assert_eq!(peers[0].ask(Request::Rename { queue, name: &after }).code(), Code::Ok);
        let gone = peers[0].ask(Request::Open { name: &format!("{before}.dead") });
        assert_eq!(gone.code(), Code::NoSuchQueue, "they are those of the new name");
        let dead = peers[0].declare(&format!("{after}.dead"));
        let (group, limit) = (GroupId::DEFAULT, 1024);
        let wanted = Move { from: dead, to: None, group, limit, redrive: true, filter: None };
        for peer in &mut peers {
            let reply = peer.ask(Request::Move(wanted));
            assert!(matches!(reply.reply(), Reply::Moved(it) if it.refused == 0), "{reply:?}");
        }
        assert_eq!(peers[1].drain(queue), [b"poison".to_vec()]);
    }
}
