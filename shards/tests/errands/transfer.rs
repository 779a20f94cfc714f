//! Acknowledge and put in one request, on one shard and over two.

use crate::bindings::{bind, publish};
use crate::peer::{Peer, batch, name_on, plane, take};
use ringway_protocol::request::{Put, Range, encode_transfer};
use ringway_protocol::{Code, FullPolicy, LeaseId, QueueId, QueueOptions, Records, Reply, Request};
use std::time::Duration;

/// Sends a transfer of one message of a lease; returns its number.
fn send(peer: &mut Peer, from: (QueueId, LeaseId), first: u32, to: QueueId, result: &[u8]) -> u32 {
    let (bytes, number) = (batch(&[result]), peer.number());
    let put = Put::new(to, Records::parse(&bytes, 1).expect("a record"));
    let mut request = Vec::new();
    encode_transfer(from, &[Range { first, count: 1 }], &put, (0, number), &mut request);
    peer.say(&request);
    number
}

/// Settled, stale, unknown, and the sequence of what was put.
fn outcome(reply: &Reply<'_>) -> ((u32, u32, u32), u64) {
    match reply {
        Reply::Transferred(settled, receipt) => {
            ((settled.settled, settled.stale, settled.unknown), receipt.first_sequence)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_result_replaces_its_job_between_any_two_shards() {
    const SHARDS: usize = 3;
    let plane = plane(SHARDS);
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for (from, to) in (0..9).map(|pair| (pair % 3, pair / 3)) {
            let jobs = peer.declare(&name_on((from, SHARDS), "jobs"));
            let results = peer.declare(&name_on((to, SHARDS), "results"));
            peer.put(jobs, &[b"one", b"two"]);
            let lease = peer.take(jobs, 2).lease;
            send(&mut peer, (jobs, lease), 0, results, b"done");
            assert_eq!(outcome(&peer.next().reply()).0, (1, 0, 0), "from {from} to {to}");
            // Once more: it is too late for the acknowledgement. On one shard nothing is put then;
            // between two the result is there twice.
            send(&mut peer, (jobs, lease), 0, results, b"again");
            let late = peer.next();
            let mut expected = vec![b"done".to_vec()];
            if from == to {
                assert_eq!(late.code(), Code::Stale);
            } else {
                assert_eq!(outcome(&late.reply()).0, (0, 1, 0), "from {from} to {to}");
                expected.push(b"again".to_vec());
            }
            assert_eq!(peer.ack(jobs, lease, 2), (1, 1, 0), "the other message is untouched");
            assert_eq!(peer.drain(results), expected);
            assert!(peer.drain(jobs).is_empty());
        }
    }
}

#[test]
fn a_refused_put_acknowledges_nothing() {
    let plane = plane(2);
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for (from, to) in [(0, 1), (1, 0)] {
            let jobs = peer.declare(&name_on((from, 2), "jobs"));
            peer.put(jobs, &[b"job"]);
            let lease = peer.take(jobs, 1).lease;
            send(&mut peer, (jobs, lease), 0, QueueId::new(7, to as u8, 70), b"nowhere");
            assert_eq!(peer.next().code(), Code::NoSuchQueue);
            assert_eq!(peer.ack(jobs, lease, 1), (1, 0, 0));
            // The other way round: the put is done, the acknowledgement finds no queue.
            let results = peer.declare(&name_on((to, 2), "results"));
            send(&mut peer, (QueueId::new(7, from as u8, 70), lease), 0, results, b"late");
            assert_eq!(outcome(&peer.next().reply()).0, (0, 1, 0));
            assert_eq!(peer.drain(results), [b"late".to_vec()]);
        }
    }
}

/// The pipelined requests follow the transfer at once, about both of its queues.
#[test]
fn later_requests_of_the_connection_see_what_a_transfer_did() {
    let plane = plane(2);
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for (from, to) in [(0, 1), (1, 0)] {
            let jobs = peer.declare(&name_on((from, 2), "order"));
            let results = peer.declare(&name_on((to, 2), "ordered"));
            for round in 0..50 {
                peer.put(jobs, &[b"job"]);
                let lease = peer.take(jobs, 1).lease;
                send(&mut peer, (jobs, lease), 0, results, b"done");
                peer.send(Request::Stat { queue: Some(jobs) });
                peer.send(Request::Take(take(results, 9)));
                let all = peer.all(3);
                assert_eq!(outcome(&all[0].reply()).0, (1, 0, 0));
                let Reply::Figures(figures) = all[1].reply() else { panic!("{:?}", all[1]) };
                let row = figures.rows().next().expect("a row");
                assert_eq!(row[1], 0, "nothing is leased, round {round}");
                let delivered = all[2].delivered();
                assert_eq!(delivered.payloads, [b"done".to_vec()]);
                peer.ack(results, delivered.lease, 1);
            }
        }
    }
}

#[test]
fn many_transfers_at_once_are_carried_out_in_order() {
    const JOBS: u32 = 500;
    let plane = plane(2);
    for (from, to) in [(0, 1), (1, 0)] {
        let mut peer = Peer::connect(plane.shard_addresses()[0]);
        let jobs = peer.declare(&name_on((from, 2), "many"));
        let results = peer.declare(&name_on((to, 2), "many-results"));
        let payloads = vec![&b"job"[..]; JOBS as usize];
        peer.put(jobs, &payloads);
        let lease = peer.take(jobs, JOBS).lease;
        for job in 0..JOBS {
            send(&mut peer, (jobs, lease), job, results, &job.to_le_bytes());
        }
        for (job, received) in peer.all(JOBS as usize).iter().enumerate() {
            assert_eq!(outcome(&received.reply()), ((1, 0, 0), job as u64));
        }
        let expected: Vec<_> = (0..JOBS).map(|job| job.to_le_bytes().to_vec()).collect();
        assert_eq!(peer.drain(results), expected);
        assert_eq!(peer.ack(jobs, lease, JOBS).1, JOBS, "each was acknowledged once");
    }
}

/// The acknowledgement follows the put although nobody is there to hear of it.
#[test]
fn a_connection_that_is_gone_ends_no_transfer() {
    const ROUNDS: usize = 30;
    let plane = plane(2);
    let mut watcher = Peer::connect(plane.address());
    let jobs = watcher.declare(&name_on((0, 2), "left"));
    let results = watcher.declare(&name_on((1, 2), "left-results"));
    for round in 0..ROUNDS {
        let mut peer = Peer::connect(plane.shard_addresses()[round % 2]);
        watcher.put(jobs, &[b"job"]);
        let lease = peer.take(jobs, 1).lease;
        send(&mut peer, (jobs, lease), 0, results, b"done");
        drop(peer);
    }
    let mut left = ROUNDS as u64 + 1;
    for _ in 0..200 {
        // A transfer that was never read leaves its job under the lease, and no result.
        let held =
            |peer: &mut Peer, queue| match peer.ask(Request::Stat { queue: Some(queue) }).reply() {
                Reply::Figures(figures) => {
                    let row = figures.rows().next().expect("a row");
                    row[0] + row[1]
                }
                other => panic!("{other:?}"),
            };
        left = held(&mut watcher, jobs);
        if left + held(&mut watcher, results) == ROUNDS as u64 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let done = watcher.drain(results).len() as u64;
    assert_eq!(left + done, ROUNDS as u64, "each is a job or a result, none is both");
}

#[test]
fn a_plane_that_drains_takes_no_transfers() {
    let plane = plane(2);
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    let jobs = peer.declare(&name_on((0, 2), "drained"));
    let results = peer.declare(&name_on((1, 2), "drained-results"));
    peer.put(jobs, &[b"job"]);
    let lease = peer.take(jobs, 1).lease;
    let draining = std::thread::spawn(move || plane.drain(Duration::from_secs(10), || false));
    let code = loop {
        send(&mut peer, (jobs, lease), 0, results, b"late");
        match peer.next().code() {
            Code::Ok => continue,
            code => break code,
        }
    };
    assert_eq!(code, Code::Draining);
    peer.ack(jobs, lease, 1);
    peer.drain(results);
    let report = draining.join().expect("no panic").expect("shards end");
    assert!(report.is_clean(), "{report:?}");
}

/// Shards end one after the other: what one of them has asked of another may never be answered.
#[test]
fn a_plane_that_stops_waits_for_no_answer_that_cannot_come() {
    for round in 0..3 {
        let plane = plane(3);
        let mut peers: Vec<_> =
            plane.shard_addresses().iter().map(|address| Peer::connect(*address)).collect();
        for (number, peer) in peers.iter_mut().enumerate() {
            let jobs = peer.declare(&name_on(((number + 1) % 3, 3), "stopped"));
            let results = peer.declare(&name_on(((number + 2) % 3, 3), "stopped-results"));
            peer.put(jobs, &vec![&b"job"[..]; 200]);
            let lease = peer.take(jobs, 200).lease;
            for job in 0..200 {
                send(peer, (jobs, lease), job, results, b"done");
            }
        }
        std::thread::sleep(Duration::from_micros(300 * round));
        let started = std::time::Instant::now();
        plane.stop().expect("shards end");
        assert!(started.elapsed() < Duration::from_secs(5), "round {round}");
    }
}

/// The queue of the results holds puts back. What an errand puts is refused instead: nothing of its
/// connection waits for room, least of all what would make it.
#[test]
fn neither_a_transfer_nor_a_publish_waits_for_room() {
    let plane = plane(2);
    for address in plane.shard_addresses() {
        let mut peer = Peer::connect(*address);
        for (from, to) in (0..4).map(|pair| (pair % 2, pair / 2)) {
            let jobs = peer.declare(&name_on((from, 2), "held"));
            let name = name_on((to, 2), "held-results");
            let full_policy = FullPolicy::Hold;
            let options = QueueOptions { messages_max: 1, full_policy, ..QueueOptions::default() };
            let request = Request::Declare { name: &name, options: Some(options) };
            let Reply::Declared { queue: results, .. } = peer.ask(request).reply() else {
                panic!("declared")
            };
            assert!(bind(&mut peer, results, "held"));
            assert_eq!(publish(&mut peer, "held", b"first"), (1, 1, 0));
            assert_eq!(publish(&mut peer, "held", b"second"), (1, 0, 1));
            peer.put(jobs, &[b"job"]);
            let lease = peer.take(jobs, 1).lease;
            send(&mut peer, (jobs, lease), 0, results, b"refused");
            peer.send(Request::Stat { queue: Some(jobs) });
            peer.send(Request::Ping);
            let all = peer.all(3);
            assert_eq!(all[0].code(), Code::QueueFull);
            let Reply::Figures(figures) = all[1].reply() else { panic!("{:?}", all[1]) };
            assert_eq!(figures.rows().next().expect("a row")[1], 1, "still under its lease");
            assert_eq!(peer.drain(results), [b"first".to_vec()]);
            send(&mut peer, (jobs, lease), 0, results, b"done");
            assert_eq!(outcome(&peer.next().reply()).0, (1, 0, 0));
            assert_eq!(peer.drain(results), [b"done".to_vec()]);
            peer.ask(Request::Delete { queue: results });
        }
    }
}
