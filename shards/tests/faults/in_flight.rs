//! How much one connection may ask for at a time: requests in flight, and bytes promised to waits.

use crate::peer::{Peer, encoded, take_of};
use crate::process;
use ringway_protocol::request::{Put, Take};
use ringway_protocol::{Code, QueueId, Records, Reply, Request, record};
use ringway_shards::plane::Plane;
use std::collections::HashSet;
use std::time::Duration;

/// `requests_in_flight_max` and `wait_bytes_max` of the greeting.
const REQUESTS: u32 = 1024;
const WAIT_BYTES: u32 = 8 << 20;

#[test]
fn requests_over_the_limit_wait_until_others_are_answered() {
    process::alone(
        "in_flight::requests_over_the_limit_wait_until_others_are_answered",
        &[],
        || {
            let plane = process::plane(|_| ());
            let mut neighbour = Peer::connect(plane.address());
            for shard in [0, 1] {
                let queue = neighbour.declare_on(shard, "waits");
                let mut peer = Peer::connect(plane.shard_addresses()[0]);
                let mut bytes = Vec::new();
                for number in 0..REQUESTS {
                    bytes.extend(encoded(Request::Take(take_of(queue, 60_000, 0)), number));
                }
                bytes.extend(encoded(Request::Ping, REQUESTS));
                peer.say(&bytes);
                let short = Some(Duration::from_millis(300));
                peer.socket.set_read_timeout(short).expect("a valid timeout");
                let early = peer.socket.peek(&mut [0; 1]);
                assert!(early.is_err(), "1,024 requests wait, so the ping must: {early:?}");
                peer.socket.set_read_timeout(Some(process::PATIENCE)).expect("a valid timeout");
                neighbour.is_served();
                // One answer makes room for the ping.
                neighbour.put(queue, b"first");
                let first = [peer.next(), peer.next()].map(|reply| reply.expect("a reply"));
                let numbers: HashSet<_> = first.iter().map(|reply| reply.header.request).collect();
                assert_eq!(numbers, HashSet::from([0, REQUESTS]), "the first take, and the ping");
                // The others are served in turn.
                for number in 1..REQUESTS {
                    neighbour.put(queue, b"next");
                    let reply = peer.next().expect("a delivery");
                    assert_eq!((reply.header.request, reply.delivered()), (number, (1, 1)));
                }
                peer.is_served();
            }
        },
    );
}

#[test]
fn waits_that_promise_too_much_are_refused() {
    process::alone("in_flight::waits_that_promise_too_much_are_refused", &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        let bytes_max = 1 << 20;
        let waits = WAIT_BYTES / bytes_max;
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "promises");
            let wide = Request::Take(Take { bytes_max, ..take_of(queue, 60_000, 0) });
            let mut peer = Peer::connect(plane.shard_addresses()[0]);
            for number in 0..=waits {
                peer.say(&encoded(wide, number));
            }
            let refused = peer.next().expect("a refusal");
            assert_eq!((refused.header.request, refused.code()), (waits, Code::TooManyWaits));
            // Other requests are served, takes that do not wait among them.
            let at_once = peer.ask(Request::Take(take_of(queue, 0, 0)));
            assert_eq!(at_once.delivered(), (0, 0));
            peer.is_served();
            // Answered waits make room for others.
            neighbour.put(queue, b"one");
            assert_eq!(peer.next().expect("a delivery").header.request, 0);
            peer.say(&encoded(wide, 99));
            let pong = peer.ask(Request::Ping);
            assert!(matches!(pong.reply(), Reply::Pong), "the ninth wait is accepted: {pong:?}");
        }
    });
}

/// More requests than are held for a connection, so that its receive is paused.
const TOO_MANY_TO_HOLD: u32 = 20_000;

/// A peer that waits at a queue, and has sent more behind that than is read of it.
fn held_back(plane: &Plane, queue: QueueId) -> Peer {
    let mut peer = Peer::connect(plane.shard_addresses()[0]);
    let mut bytes = Vec::new();
    for number in 0..REQUESTS {
        bytes.extend(encoded(Request::Take(take_of(queue, 60_000, 0)), number));
    }
    for number in 0..TOO_MANY_TO_HOLD {
        bytes.extend(encoded(Request::Ping, number));
    }
    peer.say(&bytes);
    peer
}

#[test]
fn a_peer_that_resets_while_it_is_held_back_takes_nothing() {
    let name = "in_flight::a_peer_that_resets_while_it_is_held_back_takes_nothing";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "held");
            let base = process::Base::of(&plane);
            let peer = held_back(&plane, queue);
            neighbour.is_served();
            let reset = socket2::SockRef::from(&peer.socket).set_linger(Some(Duration::ZERO));
            reset.expect("TCP");
            drop(peer);
            base.awaited(&plane, process::PATIENCE);
            neighbour.put(queue, b"for the living");
            assert_eq!(neighbour.drain(queue, 1), 1, "nobody else takes it");
        }
    });
}

/// Its waits end with its last word, so that what it sent behind them is carried out, and answered,
/// before it is closed.
#[test]
fn a_peer_that_ends_while_it_is_held_back_is_served_and_closed() {
    let name = "in_flight::a_peer_that_ends_while_it_is_held_back_is_served_and_closed";
    process::alone(name, &[], || {
        let plane = process::plane(|_| ());
        let mut neighbour = Peer::connect(plane.address());
        for shard in [0, 1] {
            let queue = neighbour.declare_on(shard, "ended");
            let base = process::Base::of(&plane);
            let mut peer = held_back(&plane, queue);
            neighbour.is_served();
            peer.socket.shutdown(std::net::Shutdown::Write).expect("it is connected");
            for number in 0..TOO_MANY_TO_HOLD {
                let pong = peer.next().expect("what was sent is served");
                assert_eq!(pong.header.request, number);
            }
            assert!(peer.next().is_none(), "then it is closed");
            drop(peer);
            base.awaited(&plane, process::PATIENCE);
        }
    });
}

/// Puts so many messages at once.
fn put_many(peer: &mut Peer, queue: QueueId, count: u32) -> Code {
    let mut bytes = Vec::new();
    (0..count).for_each(|_| record::write(&mut bytes, &[], b"message"));
    let records = Records::parse(&bytes, count).expect("valid records");
    peer.ask(Request::Put(Put::new(queue, records))).code()
}

#[test]
fn a_connection_that_puts_too_fast_is_refused_until_its_time_has_come() {
    let name = "in_flight::a_connection_that_puts_too_fast_is_refused_until_its_time_has_come";
    process::alone(name, &[], || {
        let plane = process::plane(|config| config.connection_puts_max = 100);
        for shard in [0, 1] {
            let mut fast = Peer::connect(plane.shard_addresses()[0]);
            let queue = fast.declare_on(shard, "paced");
            // A batch goes as a whole, and has to be paid for: this one with half a minute.
            assert_eq!(put_many(&mut fast, queue, 3_000), Code::Ok);
            for _ in 0..3 {
                assert_eq!(put_many(&mut fast, queue, 1), Code::QuotaExceeded);
            }
            // Whatever puts nothing is served, and other connections have a pace of their own.
            assert_eq!(fast.drain(queue, 4_096), 3_000, "what was refused is not stored");
            let mut other = Peer::connect(plane.shard_addresses()[0]);
            assert_eq!(put_many(&mut other, queue, 30), Code::Ok);
            process::wait_until("the next put is accepted", process::PATIENCE, || {
                put_many(&mut other, queue, 1) == Code::Ok
            });
            assert_eq!(other.drain(queue, 4_096), 31);
            assert_eq!(put_many(&mut fast, queue, 1), Code::QuotaExceeded, "not yet");
        }
    });
}
