//! However a subscription ends, what it held comes back at once: nobody waits for its leases.

use super::peer::{PATIENCE, Peer, on_planes, subscribe};
use ringway_protocol::{Code, GroupId, QueueOptions, Request};
use std::net::Shutdown;

/// Leases that outlast any test.
fn options() -> QueueOptions {
    QueueOptions { lease_ms: 3_600_000, ..QueueOptions::default() }
}

/// A subscriber holds a message, and something ends it.
fn check(stem: &str, end: impl Fn(Peer) -> Option<Peer>) {
    on_planes(|plane, shard| {
        let (mut subscriber, mut other) = (Peer::connect(plane), Peer::connect(plane));
        let queue = other.declare(shard, stem, options());
        subscriber.subscribe(subscribe(queue, 10)).expect("room for one");
        other.put(queue, &["held"]);
        assert_eq!(subscriber.pushed_messages(1).1, ["held"]);
        let _rest = end(subscriber);
        let again = other.take(queue, GroupId::DEFAULT, 10_000);
        let (_, payloads, deliveries) = again.delivered();
        assert_eq!((&payloads.join(" ")[..], deliveries), ("held", 2));
        other.until(queue, "subscriptions", 0);
        other.put(queue, &["next"]);
        assert_eq!(other.figure(queue, "ready"), 1, "nothing is pushed to nobody");
    });
}

#[test]
fn a_reset_gives_back_what_was_pushed() {
    check("reset", |peer| {
        peer.reset();
        None
    });
}

#[test]
fn a_connection_that_closes_gives_back_what_was_pushed() {
    check("close", |peer| {
        drop(peer);
        None
    });
}

#[test]
fn a_peer_that_says_no_more_gives_back_what_was_pushed() {
    check("half", |peer| {
        peer.socket.shutdown(Shutdown::Write).expect("it is open");
        Some(peer)
    });
}

#[test]
fn what_was_taken_stays_leased_when_its_connection_ends() {
    on_planes(|plane, shard| {
        let (mut taker, mut other) = (Peer::connect(plane), Peer::connect(plane));
        let queue = other.declare(shard, "taken", options());
        other.put(queue, &["taken"]);
        assert_eq!(taker.take(queue, GroupId::DEFAULT, 0).delivered().1, ["taken"]);
        taker.subscribe(subscribe(queue, 10)).expect("room for one");
        other.put(queue, &["pushed"]);
        taker.pushed_messages(1);
        taker.reset();
        other.until(queue, "ready", 1);
        assert_eq!(other.figure(queue, "leased"), 1);
    });
}

#[test]
fn a_queue_that_is_deleted_says_so_last() {
    on_planes(|plane, shard| {
        let (mut subscriber, mut other) = (Peer::connect(plane), Peer::connect(plane));
        let queue = other.declare(shard, "deleted", options());
        let (_, asked) = subscriber.subscribe(subscribe(queue, 10)).expect("room for one");
        other.put(queue, &["lost"]);
        subscriber.pushed_messages(1);
        other.ask(Request::Delete { queue });
        let last = subscriber.receive(PATIENCE).expect("a last word");
        assert_eq!((last.code(), last.header.request), (Code::NoSuchQueue, asked));
        // The same name is another queue.
        let queue = other.declare(shard, "deleted", options());
        other.put(queue, &["another"]);
        subscriber.is_quiet();
    });
}
