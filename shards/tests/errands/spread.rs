//! Queues that are spread over several shards.

use crate::peer::{Delivered, Peer, batch, name_on, plane, take};
use ringway_protocol::record::{self, Attribute};
use ringway_protocol::reply::QUEUE_COLUMNS;
use ringway_protocol::request::{Put, Take};
use ringway_protocol::{Code, QueueId, QueueOptions, Records, Reply, Request, SpreadOrder};
use ringway_shards::lane::LaneError;
use ringway_shards::plane::Plane;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Declares a queue over so many shards.
pub fn declare(peer: &mut Peer, name: &str, spread: u16, spread_order: SpreadOrder) -> QueueId {
    let options = QueueOptions { spread, spread_order, ..QueueOptions::default() };
    match peer.ask(Request::Declare { name, options: Some(options) }).reply() {
        Reply::Declared { queue, .. } => queue,
        other => panic!("{other:?}"),
    }
}

pub fn peers(plane: &Plane) -> Vec<Peer> {
    plane.shard_addresses().iter().map(|address| Peer::connect(*address)).collect()
}

/// A figure of a queue.
pub fn figure(peer: &mut Peer, queue: QueueId, column: &str) -> u64 {
    let received = peer.ask(Request::Stat { queue: Some(queue) });
    let Reply::Figures(figures) = received.reply() else { panic!("{received:?}") };
    let index = QUEUE_COLUMNS.iter().position(|name| *name == column).expect("a column");
    figures.rows().next().expect("a row")[index]
}

/// Every queue of a name: the parts.
pub fn parts(peer: &mut Peer, name: &str) -> Vec<(QueueId, u64)> {
    let (mut cursor, mut parts) = (0, Vec::new());
    loop {
        let received = peer.ask(Request::List { cursor, limit: 1024, prefix: name });
        let Reply::Page { next_cursor, entries } = received.reply() else { panic!("a page") };
        let of_it = entries.iter().filter(|entry| entry.name == name);
        parts.extend(of_it.map(|entry| (entry.queue, entry.ready + entry.leased)));
        cursor = next_cursor;
        if cursor == 0 {
            return parts;
        }
    }
}

/// A batch of messages with these keys and payloads.
pub fn keyed(messages: &[(&str, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, number) in messages {
        let attributes = [Attribute::Key(key.as_bytes())];
        record::write(&mut bytes, &attributes, &number.to_le_bytes());
    }
    bytes
}

#[test]
fn puts_stay_on_the_own_shard_and_takes_find_all_of_them() {
    const SHARDS: usize = 4;
    let plane = plane(SHARDS);
    let mut peers = peers(&plane);
    for home in 0..SHARDS {
        let name = name_on((home, SHARDS), "spread");
        let queue = declare(&mut peers[(home + 1) % SHARDS], &name, 3, SpreadOrder::Relaxed);
        assert_eq!(queue.shard(), home);
        assert_eq!(declare(&mut peers[home], &name, 3, SpreadOrder::Relaxed), queue, "again");
        let found = parts(&mut peers[0], &name);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|(part, _)| *part == queue), "the first part has its id");
        // Three connections have a part on their shard, the fourth goes round.
        for (number, peer) in peers.iter_mut().enumerate() {
            for message in 0..3_u8 {
                peer.put(queue, &[&[number as u8, message]]);
            }
        }
        let held: Vec<u64> = parts(&mut peers[0], &name).iter().map(|(_, held)| *held).collect();
        assert_eq!(held, [4, 4, 4]);
        assert_eq!(figure(&mut peers[home], queue, "ready"), 12);
        assert_eq!(figure(&mut peers[(home + 2) % SHARDS], queue, "groups"), 1);
        let mut got = Vec::new();
        for number in 0..12 {
            let peer = &mut peers[number % SHARDS];
            let taken = peer.take(queue, 1);
            assert_eq!(taken.payloads.len(), 1, "one of the parts has one");
            got.extend(taken.payloads);
            // Any connection may acknowledge: the lease knows its shard.
            assert_eq!(peers[(number + 1) % SHARDS].ack(queue, taken.lease, 1), (1, 0, 0));
        }
        got.sort();
        let all = (0..4_u8).flat_map(|number| (0..3_u8).map(move |message| vec![number, message]));
        assert_eq!(got, all.collect::<Vec<_>>());
        assert!(peers[0].take(queue, 1).payloads.is_empty());
    }
}

#[test]
fn a_take_sees_the_puts_that_its_connection_sent_before() {
    let plane = plane(3);
    for peer in &mut peers(&plane) {
        let queue = declare(peer, "pipelined", 2, SpreadOrder::Relaxed);
        let bytes = batch(&[b"message"]);
        let records = Records::parse(&bytes, 1).expect("a record");
        for _ in 0..50 {
            peer.send(Request::Put(Put::new(queue, records)));
            peer.send(Request::Take(Take { acknowledged: true, ..take(queue, 9) }));
            assert_eq!(peer.all(2)[1].delivered().payloads.len(), 1);
        }
    }
}

#[test]
fn a_take_that_waits_hears_of_messages_on_any_part() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[0], "waited-for", 2, SpreadOrder::Relaxed);
    for peer in &mut peers {
        for producer in 0..3 {
            for acknowledged in [false, true] {
                let waiting = Take { wait_ms: 10_000, acknowledged, ..take(queue, 5) };
                peer.send(Request::Take(waiting));
                std::thread::sleep(Duration::from_millis(5));
                let started = Instant::now();
                let mut other = Peer::connect(plane.shard_addresses()[producer]);
                other.put(queue, &[b"late"]);
                let Delivered { lease, payloads, .. } = peer.next().delivered();
                assert!(started.elapsed() < Duration::from_secs(5), "nobody polls");
                assert_eq!(payloads, [b"late".to_vec()]);
                assert_eq!(lease.0 == 0, acknowledged);
                let settled = if acknowledged { 0 } else { other.ack(queue, lease, 1).0 };
                assert_eq!(settled, u32::from(!acknowledged));
            }
        }
        let empty = Take { wait_ms: 30, ..take(queue, 5) };
        assert!(peer.ask(Request::Take(empty)).delivered().payloads.is_empty());
    }
    assert_eq!(figure(&mut peers[0], queue, "waiting_takes"), 0, "the others were called off");
    assert_eq!(figure(&mut peers[0], queue, "leased"), 0);
}

/// Every waiting consumer takes one message at a time while producers put on all shards; what two
/// parts deliver to one take at once goes back and is delivered to somebody else.
#[test]
fn many_waiting_takes_get_each_message_once() {
    const EACH: u32 = 300;
    let plane = plane(3);
    let queue = declare(&mut Peer::connect(plane.address()), "race", 3, SpreadOrder::Relaxed);
    let addresses = plane.shard_addresses();
    let got = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..6)
            .map(|number| {
                scope.spawn(move || {
                    let mut peer = Peer::connect(addresses[number % 3]);
                    let mut got = Vec::new();
                    loop {
                        let acknowledged = number % 2 == 0;
                        let waiting = Take { wait_ms: 1_000, acknowledged, ..take(queue, 2) };
                        let taken = peer.ask(Request::Take(waiting)).delivered();
                        if taken.payloads.is_empty() {
                            return got;
                        }
                        if !acknowledged {
                            let count = taken.payloads.len() as u32;
                            assert_eq!(peer.ack(queue, taken.lease, count), (count, 0, 0));
                        }
                        got.extend(taken.payloads);
                    }
                })
            })
            .collect();
        for (number, address) in addresses.iter().enumerate() {
            scope.spawn(move || {
                let mut peer = Peer::connect(*address);
                for message in 0..EACH {
                    peer.put(queue, &[&(number as u32 * EACH + message).to_le_bytes()]);
                    if message % 16 == 0 {
                        std::thread::sleep(Duration::from_micros(300));
                    }
                }
            });
        }
        consumers.into_iter().flat_map(|it| it.join().expect("no panic")).collect::<Vec<_>>()
    });
    let number = |bytes: &Vec<u8>| u32::from_le_bytes(bytes[..].try_into().expect("4 bytes"));
    let mut got: Vec<u32> = got.iter().map(number).collect();
    got.sort_unstable();
    assert_eq!(got, (0..3 * EACH).collect::<Vec<_>>());
    let mut peer = Peer::connect(plane.address());
    assert_eq!(figure(&mut peer, queue, "messages"), 0);
    assert_eq!(figure(&mut peer, queue, "waiting_takes"), 0);
}

#[test]
fn a_connection_that_is_gone_waits_on_no_part() {
    let plane = plane(2);
    let mut watcher = Peer::connect(plane.address());
    let queue = declare(&mut watcher, "left", 2, SpreadOrder::Relaxed);
    for round in 0..10 {
        let mut peer = Peer::connect(plane.shard_addresses()[round % 2]);
        peer.send(Request::Take(Take { wait_ms: 60_000, ..take(queue, 5) }));
        while figure(&mut watcher, queue, "waiting_takes") < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(peer);
        let started = Instant::now();
        while figure(&mut watcher, queue, "waiting_takes") > 0 {
            assert!(started.elapsed() < Duration::from_secs(5), "round {round}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    for address in plane.shard_addresses() {
        Peer::connect(*address).put(queue, &[b"kept"]);
    }
    let taken = watcher.take(queue, 9);
    assert_eq!((taken.payloads.len(), taken.deliveries), (1, 1));
    assert_eq!(watcher.take(queue, 9).payloads.len(), 1);
}

#[test]
fn messages_of_one_key_keep_their_order_on_their_part() {
    const KEYS: [&str; 5] = ["anna", "bert", "carl", "dora", "emil"];
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[1], "keyed", 3, SpreadOrder::PerKey);
    let mut number = 0;
    for round in 0..40 {
        let messages: Vec<_> = (0..7)
            .map(|_| {
                number += 1;
                (KEYS[(number as usize * 7 + round) % 5], number)
            })
            .collect();
        let bytes = keyed(&messages);
        let records = Records::parse(&bytes, 7).expect("valid records");
        // One connection after the other: each waits for its reply.
        let reply = peers[round % 3].ask(Request::Put(Put::new(queue, records)));
        let Reply::Put(receipt) = reply.reply() else { panic!("{reply:?}") };
        assert_eq!(receipt.count, 7);
        assert_eq!(receipt.runs().map(|run| run.count).sum::<u32>(), 7);
    }
    let held: Vec<u64> = parts(&mut peers[0], "keyed").iter().map(|(_, held)| *held).collect();
    assert!(held.iter().all(|held| *held > 0), "the keys are on several parts: {held:?}");
    let (mut last, mut count) = (BTreeMap::new(), 0);
    for turn in 0.. {
        let peer = &mut peers[turn % 3];
        let received = peer.ask(Request::Take(take(queue, 4)));
        let Reply::Delivery(delivery) = received.reply() else { panic!("{received:?}") };
        let Some(records) = delivery.records else { break };
        for record in records.iter() {
            let key = record.traits().key.expect("a key").to_vec();
            let number = u32::from_le_bytes(record.payload.try_into().expect("4 bytes"));
            let before = last.insert(key.clone(), number);
            assert!(before < Some(number), "{key:?}: {number} after {before:?}");
        }
        count += records.count();
        let lease = delivery.lease;
        peer.ack(queue, lease, records.count());
    }
    assert_eq!(count, 280);
}

#[test]
fn what_concerns_all_parts_is_done_on_all_parts() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    let name = name_on((1, 3), "whole");
    let queue = declare(&mut peers[0], &name, 3, SpreadOrder::Relaxed);
    for asker in 0..3 {
        for peer in &mut peers {
            peer.put(queue, &[b"one", b"two"]);
        }
        assert_eq!(figure(&mut peers[asker], queue, "ready"), 6);
        let purged = peers[asker].ask(Request::Purge { queue });
        assert!(matches!(purged.reply(), Reply::Removed(6)), "{purged:?}");
        // Sent at once: the take must not find what was purged before it.
        for _ in 0..20 {
            let bytes = batch(&[b"gone"]);
            let records = Records::parse(&bytes, 1).expect("a record");
            peers[asker].send(Request::Put(Put::new(queue, records)));
            peers[asker].send(Request::Purge { queue });
            peers[asker].send(Request::Take(take(queue, 1)));
            assert!(peers[asker].all(3)[2].delivered().payloads.is_empty());
        }
        let refused = peers[asker].ask(Request::Rename { queue, name: "other" });
        assert_eq!(refused.code(), Code::OtherShard);
    }
}

#[test]
fn groups_are_the_same_on_all_parts() {
    use ringway_protocol::request::{ChangeGroup, GroupFlags, GroupOperation, Start};
    let plane = plane(3);
    let mut peers = peers(&plane);
    let queue = declare(&mut peers[2], "grouped", 3, SpreadOrder::Relaxed);
    let (start, flags) = (Start::Earliest, GroupFlags::default());
    let create = GroupOperation::Create { start, flags };
    let mut made = Vec::new();
    for (number, name) in ["red", "blue", "green"].into_iter().enumerate() {
        let request = Request::Group(ChangeGroup { queue, name, operation: create });
        let received = peers[number].ask(request);
        let Reply::Group { group, changed: true } = received.reply() else {
            panic!("{received:?}")
        };
        made.push(group);
    }
    let operation = GroupOperation::Delete;
    peers[0].ask(Request::Group(ChangeGroup { queue, name: "blue", operation }));
    for peer in &mut peers {
        peer.put(queue, &[b"message"]);
    }
    for peer in &mut peers {
        let received = peer.ask(Request::Groups { queue });
        let Reply::Groups(groups) = received.reply() else { panic!("{received:?}") };
        let names: Vec<_> = groups.iter().map(|entry| entry.name.to_owned()).collect();
        assert_eq!(names, ["default", "red", "green"]);
        let ready = groups.iter().map(|entry| entry.figures().nth(1));
        assert_eq!(ready.collect::<Vec<_>>(), [Some(3); 3], "summed over the parts");
    }
    for group in [made[0], made[2]] {
        for peer in &mut peers {
            let taken = peer.ask(Request::Take(Take { group, ..take(queue, 1) })).delivered();
            assert_eq!(taken.payloads.len(), 1, "{group:?}");
            peer.ack(queue, taken.lease, 1);
        }
        let none = peers[0].ask(Request::Take(Take { group, ..take(queue, 1) }));
        assert!(none.delivered().payloads.is_empty());
    }
}

#[test]
fn a_deleted_queue_is_gone_from_every_shard() {
    let plane = plane(3);
    let mut peers = peers(&plane);
    for asker in 0..3 {
        let name = name_on((1, 3), "brief");
        let queue = declare(&mut peers[asker], &name, 2, SpreadOrder::Relaxed);
        for peer in &mut peers {
            peer.put(queue, &[b"message"]);
        }
        let removed = peers[asker].ask(Request::Delete { queue });
        assert!(matches!(removed.reply(), Reply::Removed(3)), "{removed:?}");
        for peer in &mut peers {
            let late = peer.ask(Request::Take(take(queue, 1)));
            assert_eq!(late.code(), Code::NoSuchQueue);
            let stat = peer.ask(Request::Stat { queue: Some(queue) });
            assert_eq!(stat.code(), Code::NoSuchQueue);
        }
        assert_eq!(parts(&mut peers[0], &name), []);
    }
}

#[test]
fn a_conflicting_declaration_is_refused_and_a_plain_one_finds_the_queue() {
    let plane = plane(2);
    let mut peers = peers(&plane);
    for shard in [0, 1] {
        let name = name_on((shard, 2), "declared");
        let queue = declare(&mut peers[0], &name, 2, SpreadOrder::Relaxed);
        let options =
            QueueOptions { spread: 2, spread_order: SpreadOrder::PerKey, ..Default::default() };
        for peer in &mut peers {
            let refused = peer.ask(Request::Declare { name: &name, options: Some(options) });
            assert_eq!(refused.code(), Code::Conflict);
            assert_eq!(peer.declare(&name), queue);
            let opened = peer.ask(Request::Open { name: &name });
            assert!(matches!(opened.reply(), Reply::Opened { queue: found } if found == queue));
        }
    }
}

#[test]
fn a_lane_leads_to_the_first_part_and_declares_no_spread_queue() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.address());
    let queue = declare(&mut peer, "lanes", 2, SpreadOrder::Relaxed);
    let mut lane = plane.lane("lanes", None).expect("a lane");
    assert_eq!(lane.queue(), queue);
    lane.enqueue(b"from a lane").expect("room");
    for address in plane.shard_addresses() {
        let taken = Peer::connect(*address).take(queue, 1);
        assert!(taken.payloads.len() <= 1);
    }
    assert_eq!(figure(&mut peer, queue, "leased"), 1, "takes on any shard find it");
    let options = QueueOptions { spread: 2, ..QueueOptions::default() };
    let refused = plane.lane("lanes-new", Some(options)).map(|lane| lane.queue());
    assert!(
        matches!(refused, Err(LaneError::Refused(why)) if why.code == Code::Unsupported),
        "{refused:?}"
    );
}
